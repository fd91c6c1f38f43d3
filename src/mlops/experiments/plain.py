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
    if any(not text(name).strip() for name in given):
        raise ExperimentError("a param needs a name, such as max_depth")
    try:
        return {text(name): value_of(value) for name, value in given.items()}
    except RecursionError:
        raise ExperimentError("params that hold themselves cannot be written down; log what is inside") from None


def value_of(value: Any) -> Any:
    """One value."""
    if isinstance(value, Mapping):
        return {text(key): value_of(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [value_of(inner) for inner in value]
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float)) else text(value)


def text(given: Any) -> str:
    """Anything as a text that UTF-8 can hold, whatever its own `__str__` does."""
    try:
        found = given.decode("utf-8", "backslashreplace") if isinstance(given, bytes) else str(given)
    except Exception:
        return f"<{type(given).__name__}>"
    return found.encode("utf-8", "backslashreplace").decode()


def step(given: Any) -> int:
    """The step of a curve's point.

    Raises:
        ExperimentError: it is no number.
    """
    try:
        return int(given)
    except (TypeError, ValueError, OverflowError):
        raise ExperimentError(f"step={given!r} is no step of a curve; steps are whole numbers, 0, 1, 2") from None


def path(name: str) -> str:
    """A name as a path inside a folder.

    Raises:
        ExperimentError: it leads elsewhere, or no file can be called that.
    """
    parts = name.split("/") if isinstance(name, str) else [""]
    bad = (".", "..", ".git")
    if not all(_PART.fullmatch(part) and part.lower() not in bad and part == text(part) for part in parts):
        raise ExperimentError(f"{name!r} is no name for a file; words and /, such as notes/errors.txt")
    return name
