"""Fitting the encoder, on training rows only.

A level's churn rate on the rows that a model then trains on tells it their own labels. So training rows get the rate
computed without their own fold (cross-fitting), with all rows of a customer in one fold; everybody else gets the rate
over all training rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlops.encode import Block, Encoder, Matrix, Number, OneHot, TargetMean
from mlops.features import Coded, Plan, Values

FOLDS = 5
LEAST_WEIGHT, MOST_WEIGHT = 1.0, 10_000.0
"""Bounds of the prior's weight, in rows."""


@dataclass(frozen=True)
class LevelRules:
    """More than `one_hot_levels` levels are encoded by rate; of fewer, those under `min_rows` share a column."""

    one_hot_levels: int
    min_rows: int


def fit(
    plan: Plan, features: Mapping[str, Values], y: NDArray[np.int8], folds: NDArray[np.intp], rules: LevelRules
) -> tuple[Encoder, Matrix]:
    """Fit the encoder and encode its own training rows, cross-fitted.

    Args:
        plan: which features there are, in order.
        features: training rows, a column per feature.
        y: 0 or 1 per row.
        folds: 0 … FOLDS−1 per row, the same for all rows of a customer.
        rules: how levels are treated.

    Returns:
        The encoder and the training matrix, float32 of shape (rows, encoder.width).
    """
    blocks: list[Block] = []
    out_of_fold: dict[int, NDArray[np.float64]] = {}
    for f in plan.features:
        column = features[f.name]
        if not isinstance(column, Coded):
            blocks.append(Number(f.name))
            continue
        counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.levels))
        few = np.count_nonzero(counts) <= rules.one_hot_levels
        least = rules.min_rows if few else 1
        levels = sorted(level for level, n in zip(column.levels, counts, strict=True) if n >= least)
        if few:
            blocks.append(OneHot(f.name, tuple(levels)))
        else:  # rare levels keep a rate of their own: it is shrunk by how few rows they have
            out_of_fold[len(blocks)] = _cross_fitted(column, levels, y, folds)
            blocks.append(_target_mean(f.name, column, levels, y))
    encoder = Encoder(plan, tuple(blocks))
    matrix = encoder.matrix(features)
    for block, rates in out_of_fold.items():
        matrix[:, encoder.starts[block]] = rates
    return encoder, matrix


def customer_folds(customers: Coded, seed: int) -> NDArray[np.intp]:
    """A fold for each row, one for all rows of a customer, drawn for customers in the order of their names."""
    order = np.argsort(np.argsort(np.array(customers.levels, dtype=object)))
    drawn = np.random.default_rng(seed).integers(0, FOLDS, len(order))
    return np.asarray(drawn[order][customers.codes], dtype=np.intp)


def _levels(column: Coded, seen: list[str]) -> NDArray[np.intp]:
    """Row → index of its level; unseen ones have the next index, missing the one after."""
    place = {level: i for i, level in enumerate(seen)}
    unseen = len(seen)
    table = [*(place.get(level, unseen) for level in column.levels), unseen + 1]
    return np.array(table, dtype=np.intp)[column.codes]


def _rates(rows: NDArray[np.intp], y: NDArray[np.int8], levels: int) -> NDArray[np.float64]:
    """Churn rate per level, shrunk towards the mean: (churned + m · mean) / (rows + m); without rows, the mean.

    m = mean (1 − mean) / τ², the prior's weight in rows, from the variance τ² of the levels' true rates as the ANOVA
    estimator gives it (Searle, Casella & McCulloch, "Variance Components", 1992, section 3.6): levels that differ by
    chance alone are all shrunk to the mean. scikit-learn's TargetEncoder instead takes a level of ten stayers at its
    word, rate 0, which costs where churn is rare. Rounded, so that a sum's last bit never shows.
    """
    count = np.bincount(rows, minlength=levels).astype(np.float64)
    churned = np.bincount(rows, weights=y, minlength=levels)
    total, mean = count.sum(), y.mean()
    seen = count > 0
    deviation = float(np.sum(count[seen] * (churned[seen] / count[seen] - mean) ** 2))
    noise = (np.count_nonzero(seen) - 1) * mean * (1 - mean)
    spread = (deviation - noise) / max(total - np.sum(count**2) / total, 1.0)
    weight = mean * (1 - mean) / spread if spread > 0 else MOST_WEIGHT
    weight = min(max(weight, LEAST_WEIGHT), MOST_WEIGHT)
    return np.asarray(np.round((churned + weight * mean) / (count + weight), 9))


def _target_mean(name: str, column: Coded, seen: list[str], y: NDArray[np.int8]) -> TargetMean:
    *rates, other, missing = _rates(_levels(column, seen), y, len(seen) + 2).tolist()
    return TargetMean(name, tuple(seen), tuple(rates), other, missing)


def _cross_fitted(column: Coded, seen: list[str], y: NDArray[np.int8], folds: NDArray[np.intp]) -> NDArray[np.float64]:
    rows = _levels(column, seen)
    rates = np.empty(len(rows))
    for fold in range(FOLDS):
        inside = folds == fold
        others = ~inside
        if inside.any() and others.any():
            rates[inside] = _rates(rows[others], y[others], len(seen) + 2)[rows[inside]]
        elif inside.any():  # a single customer: nothing else to learn its rate from
            rates[inside] = float(np.mean(y))
    return rates
