"""Stage evaluate: scores the test rows once, with the served model, and writes what everybody compares by.

data/predictions/test.parquet   key, customer, y, p and the groups: comparison, gate and reports read only this
metrics/evaluate/               metrics.json (plain numbers), intervals.json, slices.json, points of the plots
metrics/timings.json            seconds and milliseconds, never part of what must reproduce
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlops import bundle, columns, stage
from mlops.bundle import Bundle
from mlops.errors import DataError
from mlops.features import Coded, Floats, Scalar, Values
from mlops.metrics import bootstrap, curves, importance, slices
from mlops.metrics.measure import Decision, Scored, roc_auc
from mlops.params import View

TEST = Path("data/features/test.parquet")
MODEL = Path("models/serving")
PREDICTIONS = Path("data/predictions")
METRICS = Path("metrics/evaluate")
TIMINGS = Path("metrics/timings.json")
SEED = 0
"""Of the bootstrap and the shuffling: not a parameter, so that two versions are measured with the same draws."""


def score(model: Bundle, table: pa.Table) -> tuple[Mapping[str, Values], Floats]:
    """Feature columns of test rows, and their probabilities with six decimals, shape (rows,)."""
    features = columns.Stored(table, model.encoder.plan)
    p = model.calibrator.many(model.raw_scores(model.encoder.matrix(features)))
    return features, np.round(p, 6)


def outcomes(table: pa.Table) -> NDArray[np.int8]:
    """Outcomes of test rows, 0 or 1.

    Raises:
        DataError: all rows have the same outcome; no metric could be told.
    """
    y = np.asarray(table.column("__y").to_numpy(), dtype=np.int8)
    if len(y) == 0 or y.min() == y.max():
        what = "there are no test rows" if len(y) == 0 else f"all {len(y)} test rows have the same outcome"
        raise DataError(f"{TEST}: {what}; raise preprocess.test_share, change preprocess.cutoff or bring more rows")
    return y


def work(params: View) -> None:
    """Score, measure, write."""
    settings = params.get("evaluate")
    model = bundle.load(MODEL)
    money = params.get("decision.value_saved"), params.get("decision.cost_contact")
    decision = Decision(model.threshold, *money)
    table = columns.read_parquet(TEST)
    y = outcomes(table)
    features, p = score(model, table)
    groups = slices.choose(features, settings.slices)
    customers = columns.coded(table.column("__customer")).codes
    scored = Scored(y, p, decision)
    drawn = bootstrap.replicates(scored, customers, settings.resamples, SEED)
    ranges = bootstrap.intervals(drawn, settings.confidence)
    found = slices.report(
        groups, (y, p, customers), decision, min_rows=settings.min_slice_rows,
        resamples=max(settings.resamples // 5, 100), confidence=settings.confidence, seed=SEED,
    )  # fmt: skip
    metrics = {name: round(value, 6) for name, value in scored.metrics().items()}
    best = _best_reachable(table, y)
    documents = {
        "metrics.json": {**metrics, **best},
        "intervals.json": _intervals(metrics, ranges, settings.confidence, decision, y, customers),
        "slices.json": found,
    }
    points = _points(model, features, (y, p), decision)
    with stage.replaced(PREDICTIONS, METRICS) as (predictions, folder):
        pq.write_table(_predictions(table, y, p, groups), predictions / "test.parquet", compression="zstd")
        for name, document in documents.items():
            (folder / name).write_bytes(bundle.to_json(document))
        for name, rows in points.items():
            _write_points(folder / "plots" / f"{name}.csv", rows)
    _write_timings(model)
    print(f"test: {len(y):,} rows, {int(y.sum()):,} churned, ROC AUC {metrics['roc_auc']:.4f}")


def _best_reachable(table: pa.Table, y: NDArray[np.int8]) -> dict[str, float]:
    """What the true probabilities would score; only simulated tables know them."""
    if "__truth" not in table.column_names:
        return {}
    return {"best_reachable_roc_auc": round(roc_auc(y, columns.floats(table.column("__truth"))), 6)}


def _intervals(
    metrics: Mapping[str, float], ranges: Mapping[str, bootstrap.Interval], confidence: float, decision: Decision,
    y: NDArray[np.int8], customers: NDArray[np.int32],
) -> dict[str, Any]:  # fmt: skip
    return {
        "rows": len(y),
        "churned": int(y.sum()),
        "customers": int(customers.max()) + 1,
        "confidence": confidence,
        "threshold": decision.threshold,
        "metrics": {
            name: {"value": value, "low": round(ranges[name].low, 6), "high": round(ranges[name].high, 6)}
            for name, value in metrics.items()
        },
    }


def _points(
    model: Bundle, features: Mapping[str, Values], rows: tuple[NDArray[np.int8], Floats], decision: Decision
) -> dict[str, curves.Points]:
    y, p = rows
    matrix = model.encoder.matrix(features)
    return {
        "roc": curves.roc(y, p),
        "precision_recall": curves.precision_recall(y, p),
        "calibration": curves.calibration(y, p),
        "gain": curves.gain(y, p),
        "confusion": curves.confusion(y, p, decision),
        "importance": importance.permutation(model, matrix, y, SEED)[:20],
    }


def _predictions(table: pa.Table, y: NDArray[np.int8], p: Floats, groups: Mapping[str, Coded]) -> pa.Table:
    """What is kept of each test row: its stable key, whose it is, outcome, probability, groups."""
    kept: dict[str, Any] = {"key": table.column("__key"), "customer": table.column("__customer"), "y": y, "p": p}
    if "__time" in table.column_names:
        kept["time"] = table.column("__time")
    return pa.table({**kept, **{f"slice.{name}": columns.to_arrow(group) for name, group in groups.items()}})


def _write_points(path: Path, rows: curves.Points) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_timings(model: Bundle) -> None:
    """Add the time of one row to what training measured; the file is not part of what must reproduce."""
    known = json.loads(TIMINGS.read_bytes()) if TIMINGS.exists() else {}
    row = _example(model)
    spent = []
    for _ in range(300):
        started = time.perf_counter()
        model.score_row(row)
        spent.append(time.perf_counter() - started)
    known["inference_time_ms"] = round(float(np.median(spent)) * 1000, 4)
    TIMINGS.write_bytes(bundle.to_json(known))


def _example(model: Bundle) -> dict[str, Scalar]:
    """The signature's example as a row of raw values; dates, of whatever day, cost the same."""
    row: dict[str, Scalar] = {}
    for column in model.signature["inputs"]:
        example = column["example"]
        if column["kind"] in ("category", "text"):
            row[column["name"]] = example
        else:
            row[column["name"]] = float(example) if isinstance(example, (int, float)) else float("nan")
    return row


def main(argv: list[str] | None = None) -> int:
    """Entry point of the stage; returns the exit code."""
    stage.without_pandas()
    return stage.run("evaluate", work)


if __name__ == "__main__":
    sys.exit(main())
