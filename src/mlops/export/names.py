"""What MLflow takes: names without odd characters, values that are not too long. The rest is changed, always alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

LONGEST_NAME, LONGEST_PARAM, LONGEST_TAG, LONGEST_ALIAS = 250, 6000, 8000, 255
MOST_METRICS, MOST_PARAMS, MOST_BYTES = 900, 100, 500_000
"""Entries of one request, 1000 in all, and bytes of its params, half of what a server takes."""
_REFUSED = re.compile(r"[^/\w.\- :]")
_NO_PATH = re.compile(r"[?#%\\\x00-\x1f]")
_ALIAS_REFUSED = re.compile(r"[^\w\-]")
_RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)
T = TypeVar("T")


def name(text: str) -> str:
    """A param's, metric's or tag's name as MLflow takes it: another character becomes an underscore."""
    kept = _REFUSED.sub("_", text)
    parts = [part for part in kept.split("/") if part not in ("", ".")]
    kept = "/".join("_" if part == ".." else part for part in parts) or "_"
    return kept if len(kept) <= LONGEST_NAME else f"{kept[: LONGEST_NAME - 1].rstrip('/')}_"


def path(text: str) -> str:
    """A file's path as it reaches the server: the client puts it into an address as it is, where these mean more."""
    return _NO_PATH.sub("_", text)


def named(values: Mapping[str, T], allowed: Callable[[str], str] = name) -> tuple[dict[str, T], dict[str, str]]:
    """Values under names that MLflow takes, and which names were changed: old → new. Two never become one."""
    found: dict[str, T] = {}
    changed: dict[str, str] = {}
    for old in sorted(values, key=lambda key: (allowed(key) != key, key)):  # those that may stay come first
        new, number = allowed(old), 2
        while new in found:
            new, number = f"{allowed(old)[: LONGEST_NAME - 5]}-{number}", number + 1
        found[new] = values[old]
        if new != old:
            changed[old] = new
    return found, changed


def text(value: Any, longest: int) -> str:
    """A value as a text that is not too long."""
    said = value if isinstance(value, str) else str(value)
    return said if len(said) <= longest else f"{said[: longest - 1]}…"


def alias(stage: str) -> str:
    """What a stage is called as an alias."""
    kept = _ALIAS_REFUSED.sub("-", stage)[: LONGEST_ALIAS - 6]
    return f"stage-{kept}" if _RESERVED_ALIAS.fullmatch(kept) else kept


def batches(entries: Iterable[T], most: int, size: Mapping[int, int] | None = None) -> Iterator[Sequence[T]]:
    """Entries in requests that a server takes. size: of each entry by its place, in bytes of JSON."""
    batch: list[T] = []
    filled = 0
    for place, entry in enumerate(entries):
        weight = size[place] if size else 0
        if batch and (len(batch) == most or filled + weight > MOST_BYTES):
            yield batch
            batch, filled = [], 0
        batch.append(entry)
        filled += weight
    if batch:
        yield batch
