"""The metrics of a model under many weightings of the customers at once: what makes thousands of resamples quick.

`mlops.metrics.measure.Scored` tells the same numbers one weighting at a time; a property test keeps the two together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops.features import Floats
from mlops.metrics.measure import SMALLEST, Decision

Outcomes = NDArray[np.int8]
Customers = NDArray[np.intp]
Counts = NDArray[np.int32]

BINS = 10


class Ranked:
    """Rows sorted once by falling probability. Drawn rows are counted in integers: exact, in whatever order.

    Args:
        y: outcomes, 0 or 1, both occur, shape (rows,).
        p: probabilities, shape (rows,).
        customers: number of each row's customer, 0 … n−1.
        decision: threshold, value and cost.
    """

    def __init__(self, y: Outcomes, p: Floats, customers: Customers, decision: Decision) -> None:
        order = np.argsort(-p, kind="stable")
        y, p = y[order], p[order]
        self._customers, self._decision = customers[order], decision
        clipped = np.clip(p, SMALLEST, 1 - SMALLEST)
        self._loss: Floats = -np.where(y == 1, np.log(clipped), np.log1p(-clipped))
        self._squared: Floats = (p - y) ** 2
        self._churners = np.flatnonzero(y)
        # Around each churner, the rows that its probability puts above it, and those above or level with it; both also
        # counted in churners only.
        above = np.searchsorted(-p, -p[self._churners], side="left")
        level = np.searchsorted(-p, -p[self._churners], side="right")
        self._above = above, np.searchsorted(self._churners, above)
        self._level = level, np.searchsorted(self._churners, level)
        contacted = int(np.searchsorted(-p, -decision.threshold, side="right"))
        self._contacted = contacted, int(np.searchsorted(self._churners, contacted))

    def measure(self, drawn: Counts) -> dict[str, Floats]:
        """All metrics, each of shape (draws,); NaN where a class was not drawn.

        drawn: how often each customer was drawn, shape (draws, customers).
        """
        w = drawn.take(self._customers, axis=1)
        weight = w.take(self._churners, axis=1)
        total, churners = _before(w), _before(weight)
        all_, churned = total[:, -1].astype(np.float64), churners[:, -1].astype(np.float64)
        stayed = all_ - churned
        rows, found = total.take(self._level[0], axis=1), churners.take(self._level[1], axis=1)
        # Twice the stayers that a churner is ranked below; level ones count once.
        wrong = rows - found + total.take(self._above[0], axis=1) - churners.take(self._above[1], axis=1)
        right = 2 * churned * stayed - np.einsum("ij,ij->i", weight, wrong, dtype=np.float64)
        precision = found / np.maximum(rows, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ranking = {
                "roc_auc": right / (2 * churned * stayed),
                "pr_auc": np.einsum("ij,ij->i", weight, precision) / churned,
                "log_loss": np.einsum("ij,j->i", w, self._loss) / all_,
                "brier": np.einsum("ij,j->i", w, self._squared) / all_,
            }
        contacted = total[:, self._contacted[0]], churners[:, self._contacted[1]]
        return ranking | self._decided(all_, churned, *contacted)

    def _decided(self, all_: Floats, churned: Floats, contacted: Counts, found: Counts) -> dict[str, Floats]:
        """What follows from who is contacted. found: how many of them churned."""
        d = self._decision
        stayed = all_ - churned
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "f1": np.where(contacted + churned > 0, 2 * found / (contacted + churned), 0.0),
                "precision": np.where(contacted > 0, found / contacted, 0.0),
                "recall": found / churned,
                "accuracy": (found + stayed - (contacted - found)) / all_,
                "expected_profit": (found * d.value_saved - contacted * d.cost_contact) / all_,
            }


def _before(weights: Counts) -> Counts:
    """The sums of the first 0, 1, … n weights of each draw, shape (draws, n + 1)."""
    sums = np.zeros((len(weights), weights.shape[1] + 1), dtype=np.int32)
    np.cumsum(weights, axis=1, dtype=np.int32, out=sums[:, 1:])
    return sums


class Calibration:
    """How far probabilities are from what happened: Σ over bins of |Σ (p − y)| / rows, weighted.

    With equally filled bins that is the mean distance of the bins' mean probability and observed rate (the expected
    calibration error; Naeini, Cooper & Hauskrecht, AAAI 2015). Bins stay as they are in every draw.

    Args:
        y, p, customers: as `Ranked` has them.
        bins: each row's bin, from `equal_bins`.
    """

    def __init__(self, y: Outcomes, p: Floats, customers: Customers, bins: NDArray[np.intp]) -> None:
        order = np.argsort(bins, kind="stable")
        self._customers = customers[order]
        self._distance: Floats = (p - y)[order]
        self._starts = np.flatnonzero(np.append(True, np.diff(bins[order]) != 0))

    def measure(self, drawn: Counts) -> dict[str, Floats]:
        """The error as `calibration`, shape (draws,); drawn as in `Ranked.measure`."""
        w = drawn.take(self._customers, axis=1)
        sums = np.add.reduceat(w * self._distance, self._starts, axis=1)
        return {"calibration": np.abs(sums).sum(axis=1) / w.sum(axis=1)}


def equal_bins(p: Floats, bins: int = BINS) -> NDArray[np.intp]:
    """Each row's bin by its probability: equally filled, as far as equal probabilities, which stay together, allow."""
    ordered = np.sort(p)
    middle = (np.searchsorted(ordered, p, side="left") + np.searchsorted(ordered, p, side="right")) / 2
    found: NDArray[np.intp] = np.minimum(middle * bins / len(p), bins - 1).astype(np.intp)
    return found
