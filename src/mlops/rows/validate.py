"""Whether rows keep the rules of data/schema.yaml: every value reads as its kind and lies where the schema says.

The rules are a pandera schema, checked a slice of rows at a time: the whole table never exists as a data frame.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandera.config import config_context

from mlops.errors import SchemaError
from mlops.features import FLOAT32_MAX
from mlops.schema import PATH, RESERVED, Column, Schema

SLICE = 131_072  # rows that are checked at once
MISSING = "is missing"
READ_KINDS = {"number": "a number", "truth": "a number", "boolean": "true or false", "date": "a date", "time": "a date"}
LEVEL_KINDS = ("category", "text", "id")
TRUE, FALSE = ("true", "t"), ("false", "f")
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
ISO_TIME = "%Y-%m-%d %H:%M:%S"  # how a date column with unreadable values writes the readable ones

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """Values of one column that do not read as its kind: row numbers, and the texts as they were written."""

    rows: Rows
    texts: pa.Array


@dataclass(frozen=True)
class Failure:
    """A rule and the rows that break it, in order. `rule` completes a sentence: "is above max 10"."""

    column: str
    rule: str
    rows: Rows


@dataclass(frozen=True)
class Checked:
    """A table whose columns have the types of their kinds, and which of its rows break which rules.

    Unreadable values are null in `table`; `unreadable` has them.
    """

    table: pa.Table
    failures: tuple[Failure, ...]
    unreadable: dict[str, Cells]

    @property
    def bad_rows(self) -> Rows:
        """Numbers of the rows that break any rule, ascending."""
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(f.rows for f in self.failures)]))


def check(table: pa.Table, schema: Schema) -> Checked:
    """Read what arrived as text, then test every rule on every row.

    Raises:
        SchemaError: a rule that its column's kind cannot have.
    """
    rules = pandera_schema(schema)
    read, unreadable = _read(table, schema)
    broken: dict[tuple[str, str], list[Rows]] = defaultdict(list)
    names = [name for name in rules.columns if not name.startswith(RESERVED)]
    flags = {f"{RESERVED}{name}": _flags(cells, table.num_rows) for name, cells in unreadable.items()}
    wanted = rules.select_columns([*names, *flags])
    for start in range(0, table.num_rows, SLICE):
        frame = read.select(names).slice(start, SLICE).to_pandas(ignore_metadata=True, split_blocks=True)
        frame = frame.assign(**{name: flag[start : start + SLICE] for name, flag in flags.items()})
        for column, rule, rows in _broken(wanted, frame):
            broken[column.removeprefix(RESERVED), rule].append(rows + start)
    failures = [Failure(column, rule, np.concatenate(rows)) for (column, rule), rows in broken.items()]
    return Checked(read, tuple(_told_once(failures, unreadable)), unreadable)


def pandera_schema(schema: Schema) -> pandera.DataFrameSchema:
    """The rules as pandera knows them; each check's name is what a row that breaks it is told.

    A column with a kind to be read as gets a second one, `__name`: true where its value could not be read.
    """
    columns: dict[str, pandera.Column] = {}
    for c in schema.columns:
        checks = [pandera.Check(kept, name=rule, ignore_na=False, n_failure_cases=1) for rule, kept in _rules(c)]
        if checks:
            columns[c.name] = pandera.Column(nullable=True, checks=checks)
        if c.kind in READ_KINDS:
            how = f" like {c.format}" if c.format else ""
            rule = f"is not {READ_KINDS[c.kind]}{how}"
            readable = pandera.Check(lambda s: ~s, name=rule, ignore_na=False, n_failure_cases=1)
            columns[f"{RESERVED}{c.name}"] = pandera.Column(checks=[readable])
    return pandera.DataFrameSchema(columns)


Rule = tuple[str, Callable[["pd.Series[float]"], "pd.Series[bool]"]]


def _rules(c: Column) -> Iterator[Rule]:
    """What a column's values must keep; every rule but `required` lets missing values pass."""
    if (c.min is not None or c.max is not None) and c.kind not in ("number", "truth"):
        raise SchemaError(f"{PATH}: {c.name}: min and max are for kind: number, this is a {c.kind}; remove them")
    if c.levels is not None and c.kind not in LEVEL_KINDS:
        raise SchemaError(f"{PATH}: {c.name}: levels are for {', '.join(LEVEL_KINDS)}, this is a {c.kind}; remove them")
    if c.kind == "ignore":
        return
    if c.required:
        yield MISSING, lambda s: s.notna()
    if c.kind in ("number", "truth"):
        yield "is beyond the numbers that models calculate with (±3.4e38)", lambda s: ~(s.abs() > FLOAT32_MAX)
    if c.min is not None:
        yield f"is below min {c.min:.15g}", _compared(lambda s: s < c.min)
    if c.max is not None:
        yield f"is above max {c.max:.15g}", _compared(lambda s: s > c.max)
    if c.levels is not None:
        yield "is none of the levels", _among(c.levels)
    if c.kind == "target":
        yield f"is neither {c.positive!r} nor {c.negative!r}", _among((str(c.positive), str(c.negative)))


def _compared(beyond: Callable[..., pd.Series[bool]]) -> Callable[..., pd.Series[bool]]:
    return lambda s: ~beyond(s)  # a comparison with NaN is false: missing values pass


def _among(words: tuple[str, ...]) -> Callable[..., pd.Series[bool]]:
    return lambda s: s.isin(words) | s.isna()


def _broken(schema: pandera.DataFrameSchema, frame: pd.DataFrame) -> Iterator[tuple[str, str, Rows]]:
    """(column, rule, rows) of every check that some row fails; rows count from the frame's first."""
    try:
        # An environment variable can switch pandera off; rows must be checked all the same.
        with config_context(validation_enabled=True, validation_depth="SCHEMA_AND_DATA"):
            schema.validate(frame, lazy=True, inplace=True)
    except pandera.errors.SchemaErrors as found:
        for error in found.schema_errors:
            if error.check_output is None:  # a check that raised: a fault of ours, not of a row
                raise error from None
            yield error.schema.name, error.check.name, np.flatnonzero(~error.check_output.to_numpy(dtype=bool))


def _told_once(failures: list[Failure], unreadable: dict[str, Cells]) -> Iterator[Failure]:
    """An unreadable value is null by now, but `required` has no quarrel with it."""
    for failure in failures:
        if failure.rule == MISSING and failure.column in unreadable:
            rows = np.setdiff1d(failure.rows, unreadable[failure.column].rows, assume_unique=True)
            failure = Failure(failure.column, failure.rule, rows)
        if len(failure.rows):
            yield failure


def _flags(cells: Cells, size: int) -> NDArray[np.bool_]:
    flags = np.zeros(size, dtype=bool)
    flags[cells.rows] = True
    return flags


def _read(table: pa.Table, schema: Schema) -> tuple[pa.Table, dict[str, Cells]]:
    """Columns of text as the kinds they should be; target and id always as text."""
    unreadable: dict[str, Cells] = {}
    for place, name in enumerate(table.column_names):
        column, values = schema.column(name), table.column(name)
        if column.kind in READ_KINDS and _is_text(values.type):
            values, cells = read_text(values, column)
            if len(cells.rows):
                unreadable[name] = cells
        elif column.kind in ("target", *LEVEL_KINDS) and not _is_text(values.type):
            values = pc.cast(values, pa.string())
        elif pa.types.is_timestamp(values.type) and column.kind in ("date", "time"):
            values = pc.cast(values, pa.timestamp("s"))  # Parquet has no seconds and gives milliseconds back
        elif _fits(values.type, column.kind):
            continue
        else:
            raise SchemaError(
                f"{PATH}: {name} is kind: {column.kind}, but data/raw holds {values.type} there; correct the"
                " kind, or run `dvc repro ingest`"
            )
        table = table.set_column(place, name, values)
    return table, unreadable


def _fits(held: pa.DataType, kind: str) -> bool:
    """Whether a column that is not read from text holds what its kind says."""
    if kind in ("number", "truth"):
        return bool(pa.types.is_integer(held) or pa.types.is_floating(held))
    if kind == "boolean":
        return bool(pa.types.is_boolean(held))
    return kind in ("target", "ignore", *LEVEL_KINDS) and _is_text(held)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))


def read_text(values: pa.ChunkedArray, column: Column) -> tuple[pa.ChunkedArray, Cells]:
    """A column of text as its kind, value by value: number → float64, boolean → bool, date → timestamp[s].

    Returns the values, null where missing or unreadable, and the unreadable ones.
    """
    text = pc.cast(values, pa.string()).combine_chunks()
    encoded = pc.dictionary_encode(text)  # each distinct text is read once
    words = pc.utf8_trim_whitespace(encoded.dictionary)
    if column.kind == "boolean":
        parsed = _booleans(words)
    elif column.kind in ("date", "time"):
        parsed = _dates(words, column.format)
    else:
        parsed = pc.cast(_only(words, pc.match_substring_regex(words, NUMBER)), pa.float64())
    result = parsed.take(encoded.indices)
    rows = np.flatnonzero(pc.and_(pc.is_valid(text), pc.is_null(result)).to_numpy(zero_copy_only=False))
    return pa.chunked_array([result]), Cells(rows, text.take(pa.array(rows)))


def _only(words: pa.Array, wanted: pa.Array) -> pa.Array:
    return pc.if_else(wanted, words, pa.scalar(None, words.type))


def _booleans(words: pa.Array) -> pa.Array:
    lower = pc.utf8_lower(words)
    true, false = (pc.is_in(lower, value_set=pa.array(known)) for known in (TRUE, FALSE))
    return _only(true, pc.or_(true, false))


def _dates(words: pa.Array, form: str | None) -> pa.Array:
    """Texts as timestamp[s], null where they are no date of that format."""
    iso = pc.strptime(words, format=ISO_TIME, unit="s", error_is_null=True)
    iso = _only(iso, pc.equal(pc.strftime(iso, format=ISO_TIME), words))
    if form is None:
        return iso
    dates = pc.strptime(words, format=form, unit="s", error_is_null=True)
    # Arrow makes 2 March of a 31 February: whatever landed in a month's first days is read again, strictly.
    suspects = np.flatnonzero(pc.fill_null(pc.less_equal(pc.day(dates), 3), False).to_numpy(zero_copy_only=False))
    wrong = np.zeros(len(words), dtype=bool)
    wrong[suspects] = [not _is_date(word, form) for word in words.take(pa.array(suspects)).to_pylist()]
    return pc.coalesce(iso, _only(dates, pa.array(~wrong)))


def _is_date(word: str, form: str) -> bool:
    try:
        return datetime.strptime(word, form) is not None
    except ValueError:
        return False
