"""`python -m benchmarks.tracking.ours TRIALS [model]`, in a repository: trials as runs of the tracker."""

from __future__ import annotations

import contextlib
import os
import sys
import time

from mlops import ExperimentTracker  # isort: skip  (before NumPy: docs/experiments.md)

from benchmarks.tracking import trial

tracker = ExperimentTracker()
FITTED = trial.fitted() if "model" in sys.argv else None
NAMES = [f"x{i}" for i in range(20)]


def one(number: int, spent: trial.Spent) -> None:
    with contextlib.redirect_stdout(None), tracker.run(f"trial-{os.getpid()}-{number}"):
        tracker.log_params(trial.params(number))
        metrics, curve = trial.objective()
        for step, loss in curve:
            tracker.log_metric("loss", loss, step)
        tracker.log_metrics(metrics)
        if FITTED:
            model, x, y = FITTED
            started = time.perf_counter()
            tracker.log_metrics(model, x, y)
            measured = time.perf_counter()
            tracker.log_model(model, feature_names=NAMES)
            spent.measuring.append(measured - started)
            spent.keeping.append(time.perf_counter() - measured)
        ended = time.perf_counter()
    spent.ending.append(time.perf_counter() - ended)


if __name__ == "__main__":
    trial.run(one)
