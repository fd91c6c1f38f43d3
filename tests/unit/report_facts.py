"""A report's facts, as whole as they can be, for tests of words and checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CHANGE = {"candidate": 0.81, "baseline": 0.8, "difference": 0.01, "low": 0.004, "high": 0.016, "better": True}
ALONE = {"compared": False, "difference": None, "low": None, "high": None, "better": None}
MANY = 25


def metric(name: str, **changes: Any) -> dict[str, Any]:
    return {**CHANGE, "name": name, "compared": True, "there": "both", **changes}


def values(name: str) -> dict[str, Any]:
    shown = [{"name": f"{name}.{i}", "before": "1", "after": None, "stages": ["train"]} for i in range(MANY)]
    return {"count": 50, "shown": shown}


def whole() -> dict[str, Any]:
    """Every part has something to say."""
    line = [[0.0, 0.0], [0.2, 0.5], [1.0, 1.0]]
    group = {"column": "plan", "level": "Basic", "rows": 300}
    moved = {"candidate": 0.6, "baseline": 0.7, "difference": -0.1, "low": -0.15, "high": -0.05}
    worst = {**group, **moved, "broken": True}
    return {
        "verdict": "better",
        "metric": "roc_auc",
        "passed": False,
        "headline": "better: roc_auc 0.8100 against 0.8000 of main (bbbbbbbb), +0.0100 [+0.0040, +0.0160]",
        "reasons": ["slices: roc_auc is worse in plan = Basic; `dvc repro`"],
        "compared": {
            "head": "a" * 40, "base": "b" * 40, "branch": "main", "name": "main (bbbbbbbb)", "ahead": 2, "behind": 1,
            "first": False, "basis": "same test rows", "words": "600 test rows that both have", "rows": 600,
            "customers": 300, "uncommitted": ["params.yaml"], "uncommitted_files": 1,
        },
        "limits": {"max_loss": 0.01, "min_effect": 0.002, "confidence": 0.95, "slices": 0.05, "calibration": 0.005},
        "checks": [
            {"name": "lock", "passed": True, "words": "dvc.lock is current", "waived": None},
            {"name": "slices", "passed": False, "words": "plan = Basic is worse", "waived": None},
            {"name": "size", "passed": False, "words": "300 MB, limit 100 MB", "waived": "needed"},
        ],
        "notes": ["waived by gate.waive of policy.yaml: size: needed"],
        "metrics": [
            metric("roc_auc"),
            metric("log_loss", better=False),
            metric("expected_profit", candidate=1.2, baseline=1.0, difference=0.2, low=0.1, high=0.3),
            metric("mine", **ALONE, there="new", baseline=None),
            metric("theirs", **ALONE, there="gone", candidate=None),
            metric("odd", **ALONE, candidate=None),
        ],
        "delong": CHANGE,
        "decisions": {
            "rows": 600, "churned": 100, "predicted": [0.16, 0.17], "contacted": [150, 140], "money": [100.0, 10.0],
            "newly": [12, 8], "no_longer": [3, 7], "p_value": 0.004, "groups": [{**group, "flipped": 20}],
        },
        "slices": {"judged": 5, "worse": [worst], "worst": worst},
        "calibration": CHANGE,
        "features": [{"name": "minutes", "before": 0.02, "after": None}],
        "params": values("param"),
        "policy": {"count": 1, "shown": [{"name": "gate.max_loss", "before": "0.01", "after": "0.5", "stages": []}]},
        "code": {
            "count": 1, "files": [{"path": "src/fit.py", "added": 3, "removed": None, "stages": ["train"]}],
            "others": [{"name": "docs", "files": 2}, {"name": ".", "files": 1}], "outputs": ["models/serving"],
        },
        "data": {
            "lines": ["rows: 600 → 700; 100 added"], "others": 4,
            "columns": [{"name": "price", "cells": ["PSI 0.300 large", "mean 1 → 2", "", "17"]}],
        },
        "cost": {"size": [1_000_000, 900_000], "latency": "one row takes 0.1 ms", "train_seconds": 3.2},
        "environment": {"count": 1, "shown": [{"name": "numpy", "before": "2.4.0", "after": "2.4.1", "stages": []}]},
        "curves": [
            {"name": "gain", "before": line, "after": line},
            {"name": "calibration", "before": None, "after": [[0.05, 0.06], [0.2, 0.18]]},
        ],
    }  # fmt: skip


def replaced(document: Any, change: Callable[[str], str]) -> Any:
    """The document with every free text replaced; what is one of a few words or a hash stays, and so does the verdict
    that the headline begins with.
    """
    fixed = {"verdict", "metric", "there", "head", "base"}
    if isinstance(document, dict):
        curve = set(document) == {"name", "before", "after"}
        found = {
            key: value if key in fixed or (curve and key == "name") else replaced(value, change)
            for key, value in document.items()
        }
        return found | {"headline": f"{found['verdict']}: {found['headline']}"} if "headline" in found else found
    if isinstance(document, list):
        return [replaced(value, change) for value in document]
    return change(document) if isinstance(document, str) else document
