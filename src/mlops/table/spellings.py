"""Levels that differ in case and blanks alone: `TRUE` in one file and `True` in the other are one level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from mlops.schema import Column
from mlops.table.values import encoded, present

Counts = dict[str, int]


@dataclass(frozen=True)
class Spellings:
    """What one column's levels become. merged: spelling → the one kept; apart: groups that one file tells apart."""

    merged: dict[str, str]
    rows: dict[str, int]
    apart: tuple[tuple[str, ...], ...]


def compare(parts: Sequence[Counts], levels: Sequence[str] = ()) -> Spellings:
    """Find spellings to merge among each file's levels and their counts.

    Spellings are merged when no file has two of them, to one that the schema lists, else the most frequent, else the
    first in alphabetical order. Within one file they may mean something, so there they stay apart.
    """
    total: Counts = {}
    for part in parts:
        for level, count in part.items():
            total[level] = total.get(level, 0) + count
    groups: dict[str, list[str]] = {}
    for level in sorted(total):
        groups.setdefault("".join(level.casefold().split()), []).append(level)
    merged: dict[str, str] = {}
    apart = []
    for group in (g for g in groups.values() if len(g) > 1):
        if any(sum(level in part for level in group) > 1 for part in parts):
            apart.append(tuple(group))
            continue
        kept = max(group, key=lambda level: (level in levels, total[level], level == group[0]))
        merged |= {level: kept for level in group if level != kept}
    return Spellings(merged, {level: total[level] for level in merged}, tuple(apart))


def count(values: pa.ChunkedArray, column: Column) -> Counts:
    """The levels of one file's column and how many rows have each."""
    codes, words = encoded(values)
    words = present(words, column)
    tally: Counts = {}
    for entry in pc.value_counts(pa.chunked_array(codes, pa.int32())).to_pylist() if codes else []:
        word = None if entry["values"] is None else words[entry["values"]].as_py()
        if word is not None:
            tally[word] = tally.get(word, 0) + entry["counts"]
    return tally


def merge(values: pa.ChunkedArray, merged: dict[str, str]) -> pa.ChunkedArray:
    """The column with each merged spelling replaced by the one that is kept."""
    if not merged:
        return values
    codes, words = encoded(values)
    words = pa.array([merged.get(word, word) for word in words.to_pylist()], pa.string())
    return pa.chunked_array([words.take(chunk) for chunk in codes], pa.string())
