"""A prediction log with what the service would have written, and the registry of a repository."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from api.contract import Contract, Table
from api.predictions import Limits, PredictionLog
from mlops import bundle, policy
from mlops.registry.look import Registry
from tests.registry.repository import Repository
from tests.service.conftest import EXAMPLE

WHEN = datetime(2026, 3, 15, 14, 0, tzinfo=UTC)


def registry_of(repository: Repository) -> Registry:
    return Registry(repository.git, policy.load(repository.folder / "policy.yaml"))


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/log/predictions.sqlite"


@contextmanager
def written(url: str) -> Iterator[PredictionLog]:
    """A log; what was put is on disk at the end."""
    log = PredictionLog(url, limits=Limits(seconds=0.01, max_days=100_000))
    log.start()
    try:
        yield log
    finally:
        log.close(10.0)


def rows(
    folder: Path,
    request_id: str,
    records: Sequence[dict[str, Any]],
    *,
    version: str,
    commit: str | None,
    variant: str = "prod",
    at: datetime = WHEN,
) -> list[tuple[Any, ...]]:
    """What the service logs of records: a single one as on its short way, several as a table.

    folder: of the model.
    """
    model = bundle.load(folder)
    contract = Contract(model)
    facts = (variant, version, commit, "predict")
    if len(records) == 1:
        row, customer, inputs = contract.record.read(json.dumps(records[0]).encode())
        raw, p = model.score_row(row)
        return [_row(at, request_id, 0, customer, facts, (raw, p, model.threshold), inputs)]
    table: Table = contract.from_records(records)
    raws, ps = model.score_columns(table.columns)
    return [
        _row(at, request_id, i, table.customers[i], facts, (float(raws[i]), float(ps[i]), model.threshold), inputs)
        for i, inputs in enumerate(table.inputs())
    ]


def _row(at: datetime, request_id: str, row: int, customer: str | None, facts: Any, scores: Any, inputs: bytes) -> Any:
    raw, p, threshold = scores
    p = round(p, 6)
    return (at.timestamp(), request_id, row, customer, *facts, raw, p, p >= threshold, inputs)


def some(number: int, seed: int = 0) -> list[dict[str, Any]]:
    """Records that differ."""
    rng = np.random.default_rng(seed)
    return [
        {
            **EXAMPLE,
            "minutes": float(rng.gamma(2.0, 40.0)),
            "sessions": int(rng.integers(0, 9)),
            "region": f"r{rng.integers(0, 9)}",
            "customer_id": f"C{i}",
        }
        for i in range(number)
    ]
