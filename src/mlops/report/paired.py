"""The paired bootstrap: two models are measured on the same drawn customers, so what both suffer alike cancels out.

Customers, not rows, are drawn with replacement, since rows of one customer resemble each other; the interval of a
difference is the percentile interval (Davison & Hinkley, "Bootstrap Methods and their Application", 1997, sections 3.8
and 5.3).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mlops.features import Floats
from mlops.metrics.measure import HIGHER_IS_BETTER
from mlops.report import numbers
from mlops.report.ranked import Counts

SEED = 0
"""Not a setting: two judgements of the same versions are the same."""
AT_ONCE = 65_536
"""Weights that a thread holds at a time: about what fits a core's cache."""
MOST_AT_ONCE = 64
NO_WIDTH = 1e-12
"""What rounding may leave of an interval without width."""

Measure = Callable[[Counts], dict[str, Floats]]
"""How often each customer was drawn, shape (draws, customers) → name → one number per draw."""


@dataclass(frozen=True)
class Change:
    """A number of both versions, their difference (candidate − baseline) and its interval.

    better: whether the candidate's is better, None where the interval does not tell. Not known: NaN.
    """

    candidate: float
    baseline: float
    difference: float
    low: float
    high: float
    better: bool | None

    def oriented(self, name: str) -> Change:
        """The same with difference and interval turned so that more is better."""
        if HIGHER_IS_BETTER[name]:
            return self
        return Change(self.candidate, self.baseline, -self.difference, -self.high, -self.low, self.better)

    def facts(self) -> dict[str, Any]:
        """As JSON: nine decimals, null where not known."""
        return {k: v if k == "better" else numbers.rounded(v) for k, v in asdict(self).items()}

    def words(self) -> str:
        """The difference and its interval."""
        return numbers.moved(self.difference, self.low, self.high)


def change(name: str, values: tuple[float, float], interval: tuple[float, float]) -> Change:
    """A change of a metric, with what it means. values: candidate's and baseline's; interval: of their difference.

    An interval without width is that of a difference which no resample moves. Where that is 0, both are the same; any
    other tells nothing of chance, and so must not decide: the interval is without limits then.
    """
    low, high = interval
    if high - low <= NO_WIDTH < max(abs(low), abs(high)):
        low, high = -math.inf, math.inf
    up = HIGHER_IS_BETTER.get(name, False)
    better = up if low > 0 else not up if high < 0 else None
    return Change(values[0], values[1], values[0] - values[1], low, high, better)


@dataclass(frozen=True)
class Draw:
    """How a bootstrap is done. at_once: customers or rows, whichever are more; how many draws are made in one go
    follows from it.
    """

    resamples: int
    confidence: float
    at_once: int
    seed: int = SEED


def changes(sides: tuple[Sequence[Measure], Sequence[Measure]], customers: int, draw: Draw) -> dict[str, Change]:
    """Everything that both sides measure, by name.

    Args:
        sides: what measures the candidate, and what measures the baseline, in the same order.
        customers: how many there are.
        draw: how often they are drawn, and the intervals' confidence.
    """
    of_candidate, of_baseline = (_merged(measures) for measures in sides)
    once = np.ones((1, customers), dtype=np.int32)
    points = of_candidate(once), of_baseline(once)
    drawn = replicates((of_candidate, of_baseline), customers, draw)
    found = {}
    for name in points[0]:
        interval = percentiles(drawn[0][name] - drawn[1][name], draw.confidence)
        found[name] = change(name, (float(points[0][name][0]), float(points[1][name][0])), interval)
    return found


def replicates(measures: Sequence[Measure], customers: int, draw: Draw) -> list[dict[str, Floats]]:
    """What each of the measures says of the same resamples: name → array of shape (resamples,).

    Blocks of resamples have random numbers of their own, so the result does not depend on the number of threads.
    """
    block = max(1, min(AT_ONCE // draw.at_once, MOST_AT_ONCE))

    def work(first: int) -> list[dict[str, Floats]]:
        drawn = _drawn(customers, min(block, draw.resamples - first), [draw.seed, first])
        return [measure(drawn) for measure in measures]

    with ThreadPoolExecutor(cores()) as pool:
        blocks = list(pool.map(work, range(0, draw.resamples, block)))
    return [
        {name: np.concatenate([b[side][name] for b in blocks]) for name in blocks[0][side]}
        for side in range(len(measures))
    ]


def percentiles(values: Floats, confidence: float) -> tuple[float, float]:
    """The percentile interval; NaN when no resample knows the number."""
    known = values[np.isfinite(values)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _drawn(customers: int, draws: int, seed: Sequence[int]) -> Counts:
    """How often each customer is drawn when as many are drawn as there are, shape (draws, customers)."""
    picked = np.random.default_rng(seed).integers(0, customers, (draws, customers))
    picked += np.arange(draws)[:, None] * customers
    counts = np.bincount(picked.ravel(), minlength=draws * customers)
    return counts.reshape(draws, customers).astype(np.int32)


def _merged(measures: Sequence[Measure]) -> Measure:
    def measure(drawn: Counts) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        for one in measures:
            found |= one(drawn)
        return found

    return measure


def facts(changes: Mapping[str, Change]) -> dict[str, Any]:
    """Changes as JSON."""
    return {name: found.facts() for name, found in changes.items()}
