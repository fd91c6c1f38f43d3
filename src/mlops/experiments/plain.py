"""What people log, as JSON and YAML hold it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from mlops.errors import ExperimentError

_PART = re.compile(r"[^\x00-\x1f\x7f\\:]+")


def params(given: Mapping[str, Any]) -> dict[str, Any]:
    """Params as plain values; what is none (a callback, an estimator) as its text.

    Raises:
        ExperimentError: it is no mapping, or a name is empty.
    """
    if not isinstance(given, Mapping):
        raise ExperimentError(f"log_params takes a mapping, such as {{'max_depth': 4}}, not {type(given).__name__}")
    if any(not str(name).strip() for name in given):
        raise ExperimentError("a param needs a name, such as max_depth")
    return {str(name): value_of(value) for name, value in given.items()}


def value_of(value: Any) -> Any:
    """One value."""
    if isinstance(value, Mapping):
        return {str(key): value_of(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [value_of(inner) for inner in value]
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def path(name: str) -> str:
    """A name as a path inside a folder.

    Raises:
        ExperimentError: it leads elsewhere, or no file can be called that.
    """
    parts = name.split("/")
    if not all(_PART.fullmatch(part) and part not in (".", "..") for part in parts):
        raise ExperimentError(f"{name!r} is no name for a file; words and /, such as notes/errors.txt")
    return name
