"""Simulated pairs of models whose true difference is known: what the gate's statistics are tested with.

A customer leaves with the log-odds `base + 1.2 z`. A model sees these with an error that it shares with the other model
(`SHARED`) and one of its own; the larger its own, the worse it ranks. Probabilities are calibrated. Each customer has
`PER_CUSTOMER` rows, which share most of z and of the errors.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.features import Coded
from mlops.metrics.measure import Decision, roc_auc
from mlops.report.pairing import SAME, Pair

Floats = NDArray[np.float64]

SHARED, OWN, PER_CUSTOMER, ALIKE = 0.6, 0.3, 4, 0.8
DECISIONS = (Decision(0.1, 100, 10), Decision(0.1, 100, 10))
LARGE = 400_000


def _normal(rng: np.random.Generator, rows: int, per_customer: int) -> Floats:
    """Standard normal numbers of which those of a customer are alike."""
    if per_customer == 1:
        return rng.normal(size=rows)
    of_customer = np.repeat(rng.normal(size=-(-rows // per_customer)), per_customer)[:rows]
    return np.sqrt(ALIKE) * of_customer + np.sqrt(1 - ALIKE) * rng.normal(size=rows)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def draw(
    rng: np.random.Generator, rows: int, base: float, own: tuple[float, float], per_customer: int
) -> tuple[NDArray[np.int8], Floats, Floats]:
    """Outcomes, and the two models' log-odds, not calibrated."""
    z, shared, *errors = (_normal(rng, rows, per_customer) for _ in range(4))
    y = (rng.random(rows) < _sigmoid(base + 1.2 * z)).astype(np.int8)
    seen = 1.2 * z + SHARED * shared
    return y, seen + own[0] * errors[0], seen + own[1] * errors[1]


@cache
def calibration(base: float, own: float) -> tuple[float, float]:
    """Intercept and slope that make a model's log-odds right: logistic regression on many rows, by Newton's method."""
    y, x, _ = draw(np.random.default_rng(1), LARGE, base, (own, own), 1)
    design, beta = np.column_stack((np.ones(LARGE), x)), np.array([base, 0.8])
    for _ in range(6):
        p = _sigmoid(design @ beta)
        beta += np.linalg.solve((design * (p * (1 - p))[:, None]).T @ design, design.T @ (y - p))
    return float(beta[0]), float(beta[1])


@cache
def true_area(base: float, own: float) -> float:
    """The area under the ROC curve on very many rows."""
    y, x, _ = draw(np.random.default_rng(2), LARGE, base, (own, own), 1)
    return roc_auc(y, x)


@cache
def own_error(base: float, loss: float) -> float:
    """The error of its own with which a model's area is smaller by `loss` than with OWN."""
    low, high = OWN, 4.0
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (low, middle) if true_area(base, OWN) - true_area(base, middle) > loss else (middle, high)
    return (low + high) / 2


def simulated(
    seed: int, rows: int, *, loss: float = 0.0, base: float = -3.5, per_customer: int = PER_CUSTOMER, columns: int = 0
) -> Pair:
    """A pair of which the baseline's true area is smaller by `loss`; columns: how many columns of four groups."""
    rng = np.random.default_rng([7, seed])
    own = OWN, own_error(base, loss) if loss else OWN
    y, *scores = draw(rng, rows, base, own, per_customer)
    p = []
    for score, error in zip(scores, own, strict=True):
        intercept, slope = calibration(base, error)
        p.append(np.round(_sigmoid(intercept + slope * score), 6))
    names = ("north", "east", "south", "west")
    groups = {f"g{i}": Coded(rng.integers(0, 4, rows).astype(np.int32), names) for i in range(columns)}
    return Pair(SAME, "simulated", y, (p[0], p[1]), np.arange(rows) // per_customer, groups)
