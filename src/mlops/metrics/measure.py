"""Metrics of scored rows, weighted, so that one sort serves a thousand bootstrap resamples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlops.features import Floats

HIGHER_IS_BETTER = {
    "roc_auc": True,
    "pr_auc": True,
    "log_loss": False,
    "brier": False,
    "f1": True,
    "precision": True,
    "recall": True,
    "accuracy": True,
    "expected_profit": True,
}
"""The metrics, in the order they are shown."""

SMALLEST = 5e-7
"""Probabilities have six decimals; one written as 0 may have been up to this before log loss is taken of it."""


@dataclass(frozen=True)
class Decision:
    """Who is contacted (p ≥ threshold) and what it is worth: a churner brings value_saved, a contact costs."""

    threshold: float
    value_saved: float
    cost_contact: float


class Scored:
    """Rows with outcome and probability, sorted once by falling probability.

    Args:
        y: outcomes, 0 or 1, shape (rows,).
        p: probabilities, shape (rows,).
        decision: threshold, value and cost.
    """

    def __init__(self, y: NDArray[np.int8], p: Floats, decision: Decision) -> None:
        self.order = np.argsort(-p, kind="stable")
        self.y = y[self.order].astype(np.float64)
        self.p = p[self.order]
        self.decision = decision
        self._ends = np.flatnonzero(np.append(np.diff(self.p) != 0, True))  # last row of each run of equal p
        self._contacted = int(np.searchsorted(-self.p, -decision.threshold, side="right"))
        clipped = np.clip(self.p, SMALLEST, 1 - SMALLEST)
        self._loss = -np.where(self.y == 1, np.log(clipped), np.log1p(-clipped))
        self._squared = (self.p - self.y) ** 2

    def metrics(self, weight: Floats | None = None) -> dict[str, float]:
        """All metrics; NaN where a class has no weight. weight: per row in the original order (None: 1 each).

        roc_auc: area under the ROC curve, ties count half. pr_auc: average precision. expected_profit: money per row.
        """
        w = np.ones(len(self.y)) if weight is None else weight[self.order]
        total, positive = np.cumsum(w), np.cumsum(w * self.y)
        all_, churned = float(total[-1]), float(positive[-1])
        stayed = all_ - churned
        tp_at, all_at = positive[self._ends], total[self._ends]
        contacted, found = self._sums_at_threshold(total, positive)
        nan = float("nan")
        both = churned > 0 and stayed > 0
        return {
            "roc_auc": _roc_auc(tp_at, all_at - tp_at) if both else nan,
            "pr_auc": _average_precision(tp_at, all_at) if churned else nan,
            "log_loss": float(w @ self._loss) / all_,
            "brier": float(w @ self._squared) / all_,
            "f1": 2 * found / (contacted + churned) if contacted + churned else 0.0,
            "precision": found / contacted if contacted else 0.0,
            "recall": found / churned if churned else nan,
            "accuracy": (found + stayed - (contacted - found)) / all_,
            "expected_profit": (found * self.decision.value_saved - contacted * self.decision.cost_contact) / all_,
        }

    def _sums_at_threshold(self, total: Floats, positive: Floats) -> tuple[float, float]:
        k = self._contacted
        return (float(total[k - 1]), float(positive[k - 1])) if k else (0.0, 0.0)


def _roc_auc(tp: Floats, fp: Floats) -> float:
    heights = (tp + np.append(0.0, tp[:-1])) / 2
    return float(np.diff(fp, prepend=0.0) @ heights / (tp[-1] * fp[-1]))


def _average_precision(tp: Floats, contacted: Floats) -> float:
    precision = np.divide(tp, contacted, out=np.zeros_like(tp), where=contacted > 0)
    return float(np.diff(tp, prepend=0.0) @ precision / tp[-1])


def roc_auc(y: NDArray[np.int8], p: Floats) -> float:
    """Area under the ROC curve of plain rows; NaN when one class is absent."""
    return Scored(y, p, Decision(0.5, 1, 1)).metrics()["roc_auc"]
