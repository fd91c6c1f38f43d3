"""`mlops data show`: what each column was taken for, as a table for people or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlops import params, schema
from mlops.schema import Column, Schema
from mlops.table import project
from mlops.table.values import unreadable

LEVELS = 4
WIDTH = 24
NAME, HOLDS, NOTE = 32, 48, 28  # most characters of a name and of what a column holds, fewest of a note
UNFOLDED = 140  # characters of a line that no terminal folds
MANY_LEVELS = 100
MOSTLY = 0.5


@dataclass(frozen=True)
class Described:
    """One column: missing and distinct are None for columns that are left out."""

    name: str
    kind: str
    missing: int | None
    distinct: int | None
    example: str
    note: str


@dataclass(frozen=True)
class Summary:
    """A whole table. labelled, positives: rows of the table (not the test file) with a target, and with churn."""

    rows: int
    test_rows: int
    target: str
    positive: str
    negative: str
    labelled: int
    positives: int
    columns: tuple[Described, ...]
    warnings: tuple[str, ...]

    @property
    def rate(self) -> float:
        """Share of churn among the labelled rows."""
        return self.positives / self.labelled if self.labelled else 0.0


def current() -> Summary:
    """The table that the project is pointed at, described.

    Raises:
        MlopsError: the files or data/schema.yaml cannot be read, or do not fit.
    """
    from mlops.table.read import read_source
    from mlops.table.typed import read_table, unknown_in

    project.check_root()
    data = params.load().data
    found = schema.load()
    if data.source == "simulator" or data.table is None:
        from mlops.simulator import simulate

        table: pa.Table = simulate(data.simulator)
        return summarise(table, found, table.num_rows, [])
    sheets = read_source(data.table)
    for sheet in sheets:
        unknown = unknown_in(sheet, [c.name for c in found.columns])
        sheet.warnings += [f"{sheet.name}: {name} is not in {schema.PATH}; it is left out" for name in unknown]
    typed = read_table(sheets, found, data.table.decimal)
    rows = sum(sheet.rows for sheet in sheets[: len(data.table.files)])
    return summarise(typed.table, found, rows, [w for sheet in sheets for w in sheet.warnings])


def summarise(table: pa.Table, found: Schema, split: int, warnings: Sequence[str]) -> Summary:
    """Describe a typed table whose first `split` rows are the table and whose others are test rows."""
    target = found.target
    values = pc.cast(table.column(target.name).slice(0, split), pa.string())
    positives = pc.sum(pc.equal(values, target.positive)).as_py() or 0
    columns = tuple(_described(column, table) for column in found.columns)
    more = [text for column in columns for text in _doubts(column, table.num_rows)]
    unlabelled = values.null_count
    if unlabelled:
        more.append(f"{target.name}: {unlabelled:,} rows have no value; they are set aside as unlabelled")
    return Summary(
        rows=split,
        test_rows=table.num_rows - split,
        target=target.name,
        positive=str(target.positive),
        negative=str(target.negative),
        labelled=split - unlabelled - _neither(values, target),
        positives=positives,
        columns=columns,
        warnings=(*warnings, *more),
    )


def _neither(target: pa.ChunkedArray, column: Column) -> int:
    """How many values of a target are neither of its two."""
    both = pa.array([column.positive, column.negative], pa.string())
    known = pc.is_in(pc.cast(target, pa.string()), value_set=both)
    return int(len(target) - target.null_count - (pc.sum(known).as_py() or 0))


def _described(column: Column, table: pa.Table) -> Described:
    if column.name not in table.column_names:
        return Described(column.name, column.kind, None, None, "", column.why or "")
    values = table.column(column.name)
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    notes = []
    bad = _neither(values, column) if column.kind == "target" else unreadable(values, column)
    if bad:
        what = "are neither" if column.kind == "target" else f"do not read as {column.kind}"
        notes.append(f"{bad:,} values {what}; those rows will be quarantined")
    if column.missing:
        notes.append(f"missing: {', '.join(column.missing)}")
    if column.format:
        notes.append(f"written {column.format}")
    if column.kind == "target":
        notes.append(f"{column.positive!r} is churn, {column.negative!r} is not")
    distinct = pc.count_distinct(values, mode="only_valid").as_py()
    note = "; ".join(notes)
    return Described(column.name, column.kind, values.null_count, distinct, _example(values, column.kind), note)


def _example(values: pa.ChunkedArray, kind: str) -> str:
    """Range of numbers and dates, the most frequent levels of categories, the first value of others."""
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_timestamp(values.type):
        span = pc.min_max(values).as_py()
        return "" if span["min"] is None else f"{_plain(span['min'])} … {_plain(span['max'])}"
    if kind in ("text", "id"):
        first = pc.drop_null(values).slice(0, 1)
        return _cut(str(first[0].as_py())) if len(first) else ""
    counts = sorted(pc.value_counts(values).to_pylist(), key=lambda e: (-e["counts"], str(e["values"])))
    levels = [_cut(str(entry["values"])) for entry in counts if entry["values"] is not None]
    return ", ".join(levels[:LEVELS]) + (", …" if len(levels) > LEVELS else "")


def _plain(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat(sep=" ")).removesuffix(" 00:00:00")
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _doubts(column: Described, rows: int) -> list[str]:
    """What about a feature may surprise its owner."""
    doubts = []
    feature = column.kind in schema.FEATURE_KINDS
    if feature and column.missing and column.missing > MOSTLY * rows:
        doubts.append(f"{column.name}: {column.missing / rows:.0%} of the rows have no value")
    if column.kind == "category" and column.distinct and column.distinct > MANY_LEVELS:
        doubts.append(f"{column.name}: {column.distinct:,} levels; if they name the customer, use --id instead")
    return doubts


def as_json(summary: Summary) -> str:
    """The summary as JSON text."""
    return json.dumps({**asdict(summary), "rate": round(summary.rate, 6)}, indent=1, ensure_ascii=False)


def console() -> Console:
    """Where people read: a terminal at its own width, anything else at a fixed one."""
    return Console() if sys.stdout.isatty() else Console(width=UNFOLDED, soft_wrap=True)


def _least(name: str, summary: Summary) -> int:
    """How narrow a column of the printed table may become."""
    if name == "column":
        return min(max(len(c.name) for c in summary.columns), NAME)
    if name == "note":
        return min(max(len(c.note) for c in summary.columns), NOTE)
    return HOLDS // 3 if name == "holds" else 8


def render(summary: Summary, console: Console) -> None:
    """Print the summary for people, and where to correct it."""
    table = Table(title_justify="left", box=None, header_style="bold", pad_edge=False)
    for name, right in (("column", 0), ("kind", 0), ("missing", 1), ("distinct", 1), ("holds", 0), ("note", 0)):
        # What a column holds gives way first, then the note folds; a very long name is cut, the rest never is.
        overflow: Literal["fold", "ellipsis"] = "fold" if name == "note" else "ellipsis"
        table.add_column(
            name,
            justify="right" if right else "left",
            overflow=overflow,
            no_wrap=name != "note",
            min_width=_least(name, summary),
            max_width={"column": NAME, "holds": HOLDS}.get(name),
        )
    for c in summary.columns:
        counts = ["–" if n is None else f"{n:,}" for n in (c.missing, c.distinct)]
        cells = [c.name, c.kind, *counts, c.example, c.note]
        table.add_row(*(Text(cell) for cell in cells), style="dim" if c.kind == "ignore" else "")
    console.print(table)
    test = f" + {summary.test_rows:,} test rows" if summary.test_rows else ""
    console.print(
        Text(
            f"\n{summary.rows:,} rows{test}; {summary.target} = {summary.positive} (churn) in {summary.positives:,} "
            f"of {summary.labelled:,}: {summary.rate:.1%}"
        )
    )
    for warning in summary.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    console.print(Text(f"Something wrong? Edit {Path(schema.PATH).as_posix()}: kinds, missing words, rules."))
