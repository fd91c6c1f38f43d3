"""A log of predictions beside a registry."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import yaml

from mlops.registry import facts
from tests.registry.predicted import url_of, written
from tests.registry.repository import Repository

SAID = facts.write("churn v1.0.0 → prod", [], {"action": "assign", "why": "the first", "digests": {"model": "as told"}})


def commit_of(repository: Repository, version: str) -> str:
    return repository.git.commit(f"churn@{version}")


def log(repository: Repository, *batches: list[tuple[Any, ...]]) -> str:
    url = url_of(repository.folder.parent)
    with written(url) as predictions:
        for batch in batches:
            predictions.put_many(batch)
    return url


def change(url: str, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(sql, values)


def lock_of(repository: Repository, commit: str) -> dict[str, Any]:
    content = repository.git.read(commit, "dvc.lock")
    assert content
    stages: dict[str, Any] = yaml.safe_load(content)["stages"]
    return stages
