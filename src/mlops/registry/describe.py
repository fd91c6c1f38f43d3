"""What is known of a commit's version from Git alone: metrics, digests, parameters, environment."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mlops import params, strict
from mlops.errors import ParamsError
from mlops.git import Git
from mlops.store import lock
from mlops.store.model import Model

INTERVALS = "metrics/evaluate/intervals.json"
PARTS = ("value", "low", "high")
LARGEST = 1e300
"""Beyond it a number of JSON is infinite, or a whole number that no float holds. NaN is on neither side."""
DATA, PREDICTIONS, NOTEBOOK = "data/raw", "data/predictions", "data/notebook"


def metrics(git: Git, commit: str) -> dict[str, Any]:
    """Test metrics with intervals, name → {value, low, high}, finite numbers all; empty where the commit has none."""
    content = git.read(commit, INTERVALS)
    if content is None:
        return {}
    try:
        found = json.loads(content)["metrics"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    named = found.items() if isinstance(found, dict) else ()
    return {name: {key: m[key] for key in PARTS} for name, m in named if _is_metric(m)}


def _is_metric(found: Any) -> bool:
    return isinstance(found, dict) and all(_is_number(found.get(key)) for key in PARTS)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def digests(git: Git, commit: str, model: Model) -> dict[str, str]:
    """What a version is made of: DVC's digests of data, model, predictions; sha256 of dvc.lock and requirements.txt."""
    found: dict[str, lock.Out | None] = {"model": model.out}
    if git.read(commit, lock.FILE) is not None:  # a notebook's model needs none
        made = lock.read(git, commit)
        found = {"data": made.out(DATA), **found, "predictions": made.out(PREDICTIONS)}
    if model.origin == "notebook":  # what dvc.lock names is the pipeline's, of another model
        found["predictions"] = lock.pointer(git, commit, NOTEBOOK)
    named = {name: out.md5 for name, out in found.items() if out is not None}
    for name, path in (("lock", "dvc.lock"), ("environment", "requirements.txt")):
        content = git.read(commit, path)
        if content is not None:
            named[name] = hashlib.sha256(content).hexdigest()
    return named


def parameters(git: Git, commit: str) -> dict[str, Any]:
    """params.yaml as of a commit, whatever keys it had then; empty where there is none."""
    content = git.read(commit, str(params.PATH))
    if content is None:
        return {}
    try:
        document = strict.read(content.decode("utf-8", "replace"), Path(f"params.yaml of {commit[:8]}"), ParamsError)
    except ParamsError:
        return {}
    return document if isinstance(document, dict) else {}


def flat(document: Any, prefix: str = "") -> dict[str, Any]:
    """A nested document as dotted names."""
    if not isinstance(document, dict):
        return {prefix: document}
    found: dict[str, Any] = {}
    for key, value in document.items():
        found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found
