"""What a trial does: fit as the pipeline fits, on each fold; measure on the rows that were held out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlops import bundle, train
from mlops.features import Floats
from mlops.metrics.measure import Decision, Scored
from mlops.model import describe, export, fit
from mlops.model.pipeline import raw_scores
from mlops.params import VIEWS, Params, View
from mlops.sweep.data import Data, Fold

Report = Callable[[int, float], bool]
"""Called with a step and the metric so far; answers whether the trial is to stop. Step 0: the part; then each fold."""


@dataclass(frozen=True)
class Task:
    """What a trial measures. cost: whether the served model's size and time are wanted; threads: of a fit."""

    metric: str
    screen: bool
    cost: bool
    threads: int | None


@dataclass(frozen=True)
class Measured:
    """A trial that came to its end, or was stopped (`stopped`: at which step).

    folds: metrics of each fold; p: fold by fold, the probabilities of its rows; decisions: their thresholds.
    """

    folds: tuple[Mapping[str, float], ...]
    p: tuple[Floats, ...]
    thresholds: tuple[float, ...]
    cost: Mapping[str, float]
    seconds: float
    stopped: int | None = None

    def mean(self) -> dict[str, float]:
        """Each metric's mean over the folds, six decimals."""
        return {name: round(float(np.mean([f[name] for f in self.folds])), 6) for name in self.folds[0]}

    def std(self) -> dict[str, float]:
        """Each metric's standard deviation over the folds; empty for one."""
        if len(self.folds) < 2:
            return {}
        return {name: round(float(np.std([f[name] for f in self.folds], ddof=1)), 6) for name in self.folds[0]}


def silent(step: int, values: Mapping[str, float]) -> None:
    """Nobody watches a trial's curve."""


def measure(data: Data, params: Params, task: Task, report: Report, watch: fit.Watch = silent) -> Measured:
    """Run a trial.

    Args:
        data: the sweep's rows.
        params: params.yaml with the trial's values.
        task: what is measured.
        report: told of each step, and may stop the trial.
        watch: called while a model is fitted.

    Raises:
        TrainingError: no model can be fitted with these params.
    """
    started = time.perf_counter()
    view = View(params, VIEWS["train"])
    encoded = data.encoded(view)
    means = fit.Means(task.threads, encoded.bins)
    folds: list[Mapping[str, float]] = []
    scored: list[tuple[Floats, float]] = []
    cost: Mapping[str, float] = {}

    def result(stopped: int | None = None) -> Measured:
        seconds = round(time.perf_counter() - started, 3)
        return Measured(tuple(folds), tuple(p for p, _ in scored), tuple(t for _, t in scored), cost, seconds, stopped)

    if encoded.part is not None and task.screen:
        found, _, _ = _fitted(encoded.part, view, means, watch)
        if report(0, found[task.metric]):
            return result(0)
    for step, fold in enumerate(encoded.folds, 1):
        found, p, made = _fitted(fold, view, means, watch)
        folds.append(found)
        scored.append((p, made.model.threshold))
        last = step == len(encoded.folds)
        if report(step, float(np.mean([f[task.metric] for f in folds]))) and not last:
            return result(step)
        if last and task.cost:
            cost = _cost(data, fold, made, params)
    return result()


def _fitted(
    fold: Fold, params: View, means: fit.Means, watch: fit.Watch
) -> tuple[dict[str, float], Floats, train.Fitted]:
    """Metrics and probabilities, with six decimals, of the held rows; and the model."""
    made = train.fit_model(train.Encoded(fold.encoder, fold.train, fold.validation, {}, {}), params, watch, means)
    own = fold.held is fold.validation
    p = made.validation_p if own else made.model.calibrator.many(raw_scores(made.model.estimator, fold.held.x))
    p = np.round(p, 6)
    decision = Decision(made.model.threshold, params.get("decision").value_saved, params.get("decision").cost_contact)
    return Scored(fold.held.y, p, decision).metrics(), p, made


def _cost(data: Data, fold: Fold, made: train.Fitted, params: Params) -> dict[str, float]:
    """Size of the served model, and the time that it takes for a row, as the gate measures it."""
    from mlops.report.checks import milliseconds

    described: dict[str, Any] = {
        "signature": describe.signature(fold.encoder, data.train.features, None),
        "profile": describe.profile(data.train.features),
    }
    files = export.files(params.model, made.model.estimator, fold.encoder, made.model.calibrator, described)
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        place = Path(folder) / "model"
        place.mkdir()
        facts = {"model": params.model, "score": made.model.calibrator.score, "threshold": made.model.threshold}
        bundle.save(place, files, {"name": "churn", **facts})
        (spent,) = milliseconds([bundle.load(place)])
    return {"latency_ms": round(spent, 4), "size_mb": round(sum(map(len, files.values())) / 1e6, 4)}
