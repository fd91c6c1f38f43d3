"""Which features a model leans on, before and now: where a target that leaked into the features shows first."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any

from mlops.git import Git
from mlops.report.base import Base
from mlops.report.facts import clip

IMPORTANCE = "metrics/evaluate/plots/importance.csv"
SHOWN = 6
MOVED = 0.002
"""A smaller change of ROC AUC lost by shuffling is not worth a line."""
CHANCE = 0.01
"""By so much a model may be better than the true probabilities on some thousand rows without knowing more."""
LEANING = 0.5
"""Share of ROC AUC above 0.5 that rests on a feature, and did not before, from which on a leak is likely."""

Importance = Mapping[str, float]


def read(git: Git, base: Base) -> tuple[Importance, Importance]:
    """Feature → ROC AUC lost when it is shuffled, of the merge base and of the commit; empty where not known."""
    before, after = git.contents([f"{commit}:{IMPORTANCE}" for commit in (base.commit, base.head)])
    return _parsed(before), _parsed(after)


def moved(before: Importance, after: Importance) -> list[dict[str, Any]]:
    """The features whose importance changed most; None where a side does not know the feature."""
    if not before or not after:
        return []
    change = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in {**after, **before}}
    names = sorted((n for n in change if abs(change[n]) >= MOVED), key=lambda n: (-abs(change[n]), n))
    return [{"name": clip(n), "before": before.get(n), "after": after.get(n)} for n in names[:SHOWN]]


def suspicions(before: Importance, after: Importance, reached: float | None, best: float | None) -> Iterator[str]:
    """What looks as if the model knew the outcome.

    Args:
        before, after: as `read` has them.
        reached: the commit's ROC AUC on its test rows.
        best: what the true probabilities reach on them; only a simulator knows.
    """
    if reached is None:
        return
    if best is not None and reached > best + CHANCE:
        yield (
            f"roc_auc {reached:.4f} is above {best:.4f}, the best that can be reached on these rows:"
            " something in them gives the outcome away"
        )
    for name, lost in after.items():
        if before and lost - before.get(name, 0.0) > LEANING * (reached - 0.5) > 0:
            yield (
                f"the model leans on {clip(name)}: shuffled, roc_auc falls by {lost:.4f}, before by"
                f" {before.get(name, 0.0):.4f}; is it known when a prediction is asked for?"
            )


def _parsed(content: bytes | None) -> Importance:
    if content is None:
        return {}
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""))
        found = {str(row["feature"]): float(row["importance"]) for row in rows}
    except (csv.Error, ValueError, KeyError, TypeError):
        return {}
    return {name: value for name, value in found.items() if math.isfinite(value) and abs(value) <= 1}
