"""Features that give the target away: each is tried alone on training rows, before any model is.

A feature from which the target can be read off was written after the outcome (a cancellation date, a final invoice); a
model that uses it looks perfect on every split and is useless on customers whose outcome is still open.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops.features import Coded, Floats, Values

LIMIT = 0.995
SAMPLE = 200_000
MIN_CLASS_ROWS = 10  # of either class; with fewer, a perfect feature is an accident
SMOOTHING = 10.0  # rows' worth of the overall rate in each level's rate

Labels = NDArray[np.int8]


def sample(hashes: NDArray[np.uint64], limit: int = SAMPLE) -> NDArray[np.int64]:
    """The rows with the smallest hashes, `limit` of them at most, in their order: the same rows for the same table."""
    if len(hashes) <= limit:
        return np.arange(len(hashes))
    return np.sort(np.argpartition(hashes, limit)[:limit])


def enough(y: Labels) -> bool:
    """Whether both classes have rows enough for an AUC to mean something."""
    positives = int(y.sum())
    return min(positives, len(y) - positives) >= MIN_CLASS_ROWS


def auc_alone(values: Values, y: Labels, half: NDArray[np.bool_]) -> float:
    """How well one feature alone ranks the target: ROC AUC, 0.5 … 1, for numbers whichever way round is better.

    Missing counts as a value of its own: for numbers below or above all others, for categories as one more level.
    Categories are ranked by the rate of the target among the other half's rows of their level, drawn towards the
    overall rate, so that a level seen once knows nothing of itself.

    Args:
        values: the feature, one value per row.
        y: 0 or 1 per row, both present.
        half: which of two halves each row is in; a customer's rows are in one.
    """
    if isinstance(values, Coded):
        # Below 0.5 is the noise of halves that differ, never knowledge the other way round.
        return max(0.5, roc_auc(_rates_of_other_half(values, y, half), y))
    missing = np.isnan(values)
    ways = [np.where(missing, -np.inf, values), np.where(missing, np.inf, values)] if missing.any() else [values]
    return max(max(a, 1 - a) for a in (roc_auc(way, y) for way in ways))


def _rates_of_other_half(values: Coded, y: Labels, half: NDArray[np.bool_]) -> Floats:
    codes = values.codes + 1  # 0 is missing
    width = len(values.levels) + 1
    overall = float(y.mean())
    scores = np.empty(len(y))
    for here in (half, ~half):
        there = codes[~here]
        rows = np.bincount(there, minlength=width)
        positives = np.bincount(there, weights=y[~here], minlength=width)
        scores[here] = ((positives + SMOOTHING * overall) / (rows + SMOOTHING))[codes[here]]
    return scores


def roc_auc(scores: Floats, y: Labels) -> float:
    """Share of (positive, negative) pairs in which the positive scores higher; a tie counts half (Mann and Whitney)."""
    order = np.argsort(scores)
    ranked, positive = scores[order], y[order].astype(np.int64)
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    positives = np.diff(positive.cumsum()[ends], prepend=0)
    negatives = np.diff(ends, prepend=-1) - positives
    below = negatives.cumsum() - negatives
    return float((positives * (below + negatives / 2)).sum() / (positives.sum() * negatives.sum()))


def message(feature: str, auc: float, source: str | None) -> str:
    """One line about a feature that is too good; `source` is the column it comes from, None for a derived feature."""
    remedy = (
        f"use the table without it (`mlops data use … --drop {source}`), or set {source} to kind: ignore in"
        if source is not None
        else "remove it from derived: in"
    )
    return (
        f"feature {feature} alone gives the target away (AUC {auc:.4f} on training rows, {LIMIT} is the limit); if it"
        f" is only known after the outcome, {remedy} data/schema.yaml"
    )
