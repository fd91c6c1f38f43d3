"""The difference of two areas under the ROC curve without resampling: DeLong's variance, rows of a customer together.

E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
characteristic curves", Biometrics 44, 1988; for rows that belong together N. A. Obuchowski, "Nonparametric analysis of
clustered ROC curve data", Biometrics 53, 1997. With one row per customer the second is the first.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from mlops.features import Floats
from mlops.report.paired import Change, change
from mlops.report.ranked import Customers, Outcomes


def difference(y: Outcomes, p: tuple[Floats, Floats], customers: Customers, confidence: float) -> Change:
    """Both areas, their difference and its normal interval.

    Args:
        y: outcomes, 0 or 1, both occur, shape (rows,).
        p: the candidate's and the baseline's probabilities, each of shape (rows,).
        customers: number of each row's customer, 0 … n−1.
        confidence: of the interval, such as 0.95.
    """
    (area, parts), (other, others) = (_components(y, side) for side in p)
    error = math.sqrt(_variance(y, parts - others, area - other, customers))
    half = NormalDist().inv_cdf((1 + confidence) / 2) * error
    return change("roc_auc", (area, other), (area - other - half, area - other + half))


def _components(y: Outcomes, p: Floats) -> tuple[float, Floats]:
    """The area, and each row's structural component: the share of rows of the other class that it is ordered rightly
    with, ties half; the area is their mean over either class.
    """
    churned = y == 1
    positive, negative = p[churned], p[~churned]
    parts = np.empty(len(p))
    parts[churned], parts[~churned] = _below(positive, np.sort(negative)), 1 - _below(negative, np.sort(positive))
    return float(parts[churned].mean()), parts


def _below(p: Floats, ordered: Floats) -> Floats:
    """The share of `ordered` that is below each p, equal ones half."""
    ranks = np.searchsorted(ordered, p, side="left") + np.searchsorted(ordered, p, side="right")
    share: Floats = ranks / (2 * len(ordered))
    return share


def _variance(y: Outcomes, parts: Floats, area: float, customers: Customers) -> float:
    """Obuchowski's estimate; NaN where a class comes from a single customer. It is linear in the components, so those
    of a difference give the difference's variance.
    """
    n = int(customers.max()) + 1
    sums: list[Floats] = []
    counts: list[Floats] = []
    for outcome in (1, 0):
        inside = y == outcome
        rows = np.bincount(customers[inside], minlength=n).astype(np.float64)
        sums.append(np.bincount(customers[inside], parts[inside], minlength=n) - rows * area)
        counts.append(rows)
    positives, negatives = (float(c.sum()) for c in counts)
    with_positive, with_negative = (int(np.count_nonzero(c)) for c in counts)
    if with_positive < 2 or with_negative < 2:
        return math.nan
    own = [
        held / (held - 1) * float(np.sum(s * s)) / rows**2
        for held, s, rows in zip((with_positive, with_negative), sums, (positives, negatives), strict=True)
    ]
    shared = n / (n - 1) * float(np.sum(sums[0] * sums[1])) / (positives * negatives)
    return max(sum(own) + 2 * shared, 0.0)
