"""What tests of reports ask of a branch."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mlops import cli
from mlops.report import compare
from tests.registry.repository import Repository

ROWS = (2000, 1000)


def facts(repository: Repository) -> dict[str, Any]:
    return compare.here(repository.git)


def policy(repository: Repository, **gate: Any) -> None:
    document = repository.document("policy.yaml")
    document["gate"] |= gate
    repository.write("policy.yaml", yaml.safe_dump(document))


def mlops(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(list(words))
    said = capsys.readouterr()
    return code, said.out, said.err


def renamed(repository: Repository, name: str) -> None:
    """The model gets another name, in both files that have it."""
    document = repository.document("policy.yaml")
    document["registry"] = {**document.get("registry", {}), "name": name}
    repository.write("policy.yaml", yaml.safe_dump(document))
    pipeline = repository.document("dvc.yaml")
    pipeline["artifacts"] = {name: pipeline["artifacts"]["churn"]}
    repository.write("dvc.yaml", yaml.safe_dump(pipeline, sort_keys=False))
