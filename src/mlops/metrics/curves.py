"""The points behind the plots, few enough to be committed: ROC, precision-recall, calibration, gain, confusion."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.features import Floats
from mlops.metrics.measure import Decision

POINTS = 200
CALIBRATION_BINS = 10
Z95 = 1.959964

Points = list[dict[str, Any]]


def roc(y: NDArray[np.int8], p: Floats) -> Points:
    """True against false positive rate, from (0, 0) to (1, 1)."""
    tp, fp, _ = _cumulated(y, p)
    tpr, fpr = tp / tp[-1], fp / fp[-1]
    return [{"fpr": _6(a), "tpr": _6(b)} for a, b in _thinned(fpr, tpr)]


def precision_recall(y: NDArray[np.int8], p: Floats) -> Points:
    """Precision against recall, one point per distinct probability before thinning."""
    tp, fp, _ = _cumulated(y, p)
    precision = tp[1:] / (tp[1:] + fp[1:])
    return [{"recall": _6(a), "precision": _6(b)} for a, b in _thinned(tp[1:] / tp[-1], precision)]


def gain(y: NDArray[np.int8], p: Floats) -> Points:
    """Share of all churners found against the share of customers contacted, riskiest first."""
    tp, fp, rows = _cumulated(y, p)
    shares = np.linspace(0, 1, 101)
    found = np.interp(shares, (tp + fp) / rows, tp / tp[-1])
    return [{"contacted": _6(a), "found": _6(b)} for a, b in zip(shares, found, strict=True)]


def calibration(y: NDArray[np.int8], p: Floats) -> Points:
    """Predicted against observed churn rate in ten equally filled bins, with Wilson's 95 % interval of the observed.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    order = np.argsort(p, kind="stable")
    points = []
    for rows in np.array_split(order, min(CALIBRATION_BINS, len(order))):
        n, rate = len(rows), float(y[rows].mean())
        middle = (rate + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
        half = Z95 * np.sqrt(rate * (1 - rate) / n + Z95**2 / (4 * n * n)) / (1 + Z95**2 / n)
        points.append(
            {
                "predicted": _6(float(p[rows].mean())),
                "observed": _6(rate),
                "low": _6(max(middle - half, 0.0)),
                "high": _6(min(middle + half, 1.0)),
                "rows": n,
            }
        )
    return points


def confusion(y: NDArray[np.int8], p: Floats, decision: Decision) -> Points:
    """Rows by outcome and decision at the threshold."""
    contacted = p >= decision.threshold
    names = {False: ("stayed", "leave alone"), True: ("churned", "contact")}
    return [
        {
            "actual": names[churned][0],
            "decision": names[contact][1],
            "rows": int(np.sum((y == churned) & (contacted == contact))),
        }
        for churned in (False, True)
        for contact in (False, True)
    ]


def _cumulated(y: NDArray[np.int8], p: Floats) -> tuple[Floats, Floats, int]:
    """Cumulated churners and stayers at the end of each run of equal probabilities, falling; starting with 0."""
    order = np.argsort(-p, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(p[order]) != 0, True))
    tp = np.cumsum(y[order], dtype=np.float64)[ends]
    fp = ends + 1 - tp
    return np.append(0.0, tp), np.append(0.0, fp), len(y)


def _thinned(x: Floats, y: Floats) -> list[tuple[float, float]]:
    """At most POINTS points, evenly along x, first and last kept."""
    if len(x) > POINTS:
        wanted = np.linspace(x[0], x[-1], POINTS)
        keep = np.unique(np.append(np.searchsorted(x, wanted), [0, len(x) - 1]))
        x, y = x[keep], y[keep]
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _6(value: float) -> float:
    return round(float(value), 6)
