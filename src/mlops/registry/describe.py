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
DATA, PREDICTIONS = "data/raw", "data/predictions"


def metrics(git: Git, commit: str) -> dict[str, Any]:
    """Test metrics with intervals, name → {value, low, high}; empty where the commit has none."""
    content = git.read(commit, INTERVALS)
    if content is None:
        return {}
    try:
        found = json.loads(content)["metrics"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def digests(git: Git, commit: str, model: Model) -> dict[str, str]:
    """What a version is made of: DVC's digests of data, model, predictions; sha256 of dvc.lock and requirements.txt."""
    made = lock.read(git, commit)
    found = {"data": made.out(DATA), "model": model.out, "predictions": made.out(PREDICTIONS)}
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
