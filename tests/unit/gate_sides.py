"""Versions in memory for the gate: small fitted models, and test rows that they score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mlops import columns
from mlops.bundle import Bundle
from mlops.errors import StoreError
from mlops.features import Plan
from mlops.policy import Gate
from mlops.report.side import Side
from tests.unit.models import Fitted, saved, simulated

POLICY = Gate(resamples=200, max_latency_ms=None)
ALL, FIRST, SECOND = range(4000), range(2000), range(2000, 4000)
ROWS = 4000
DECISION = {"value_saved": 100.0, "cost_contact": 10.0, "threshold": "auto"}


def model(fitted: Fitted, plan: Plan, folder: Path, kind: str = "xgboost") -> Bundle:
    """A served model with the facts that training writes into its manifest."""
    folder.mkdir()
    made = saved(kind, fitted, plan, folder)
    made.manifest |= {"decision": DECISION, "trained_on": {"rows": 1500, "churned": 450, "sha256": "00"}}
    return made


@cache
def _everybody() -> tuple[pa.Table, Any]:
    return simulated(ROWS, 11)


def features(plan: Plan, rows: Iterable[int]) -> pa.Table:
    """Rows of one table of 4,000, two per customer, as data/features holds them."""
    table, y = _everybody()
    at = pa.array(list(rows))
    made = plan.columns(columns.raw(table, plan.inputs))
    keyed = {
        "__key": [f"k{i}" for i in range(ROWS)],
        "__customer": [f"c{i // 2}" for i in range(ROWS)],
        "__y": y,
    }
    return pa.table({**keyed, **{name: columns.to_arrow(v) for name, v in made.items()}}).take(at)


def score(bundle: Bundle, table: pa.Table) -> Any:
    matrix = bundle.encoder.matrix(columns.Stored(table, bundle.encoder.plan))
    return np.round(bundle.calibrator.many(bundle.raw_scores(matrix)), 6)


def side(
    name: str, bundle: Bundle, tested: Iterable[int] | None, trained: Iterable[int] | None = (), noise: float = 0.0
) -> Side:
    """A version. tested: its test rows, None for a model without scored rows; trained: the rows that it learnt from,
    None where nobody knows; noise: how much worse than the model its scores are."""
    plan = bundle.encoder.plan
    predictions = table = None
    if tested is not None:
        table = features(plan, tested)
        p = score(bundle, table)
        if noise:
            log_odds = np.log(p / (1 - p)) + noise * np.random.default_rng(5).normal(size=len(p))
            p = np.round(1 / (1 + np.exp(-log_odds)), 6)
        names = {"key": "__key", "customer": "__customer", "y": "__y"}
        predictions = pa.table({n: table.column(c) for n, c in names.items()} | {"p": p})
        predictions = predictions.append_column("slice.plan", table.column("plan [a,b]"))

    def read_features() -> pa.Table:
        if table is None:
            raise StoreError(f"{name} has no data/features")
        return table

    def read_trained() -> pa.Table:
        if trained is None:
            raise StoreError(f"{name} has no data/features")
        return features(plan, trained).select(["__key", "__customer"]).rename_columns(["key", "customer"])

    return Side(name, "0" * 40, bundle, "ab" * 32, 400_000, predictions, read_features, read_trained)


def with_p(side: Side, change: Callable[[Any], Any]) -> Side:
    assert side.predictions is not None
    table = side.predictions
    p = np.clip(change(table.column("p").to_numpy().copy()), 0.000001, 0.999999)
    return dataclasses.replace(side, predictions=table.set_column(table.column_names.index("p"), "p", pa.array(p)))
