"""The report's metrics: those that the gate compared on the same rows, and whatever else metrics.json of either has."""

from __future__ import annotations

import json
import math
from typing import Any

from mlops.git import Git
from mlops.report import numbers
from mlops.report.base import Base
from mlops.report.facts import SHOWN, clip
from mlops.report.result import Result

METRICS = "metrics/evaluate/metrics.json"
CALIBRATION = "calibration"
BEST = "best_reachable_roc_auc"

Numbers = dict[str, float | None]


def measured(git: Git, base: Base, result: Result) -> list[dict[str, Any]]:
    """The deciding metric first, then the gate's others, then those that only metrics.json knows.

    The last have no interval: each commit measured them on its own test rows. They are left out where both say the
    same, unless nothing was compared.
    """
    before, after = (_recorded(git, commit) for commit in (base.commit, base.head))
    names = sorted((name for name in result.changes if name != CALIBRATION), key=lambda name: name != result.metric)
    found = [{**result.changes[name].facts(), "name": name, "compared": True, "there": "both"} for name in names]
    for name in sorted({**before, **after}, key=lambda name: name != result.metric):
        same = name in before and name in after and before[name] == after[name]
        if name not in result.changes and not (same and result.changes):
            found.append(_entry(name, before, after))
    return found[:SHOWN]


def reached(git: Git, commit: str) -> tuple[float | None, float | None]:
    """ROC AUC of a commit on its test rows, and what the true probabilities reach on them, as far as it is known."""
    recorded = _recorded(git, commit)
    return recorded.get("roc_auc"), recorded.get(BEST)


def _entry(name: str, before: Numbers, after: Numbers) -> dict[str, Any]:
    was, now = before.get(name), after.get(name)
    return {
        "candidate": now,
        "baseline": was,
        "difference": None if was is None or now is None else numbers.rounded(now - was),
        "low": None,
        "high": None,
        "better": None,
        "name": clip(name),
        "compared": False,
        "there": "new" if name not in before else "gone" if name not in after else "both",
    }


def _recorded(git: Git, commit: str) -> Numbers:
    """The numbers of a commit's metrics.json: None for one that is not finite; nothing where there is no such file."""
    content = git.read(commit, METRICS)
    try:
        document = json.loads(content) if content is not None else {}
    except (ValueError, RecursionError):
        return {}
    numbers = document.items() if isinstance(document, dict) else ()
    return {
        str(name): float(value) if math.isfinite(value) and abs(value) < 1e15 else None
        for name, value in numbers
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
