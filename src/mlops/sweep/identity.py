"""What a study is a study of: with other rows, another space or other code its numbers could not be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlops import train
from mlops.model import kinds
from mlops.params import VIEWS, Hyperparameters
from mlops.policy import Sweep
from mlops.store import digest
from mlops.sweep.space import Space, get

CODE = (
    "train.py", "encode.py", "features.py", "columns.py", "bundle.py", "model", "metrics/measure.py",
    "sweep/data.py", "sweep/objective.py", "sweep/space.py",
)  # fmt: skip
PACKAGES = ("numpy", "optuna", "scikit-learn")
FILES = ("plan.json", "train.parquet", "validation.parquet")
WORDS = {"data": "data/features", "space": "sweep of policy.yaml", "params": "params.yaml", "code": "the code"}
"""What a part of an identity is called."""


def parts(space: Space, sweep: Sweep, metric: str, limits: Mapping[str, float | None]) -> dict[str, str]:
    """Part → digest of it, of a study of data/features in the current folder."""
    searched = {name: values.model_dump(mode="json") for name, values in space.params.items()}
    wanted = {
        "params": searched, "validate": sweep.validate_.model_dump(), "seed": sweep.seed, "pruner": sweep.pruner,
        "startup": sweep.startup,
    }  # fmt: skip
    return {
        "data": _of([digest.of_file(train.FEATURES / name) for name in FILES]),
        "space": _of({**wanted, "metric": metric, "limits": dict(limits)}),
        "params": _of(_others(space)),
        "code": _of([_code(), {name: version(name) for name in PACKAGES}, _xgboost()]),
    }


def short(found: Mapping[str, str]) -> str:
    """What stands in names."""
    return _of(dict(found))[:6]


def _others(space: Space) -> dict[str, Any]:
    """Values of params.yaml that trials have too, since the space does not give them another in any case."""
    given = {name for name, values in space.params.items() if not values.when}
    keys = [key for key in _leaves(space.document) if any(_in(key, view) for view in VIEWS["train"])]
    found = {key: get(space.document, key) for key in keys if key not in given}
    if "model" not in given:  # what this kind has no use for does not matter
        known = kinds.DEFAULTS[space.document["model"]]
        found = {k: v for k, v in found.items() if k not in Hyperparameters.model_fields or k in known}
    return found


def _in(key: str, view: str) -> bool:
    return key == view or key.startswith(f"{view}.")


def _leaves(document: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, value in document.items():
        found += _leaves(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [f"{prefix}{name}"]
    return found


def _code() -> list[str]:
    root = Path(train.__file__).parent
    files = [f for name in CODE for f in (sorted((root / name).glob("*.py")) or [root / name])]
    return [f"{file.relative_to(root)} {digest.of_file(file)}" for file in files]


def _xgboost() -> str:
    import xgboost

    return str(xgboost.__version__)


def _of(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
