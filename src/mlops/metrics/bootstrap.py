"""How far a metric would move with other customers: the bootstrap over customers.

Rows of one customer resemble each other, so customers, not rows, are drawn with replacement (cluster bootstrap; Davison
& Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8), and the interval is the percentile interval.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops.features import Floats
from mlops.metrics.measure import Scored


class Interval(NamedTuple):
    """Lower and upper end; NaN when the metric was undefined in every resample."""

    low: float
    high: float


def replicates(scored: Scored, customers: NDArray[np.int32], resamples: int, seed: int) -> dict[str, Floats]:
    """Every metric on each resample.

    Args:
        scored: the rows.
        customers: per row (original order) the number of its customer, 0 … n−1.
        resamples: how many times n customers are drawn.
        seed: of the drawing.

    Returns:
        Metric → array of shape (resamples,).
    """
    n = int(customers.max()) + 1
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for _ in range(resamples):
        drawn = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
        weight = drawn[customers]
        if not weight.any():
            continue
        for name, value in scored.metrics(weight).items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def intervals(values: dict[str, Floats], confidence: float) -> dict[str, Interval]:
    """The percentile interval of each metric. confidence: e.g. 0.95."""
    return {name: _interval(v[np.isfinite(v)], confidence) for name, v in values.items()}


def _interval(values: Floats, confidence: float) -> Interval:
    if not len(values):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))
