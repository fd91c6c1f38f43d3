"""Cells as the model reads them, and those that it does not take.

A cell is taken when it reads as its column's kind: a finite number within float32, whole where training saw whole
numbers only; true, false, yes, no, 1 or 0; a date of the table's format or ISO 8601. An empty cell and the words that
mean "no value" are missing, which is taken where training saw it. Levels that training did not see are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops import columns
from mlops.features import FLOAT32_MAX, Coded, Floats, Values
from mlops.schema import Column, Kind
from mlops.table import dates, numbers
from mlops.table.values import as_text, present

Flags = NDArray[np.bool_]

TRUE, FALSE = ("true", "t", "yes", "1"), ("false", "f", "no", "0")
NOT = {"number": "is not a finite number", "boolean": "is not true or false", "date": "is not a date"}


@dataclass(frozen=True)
class Rule:
    """What the model takes in one raw column. missing: words of this column that mean "no value"."""

    name: str
    kind: Kind
    nullable: bool
    whole: bool = False
    format: str | None = None
    levels: frozenset[str] | None = None
    missing: tuple[str, ...] = ()

    @property
    def column(self) -> Column:
        """The same as a column of data/schema.yaml."""
        return Column(self.name, self.kind, missing=self.missing, format=self.format)


@dataclass(frozen=True)
class Bad:
    """Cells of one column that are not taken, all for the same reason: rows (from 0) and what stands there."""

    column: str
    reason: str
    rows: NDArray[np.intp]
    values: list[str]


def rules(signature: Mapping[str, Any], missing: Mapping[str, Sequence[str]]) -> list[Rule]:
    """The rules of a model's signature. missing: column → its own words that mean "no value"."""
    return [
        Rule(
            described["name"],
            described["kind"],
            bool(described["nullable"]),
            bool(described.get("whole", False)),
            described.get("format"),
            frozenset(described["levels"]) if "levels" in described else None,
            tuple(missing.get(described["name"], ())),
        )
        for described in signature["inputs"]
    ]


def read(column: pa.ChunkedArray, rule: Rule, decimal: str) -> tuple[Values, list[Bad]]:
    """A column as the encoder takes it, and its bad cells, whose values are missing or arbitrary.

    column: strings (or a dictionary of them), or a Parquet file's own type that `accepts` takes; decimal: "." or ",".
    """
    if pa.types.is_dictionary(column.type) and not is_text(column.type.value_type):
        column = pc.cast(column, column.type.value_type)
    values, wrong = READERS[rule.kind](column, rule, decimal)
    if not rule.nullable:
        gaps = values.codes < 0 if isinstance(values, Coded) else np.isnan(values)
        for flags in wrong.values():
            gaps &= ~flags
        if gaps.any():
            wrong["is missing, which training never saw"] = gaps
    return values, [_bad(column, rule, reason, flags) for reason, flags in wrong.items()]


def _bad(column: pa.ChunkedArray, rule: Rule, reason: str, flags: Flags) -> Bad:
    rows = np.flatnonzero(flags)
    cells = column.take(pa.array(rows))
    texts = pc.cast(cells, pa.string()) if _holds_text(cells.type) else as_text(cells)
    return Bad(rule.name, reason, rows, ["" if text is None else text for text in texts.to_pylist()])


def _number(column: pa.ChunkedArray, rule: Rule, decimal: str) -> tuple[Values, dict[str, Flags]]:
    wrong: dict[str, Flags] = {}
    if _holds_text(column.type) or rule.missing:
        values, unread = _parsed(column, rule, lambda words: numbers.parse(words, decimal))
        if unread.any():
            wrong[NOT["number"]] = unread
    else:
        values = columns.floats(column)
    size = np.abs(values)
    if np.fmax.reduce(size, initial=0.0) > FLOAT32_MAX:  # fmax leaves NaN, the missing ones, out
        infinite, beyond = np.isinf(values), (size > FLOAT32_MAX) & np.isfinite(values)
        if infinite.any():
            wrong[NOT["number"]] = infinite
        if beyond.any():
            wrong[f"is beyond ±{FLOAT32_MAX:.3g}, the largest that the model reads"] = beyond
    if rule.whole and not pa.types.is_integer(column.type):
        broken = (values != np.floor(values)) & np.isfinite(values)
        if broken.any():
            wrong["is not a whole number, training saw no others"] = broken
    return values, wrong


def _boolean(column: pa.ChunkedArray, rule: Rule, decimal: str) -> tuple[Values, dict[str, Flags]]:
    if _holds_text(column.type):
        values, unread = _parsed(column, rule, _truths)
    else:
        values = columns.floats(column)
        unread = ~np.isnan(values) & (values != 0) & (values != 1)
    return values, {NOT["boolean"]: unread} if unread.any() else {}


def _truths(words: pa.Array) -> pa.Array:
    lower = pc.utf8_lower(words)
    true, false = (pc.is_in(lower, value_set=pa.array(known)) for known in (TRUE, FALSE))
    return pc.if_else(true, True, pc.if_else(false, False, pa.scalar(None, pa.bool_())))


def _date(column: pa.ChunkedArray, rule: Rule, decimal: str) -> tuple[Values, dict[str, Flags]]:
    if pa.types.is_temporal(column.type) or pa.types.is_null(column.type):
        return columns.values(_seconds(column), rule.kind), {}

    def parse(words: pa.Array) -> pa.Array:
        found = _iso(words)
        return found if rule.format is None else pc.coalesce(dates.parse(words, rule.format), found)

    values, unread = _parsed(column, rule, parse)
    return values, {NOT["date"]: unread} if unread.any() else {}


def _iso(words: pa.Array) -> pa.Array:
    """ISO 8601 as `dates.parse` reads it, its two usual forms much faster."""
    if pc.all(pc.is_in(pc.utf8_length(words), value_set=pa.array([10, 19, None], pa.int32()))).as_py():
        with suppress(pa.ArrowInvalid):
            return pc.cast(words, pa.timestamp("s"))
    return dates.parse(words, None)


def _seconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Moments in UTC, fractions of a second cut as training cuts them."""
    if not pa.types.is_timestamp(column.type):
        return column
    plain = pc.cast(column, pa.timestamp(column.type.unit))  # UTC where a time zone was named
    return plain if plain.type.unit == "s" else pc.cast(pc.floor_temporal(plain, unit="second"), pa.timestamp("s"))


def _text(column: pa.ChunkedArray, rule: Rule, decimal: str) -> tuple[Values, dict[str, Flags]]:
    found = columns.coded(column if _holds_text(column.type) else as_text(column))
    words = present(pa.array(found.levels, pa.string()), rule.column)
    if not words.null_count and words.to_pylist() == list(found.levels):
        return found, {}
    kept = np.append(np.asarray(pc.is_valid(words)), False)
    codes = np.where(kept[found.codes], found.codes, -1).astype(np.int32)
    return Coded(codes, tuple(pc.fill_null(words, "").to_pylist())), {}


Reader = Callable[[pa.ChunkedArray, Rule, str], tuple[Values, dict[str, Flags]]]
READERS: dict[str, Reader] = {
    "number": _number, "boolean": _boolean, "date": _date, "category": _text, "text": _text
}  # fmt: skip
"""Kind → a column as the encoder takes it, and reason → the rows that it does not take."""


def _parsed(column: pa.ChunkedArray, rule: Rule, parse: Callable[[pa.Array], pa.Array]) -> tuple[Floats, Flags]:
    """A column of texts, each distinct one read once: NaN where missing or not read, and where it was not read."""
    found = columns.coded(column if _holds_text(column.type) else as_text(column))
    words = present(pa.array(found.levels, pa.string()), rule.column)
    parsed = np.asarray(columns.values(pa.chunked_array([parse(words)]), rule.kind))
    unread = np.append(np.isnan(parsed) & np.asarray(pc.is_valid(words)), False)
    return found.lookup(parsed.tolist()), unread[found.codes]


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is one of Arrow's strings."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _holds_text(kind: pa.DataType) -> bool:
    return is_text(kind) or (pa.types.is_dictionary(kind) and is_text(kind.value_type))


def accepts(kind: Kind, held: pa.DataType) -> bool:
    """Whether a column of a Parquet file may hold values of a kind, cell by cell."""
    if pa.types.is_dictionary(held):
        held = held.value_type
    if is_text(held) or pa.types.is_null(held):
        return True
    numeric = pa.types.is_integer(held) or pa.types.is_floating(held) or pa.types.is_decimal(held)
    if kind == "number":
        return bool(numeric)
    if kind == "boolean":
        return bool(numeric or pa.types.is_boolean(held))
    moment = bool(pa.types.is_timestamp(held) or pa.types.is_date(held))
    if kind == "date":
        return moment or bool(pa.types.is_integer(held))
    return moment or bool(numeric or pa.types.is_boolean(held))


def without(values: Values, good: Flags) -> Values:
    """The rows of a column that are good."""
    return Coded(values.codes[good], values.levels) if isinstance(values, Coded) else values[good]


def unseen(values: Values, rule: Rule) -> int:
    """Rows whose level the model does not know."""
    if rule.levels is None or not isinstance(values, Coded):
        return 0
    new = np.array([level not in rule.levels for level in values.levels] + [False])
    return int(np.count_nonzero(new[values.codes]))
