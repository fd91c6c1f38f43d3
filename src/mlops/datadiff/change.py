"""What became of one column that both tables have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops.datadiff import drift, pair
from mlops.datadiff.pair import Mask, Pair
from mlops.datadiff.raw import Raw, is_date, is_number
from mlops.datadiff.result import Both, Column, Levels, Seen, Spread
from mlops.table.values import as_text

NUMBER, DATE, LEVEL, TEXT, OTHER = "number", "date", "level", "text", "other"
NAMES, LENGTH = 10, 80
"""Levels that are named, and characters of a name."""
Floats = NDArray[np.float64]


def form(was: Raw, now: Raw, name: str) -> str:
    """How a column of both is compared: as NUMBER, DATE, LEVEL or TEXT; OTHER: it is something else in each."""
    forms = {_form(raw.kinds[name], raw.types[name]) for raw in (was, now)}
    return forms.pop() if len(forms) == 1 else OTHER


def _form(kind: str, stored: pa.DataType) -> str:
    """The values' own type decides as well: one number that nobody can read leaves a whole column as text."""
    if kind == "text":
        return TEXT
    if kind in ("number", "truth") and is_number(stored):
        return NUMBER
    return DATE if kind in ("date", "time") and is_date(stored) else LEVEL


def read(was: Raw, now: Raw, name: str, as_form: str) -> Pair:
    """A column of both, comparable."""
    columns = was.column(name), now.column(name)
    return {NUMBER: pair.numbers, DATE: pair.moments}.get(as_form, pair.codes)(*columns)


def change(name: str, kind: str, as_form: str, values: Pair, changed: int | None) -> Column:
    """What became of a column.

    Args:
        kind: what the schema of the later table says it is.
        as_form: how it was read.
        changed: rows with another value.
    """
    gaps = values.missing()
    missing = Both(*(float(gap.mean()) if len(gap) else None for gap in gaps))
    common: dict[str, Any] = {"name": name, "kind": kind, "changed": changed, "missing": missing}
    if as_form in (NUMBER, DATE, TEXT):
        sides = _lengths(values) if as_form == TEXT else (_floats(values.before), _floats(values.after))
        spread = Both(*(_spread(side, gap, as_form) for side, gap in zip(sides, gaps, strict=True)))
        # Observation times go on by themselves: that a table has grown is no drift.
        moved = None if kind == "time" else drift.of_numbers(*sides)
        return Column(**common, drift=moved, spread=spread)
    if as_form == LEVEL:
        was, now = _counts(values)
        moved = None if kind in ("id", "time") else drift.of_levels(was, now)
        return Column(**common, drift=moved, levels=_levels(was, now, values.levels, named=kind != "id"))
    return Column(**common)


def _floats(values: pair.Array) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _lengths(values: Pair) -> tuple[Floats, Floats]:
    """Characters of each text, NaN where missing."""
    assert values.levels is not None
    # Texts that are none in the table, such as numbers that the schema calls text, are as long as they are written.
    texts = as_text(pa.chunked_array([values.levels]))
    each = np.append(pc.utf8_length(texts).to_numpy().astype(np.float64), np.nan)
    return each[values.before], each[values.after]


def _spread(values: Floats, gap: Mask, as_form: str) -> Spread:
    known = values[~gap]
    if not len(known):
        return Spread(None, None, None)
    low, high = float(known.min()), float(known.max())
    if as_form == DATE:
        return Spread(_iso(low), None, _iso(high))
    return Spread(low, float(known.mean()), high)


def _iso(microseconds: float) -> str:
    moment = str(np.datetime64(int(microseconds), "us").astype("datetime64[s]"))
    return moment.removesuffix("T00:00:00")


def _counts(values: Pair) -> tuple[drift.Counts, drift.Counts]:
    """Rows per level; last those without a value."""
    assert values.levels is not None
    size = len(values.levels)
    was, now = (np.where(side < 0, size, side).astype(np.int64) for side in (values.before, values.after))
    return np.bincount(was, minlength=size + 1), np.bincount(now, minlength=size + 1)


def _levels(was: drift.Counts, now: drift.Counts, levels: pa.Array, named: bool) -> Levels:
    b, a = was[:-1], now[:-1]
    new, vanished = (_seen(rows, other, levels, named) for rows, other in ((a, b), (b, a)))
    return Levels(int(np.count_nonzero(b)), int(np.count_nonzero(a)), new, vanished)


def _seen(rows: drift.Counts, other: drift.Counts, levels: pa.Array, named: bool) -> Seen:
    """Levels that have rows in one table only; who the rows are about is not named."""
    only = np.flatnonzero((rows > 0) & (other == 0))
    most = only[np.argsort(-rows[only], kind="stable")][:NAMES] if named else only[:0]
    names = as_text(pa.chunked_array([levels.take(pa.array(most, pa.int64()))])).to_pylist()
    return Seen(len(only), int(rows[only].sum()), tuple(str(name)[:LENGTH] for name in names))
