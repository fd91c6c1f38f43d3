"""A classifier's metrics on rows, with the files that stand beside the pipeline's: scored rows, curves, intervals."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlops import columns
from mlops.bundle import to_json
from mlops.errors import ExperimentError
from mlops.experiments import commit, fitting, measure, rows, surroundings
from mlops.experiments.measure import Predicted
from mlops.experiments.rows import Known
from mlops.metrics import curves
from mlops.metrics.measure import Decision
from mlops.report import paired
from mlops.report.paired import Draw
from mlops.report.ranked import Ranked
from mlops.store import keep

if TYPE_CHECKING:
    from mlops.experiments.run import Run

RESAMPLES, CONFIDENCE = 300, 0.95
"""Of intervals that are told, not judged by: the gate draws its own."""
MOST_ROWS = 200_000
"""Of more rows no intervals are told: a notebook would wait for them."""


@dataclass(frozen=True)
class Told:
    """What somebody says besides rows: seconds of `fit`, threshold, positive label, keys and customers of rows."""

    seconds: float | None
    threshold: float | None
    positive: Any
    names: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Scored:
    """Rows as a model scored them, and its metrics there.

    table: the rows as they are kept; facts: what they were, for the record. learnt: whether they are the rows that the
    model was fitted on, whose metrics are too good.
    """

    model: Callable[[], Any]
    x: Any
    found: Predicted
    known: Known | None
    threshold: float
    money: Mapping[str, float] | None
    table: pa.Table
    facts: Mapping[str, Any]
    metrics: dict[str, float]
    learnt: bool = False

    def keep(self, run: Run) -> None:
        """Write rows, curves and metrics into the run, in the place of another model's."""
        run.add_out(keep.file(run.place.cache, f"{commit.ROWS}/test.parquet", rows.packed(self.table)), "part")
        run.add("data", values={"evaluated": self.facts})
        for name, points in _points(self.found, Decision(self.threshold, 1.0, 1.0)).items():
            run.write(f"{commit.EVALUATED}/plots/{name}.csv", _csv(points))
        run.add("metrics", values=self.metrics, measured=True)

    def finish(self, run: Run) -> None:
        """Write what a version's tag will say: intervals, which take time that only a model to promote is worth."""
        if run.scored.names is not None and len(self.found.y) <= MOST_ROWS:
            run.write(f"{commit.EVALUATED}/intervals.json", to_json(self._intervals()))

    def _intervals(self) -> dict[str, Any]:
        paid = self.money or {"value_saved": 1.0, "cost_contact": 1.0}
        decision = Decision(self.threshold, paid["value_saved"], paid["cost_contact"])
        customers = columns.coded(self.table.column("customer")).codes.astype(np.intp)
        measure = Ranked(self.found.y, self.found.p, customers, decision).measure
        count = int(customers.max()) + 1
        draw = Draw(RESAMPLES, CONFIDENCE, max(count, len(self.found.y)))
        (drawn,) = paired.replicates([measure], count, draw)
        ranges = {n: paired.percentiles(values, CONFIDENCE) for n, values in drawn.items() if n in self.metrics}
        return {
            "rows": len(self.found.y),
            "churned": int(self.found.y.sum()),
            "customers": count,
            "confidence": CONFIDENCE,
            "threshold": self.threshold,
            "metrics": {
                name: {"value": self.metrics[name], "low": round(low, 6), "high": round(high, 6)}
                for name, (low, high) in ranges.items()
                if np.isfinite(low)
            },
        }


def score(run: Run, model: Any, x: Any, y: Any, told: Told) -> Scored:
    """Score rows and measure."""
    given = measure.threshold(told.threshold) if told.threshold is not None else None
    found = measure.predicted(model, x, y, told.positive)
    own = getattr(model, "best_threshold_", measure.ABOVE_HALF)  # scikit-learn's TunedThresholdClassifierCV
    threshold = float(own) if given is None else given
    money = commit.money(run.place.git, run.base)
    metrics = measure.metrics(found, threshold, money)
    fitted = run.fits.of(model)
    seconds = told.seconds if told.seconds is not None else fitted.seconds if fitted else None
    if seconds is not None:
        metrics["train_time_seconds"] = round(measure.number("train_time_seconds", seconds), 6)
        if metrics["train_time_seconds"] < 0:
            raise ExperimentError(f"train_time_seconds={seconds}: fit cannot end before it begins")
    known = rows.known(run.place.git.folder, "test", x, found.y)
    table = rows.scored(known, x, found.y, found.p, told.names)
    facts = {**surroundings.data(x, y), "rows_of": "data/features" if known else None}
    learnt = run.fits.learnt(model, x)
    if learnt:
        facts["learnt"] = True
    return Scored(fitting.reference(model), x, found, known, threshold, money, table, facts, metrics, learnt)


def _points(found: Predicted, decision: Decision) -> dict[str, curves.Points]:
    y, p = found.y, found.p
    return {
        "roc": curves.roc(y, p),
        "precision_recall": curves.precision_recall(y, p),
        "calibration": curves.calibration(y, p),
        "gain": curves.gain(y, p),
        "confusion": curves.confusion(y, p, decision),
    }


def _csv(points: curves.Points) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(points[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(points)
    return text.getvalue().encode()
