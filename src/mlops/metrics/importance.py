"""Permutation importance: how much ROC AUC is lost when a feature's values are shuffled among rows.

L. Breiman, "Random Forests", 2001; independent of the kind of model, measured on test rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.bundle import Bundle
from mlops.encode import Matrix
from mlops.metrics.measure import roc_auc

REPEATS = 3
MOST_ROWS = 3000


def permutation(model: Bundle, x: Matrix, y: NDArray[np.int8], seed: int) -> list[dict[str, Any]]:
    """One entry per feature, most important first: mean loss of ROC AUC over three shuffles, and its spread.

    Args:
        model: the served model.
        x: encoded test rows; at most 3,000 of them, evenly spread, are used.
        y: their outcomes.
        seed: of the shuffling.
    """
    if len(x) > MOST_ROWS:
        keep = np.linspace(0, len(x) - 1, MOST_ROWS).astype(np.intp)
        x, y = x[keep], y[keep]
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(x)) for _ in range(REPEATS)]
    whole = roc_auc(y, model.raw_scores(x))
    entries = []
    for block, start in zip(model.encoder.blocks, model.encoder.starts, strict=True):
        columns = slice(start, start + len(block.names))
        losses = [whole - roc_auc(y, _shuffled_scores(model, x, columns, order)) for order in orders]
        entries.append(
            {
                "feature": block.feature,
                "importance": round(float(np.mean(losses)), 6),
                "spread": round(float(np.std(losses)), 6),
            }
        )
    return sorted(entries, key=lambda e: (-float(e["importance"]), str(e["feature"])))


def _shuffled_scores(model: Bundle, x: Matrix, columns: slice, order: NDArray[np.intp]) -> NDArray[np.float64]:
    shuffled = x.copy()
    shuffled[:, columns] = x[order, columns]
    return model.raw_scores(shuffled)
