"""Metrics of groups of customers: where a good average hides a bad group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.errors import ParamsError, nearest
from mlops.features import Coded, Floats, Values
from mlops.metrics import bootstrap
from mlops.metrics.measure import Decision, Scored

MOST_LEVELS = 12
MOST_COLUMNS = 8
BANDS = 4


def choose(features: Mapping[str, Values], wanted: str | Sequence[str]) -> dict[str, Coded]:
    """The columns that rows are grouped by, as groups.

    Args:
        features: test rows, a column per feature.
        wanted: "auto" (categories and yes/no numbers of few values, the first eight) or names of features.

    Raises:
        ParamsError: a name that is no feature.
    """
    if wanted == "auto":
        fit = [n for n, v in features.items() if _few(v)]
        return {name: _groups(features[name]) for name in fit[:MOST_COLUMNS]}
    for name in wanted:
        if name not in features:
            raise ParamsError(f"params.yaml: evaluate.slices: {name} is not a feature{nearest(name, features)}")
    return {name: _groups(features[name]) for name in wanted}


def _few(values: Values) -> bool:
    if isinstance(values, Coded):
        return 2 <= len(np.unique(values.codes[values.codes >= 0])) <= MOST_LEVELS
    known = np.unique(values[~np.isnan(values)])
    return len(known) == 2 and set(known.tolist()) == {0.0, 1.0}


def _groups(values: Values) -> Coded:
    """Levels as they are; numbers of many values in four equally filled bands."""
    if isinstance(values, Coded):
        return values
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) <= MOST_LEVELS:
        codes = np.searchsorted(distinct, values)
        names = tuple(f"{v:g}" for v in distinct)
    else:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BANDS + 1)))
        codes = np.searchsorted(edges[1:-1], values, side="left")
        names = tuple(f"{a:g} to {b:g}" for a, b in pairwise(edges))
    return Coded(np.where(np.isnan(values), -1, codes).astype(np.int32), names)


def report(
    groups: Mapping[str, Coded], rows: tuple[NDArray[np.int8], Floats, NDArray[np.int32]], decision: Decision,
    *, min_rows: int, resamples: int, confidence: float, seed: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """One entry per group of at least `min_rows` rows: size, churn rate, mean probability, ROC AUC with interval.

    rows: (y, p, number of the customer), each of shape (rows,). ROC AUC is None in a group of one class.
    """
    y, p, customers = rows
    found = []
    for column, coded in groups.items():
        for code, level in enumerate((*coded.levels, "(missing)")):
            inside = coded.codes == (code if code < len(coded.levels) else -1)
            if int(inside.sum()) < min_rows:
                continue
            scored = Scored(y[inside], p[inside], decision)
            _, numbers = np.unique(customers[inside], return_inverse=True)
            drawn = bootstrap.replicates(scored, numbers.astype(np.int32), resamples, seed)
            interval = bootstrap.intervals(drawn, confidence)["roc_auc"]
            found.append(_entry(column, level, scored, interval))
    return sorted(found, key=lambda e: (e["column"], e["level"]))


def _entry(column: str, level: str, scored: Scored, interval: bootstrap.Interval) -> dict[str, Any]:
    metrics = scored.metrics()
    auc = metrics["roc_auc"]
    known = np.isfinite(auc)
    return {
        "column": column,
        "level": level,
        "rows": len(scored.y),
        "churn_rate": round(float(scored.y.mean()), 6),
        "mean_probability": round(float(scored.p.mean()), 6),
        "roc_auc": round(auc, 6) if known else None,
        "low": round(interval.low, 6) if known and np.isfinite(interval.low) else None,
        "high": round(interval.high, 6) if known and np.isfinite(interval.high) else None,
        "expected_profit": round(metrics["expected_profit"], 6),
    }
