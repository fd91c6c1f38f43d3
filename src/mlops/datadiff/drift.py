"""How far apart the distributions of one column in two tables are: the population stability index.

    PSI = Σ (qᵢ − pᵢ) · ln(qᵢ / pᵢ)   over bins i; p: shares of `before`, q: shares of `after`

(N. Siddiqi, "Credit Risk Scorecards", Wiley 2006; it is the symmetric Kullback-Leibler divergence.) The usual reading:
under 0.1 stable, from 0.1 moderate, over 0.25 large. Half a row is added to every bin, so that an empty one has a
share. Missing values are a bin of their own.

Of two random samples of one population PSI is not 0: divided by (1/n + 1/m) it is close to χ² with bins − 1 degrees of
freedom (B. Yurdakul and J. Naranjo, "Statistical properties of the population stability index", Journal of Risk Model
Validation 14(4), 2020). What 95 % of such pairs stay under (more where bins are many and thin) is told as `chance`;
rows that both tables share make PSI smaller still.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops.datadiff.result import Drift

MODERATE, LARGE = 0.1, 0.25
CONFIDENCE = 0.95
BINS = 10
POINT = 0.05
"""A value that so many rows of either table have, and that bounds a bin, is a bin of its own."""
RARE = 10
"""Levels of fewer rows in both tables together share one bin: χ² holds only where bins have rows."""

Counts = NDArray[np.int64]


def index(before: Counts, after: Counts) -> Drift | None:
    """PSI of counts per bin; None where a table has no row."""
    used = before + after > 0
    counts = before[used], after[used]
    n, m = (int(c.sum()) for c in counts)
    if not n or not m:
        return None
    bins = len(counts[0])
    p, q = ((c + 0.5) / (c.sum() + 0.5 * bins) for c in counts)
    score = float(((q - p) * np.log(q / p)).sum())
    chance = _chi_square(bins - 1) * (1 / n + 1 / m)
    return Drift(score, chance, bins, reading(score, chance))


def _chi_square(freedom: int) -> float:
    from scipy.special import chdtri  # scipy.stats would take half a second to import

    return float(chdtri(freedom, 1 - CONFIDENCE)) if freedom else 0.0


def reading(score: float, chance: float) -> str:
    """stable, moderate, large; or chance, for what is not stable but chance alone would do."""
    if score < MODERATE:
        return "stable"
    if score <= chance:
        return "chance"
    return "moderate" if score <= LARGE else "large"


def of_numbers(before: NDArray[np.float64], after: NDArray[np.float64]) -> Drift | None:
    """PSI of numbers, NaN where missing, in bins between the deciles of `before`."""
    known = [values[~np.isnan(values)] for values in (before, after)]
    edges = _edges(known[0] if len(known[0]) else known[1])
    cells = [_cells(values, edges) for values in known]
    apart = np.maximum(*(c / max(int(c.sum()), 1) for c in cells)) >= POINT
    # Cells are interval, edge, interval, edge …: an edge that few rows lie on belongs to the interval below it.
    starts = np.arange(len(apart)) % 2 == 0
    group = np.cumsum(starts | apart) - 1
    counts = [
        np.append(np.bincount(group, weights=c).astype(np.int64), len(values) - len(found))
        for c, values, found in zip(cells, (before, after), known, strict=True)
    ]
    return index(counts[0], counts[1])


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distinct inner deciles; each is a value that a row has."""
    if not len(values):
        return np.empty(0)
    return np.unique(np.quantile(values, np.arange(1, BINS) / BINS, method="inverted_cdf"))


def _cells(values: NDArray[np.float64], edges: NDArray[np.float64]) -> Counts:
    """Rows under the first edge, on it, between it and the next, …, above the last."""
    below = np.searchsorted(edges, values, "left") + np.searchsorted(edges, values, "right")
    return np.bincount(below, minlength=2 * len(edges) + 1)


def of_levels(before: Counts, after: Counts) -> Drift | None:
    """PSI of levels. before, after: rows per level, the last entry those without a value."""
    total = before + after
    rare = total < RARE
    rare[-1] = False
    counts = [np.append(c[~rare], c[rare].sum()) for c in (before, after)]
    return index(counts[0], counts[1])
