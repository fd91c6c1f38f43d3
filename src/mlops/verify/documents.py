"""Two JSON documents or delimited texts of the same output: which values differ, with both of them."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from mlops.verify.close import Found, number, within

SHOWN = 4
DECIMAL = re.compile(r"\[?-?\d+(\.\d+)?([eE][+-]?\d+)?\]?")
_NOTHING = object()

Steps = tuple[str, ...]


def compare_json(recorded: Path, rebuilt: Path, ignored: Sequence[Steps] = (), spelled: bool = False) -> Found:
    """Compare two files of JSON; see `compare_documents`."""
    was, now = (json.loads(path.read_bytes()) for path in (recorded, rebuilt))
    return compare_documents(was, now, ignored, spelled)


def compare_documents(was: Any, now: Any, ignored: Sequence[Steps] = (), spelled: bool = False) -> Found:
    """Compare what was recorded with what was rebuilt.

    Args:
        was, now: as JSON is read.
        ignored: paths of keys whose values follow from other files, such as their digests.
        spelled: numbers stand in texts, as XGBoost writes some of them.
    """
    found = []
    for steps, a, b in _differences(was, now, ()):
        if not any(steps[: len(i)] == i for i in ignored):
            found.append((_close(a, b, spelled), f"{_joined(steps)} {_pair(a, b)}"))
    return _summed(found, "values")


def _differences(was: Any, now: Any, steps: Steps) -> Iterator[tuple[Steps, Any, Any]]:
    """Where two documents differ: path, value there in one and in the other."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            yield from _differences(was.get(key, _NOTHING), now.get(key, _NOTHING), (*steps, key))
    elif isinstance(was, list) and isinstance(now, list):
        for place, (a, b) in enumerate(zip_longest(was, now, fillvalue=_NOTHING)):
            yield from _differences(a, b, (*steps, _label(a if b is _NOTHING else b, place)))
    elif type(was) is not type(now) or was != now:
        yield steps, was, now


def _label(item: Any, place: int) -> str:
    """An element of a list by the name that it gives itself."""
    named = item if isinstance(item, dict) else {}
    name = named.get("feature") or named.get("name")
    return f"[{name}]" if isinstance(name, str) else f"[{place}]"


def _joined(steps: Steps) -> str:
    return ".".join(steps).replace(".[", "[")


def _pair(was: Any, now: Any) -> str:
    if was is _NOTHING or now is _NOTHING:
        there, where = (now, "rebuilt") if was is _NOTHING else (was, "recorded")
        return f"({_shown(there)}) is only in what was {where}"
    return f"{_shown(was)} recorded, {_shown(now)} rebuilt"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _close(was: Any, now: Any, spelled: bool) -> bool:
    """Whether two values that are not the same count as equal. Whole numbers, texts and true/false never do."""
    if spelled and isinstance(was, str) and isinstance(now, str):
        return _close_cells(was, now)
    kinds = {type(was), type(now)}
    if kinds - {int, float} or kinds == {int}:
        return False
    return bool(within(np.array([was], dtype=np.float64), np.array([now], dtype=np.float64))[0])


def _close_cells(was: str, now: str) -> bool:
    if not (DECIMAL.fullmatch(was) and DECIMAL.fullmatch(now)) or not re.search(r"[.eE]", was + now):
        return False
    a, b = (float(text.strip("[]")) for text in (was, now))
    return _close(a, b, spelled=False)


def compare_delimited(recorded: Path, rebuilt: Path, tab: bool = False) -> Found:
    """Compare two texts with a header, delimited by commas or tabs."""
    was, now = (_records(path, "\t" if tab else ",") for path in (recorded, rebuilt))
    if was[:1] != now[:1]:
        return Found(False, ("other columns",))
    if len(was) != len(now):
        return Found(False, (f"{len(was) - 1:,} rows recorded, {len(now) - 1:,} rebuilt",))
    found = []
    for place, (a, b) in enumerate(zip(was, now, strict=True)):
        if a == b:
            continue
        if len(a) != len(b):
            return Found(False, (f"row {place}: {len(a)} cells recorded, {len(b)} rebuilt",))
        for name, x, y in zip(was[0], a, b, strict=False):
            if x != y:
                found.append((_close_cells(x, y), f"row {place}, {name}: {x[:40]} recorded, {y[:40]} rebuilt"))
    return _summed(found, "cells")


def _records(path: Path, delimiter: str) -> list[list[str]]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def _summed(found: Sequence[tuple[bool, str]], what: str) -> Found:
    """The first few differences, those beyond the tolerance before the others."""
    if not found:
        return Found(True, (f"other bytes, the same {what}",))
    told = [words for _, words in sorted(found, key=lambda pair: pair[0])]
    more = (f"{len(told) - SHOWN:,} more {what}",) if len(told) > SHOWN else ()
    return Found(all(close for close, _ in found), ("; ".join((*told[:SHOWN], *more)),))
