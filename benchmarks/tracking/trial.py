"""The trial that every tracker tracks: ten milliseconds of work, and what is logged of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

SECONDS, STEPS, WARM, ROWS = 0.01, 20, 5, 2_000


@dataclass
class Spent:
    """Seconds. all: of all trials; the others: of each trial, in what the names say."""

    all: float = 0.0
    measuring: list[float] = field(default_factory=list)
    keeping: list[float] = field(default_factory=list)
    ending: list[float] = field(default_factory=list)


def params(trial: int) -> dict[str, Any]:
    """What a trial tries."""
    return {"max_depth": trial % 9 + 2, "learning_rate": 0.01 * (trial % 20 + 1), "n_estimators": 100 + trial,
            "subsample": 0.8, "seed": trial}  # fmt: skip


def objective() -> tuple[dict[str, float], Iterator[tuple[int, float]]]:
    """The work itself; what it measured, and the points of its curve."""
    time.sleep(SECONDS)
    return {"validation_auc": 0.8, "validation_loss": 0.16}, ((step, 1 / (1 + step)) for step in range(STEPS))


def fitted() -> tuple[LogisticRegression, Any, Any]:
    """A model, rows and labels: fitting is no part of what is measured."""
    x, y = make_classification(ROWS, 20, weights=[0.9], random_state=0)
    x = x.astype(np.float32)
    return LogisticRegression().fit(x, y), x, y


def run(one: Callable[[int, Spent], None]) -> None:
    """Run as many trials as the command line says, after some that are not counted; print what they took as JSON."""
    trials = int(sys.argv[1])
    for trial in range(WARM):
        one(trial, Spent())
    spent = Spent()
    started = time.perf_counter()
    for trial in range(WARM, WARM + trials):
        one(trial, spent)
    spent.all = time.perf_counter() - started
    print(json.dumps(asdict(spent)))
