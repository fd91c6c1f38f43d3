"""Rows that break a rule: where they came from, why they were set aside, and whether they are too many."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops.errors import DataError
from mlops.rows.validate import MISSING, Cells, Checked, Failure, Rows
from mlops.schema import PATH

HEADER = ("file", "record", "reason")
QUOTED = (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary)
SHOWN = 40  # characters of a value in a message


@dataclass(frozen=True)
class Source:
    """A file whose rows are in the table: how many, and the numbers of its records that were no row at all."""

    name: str
    rows: int
    rejected: Sequence[int] = ()


def locate(rows: Rows, sources: Sequence[Source]) -> list[tuple[str, int]]:
    """File and record number (from 1, within the file) of rows of the table, in which one file follows the other."""
    ends = np.cumsum([s.rows for s in sources])
    places = []
    shifts = [_shifts(s.rejected) for s in sources]
    for row in rows:
        which = int(np.searchsorted(ends, row, side="right"))
        nth = int(row - ends[which] + sources[which].rows) + 1
        # The n-th row is record n plus the rejected records before it.
        places.append((sources[which].name, nth + int(np.searchsorted(shifts[which], nth, side="right"))))
    return places


def _shifts(rejected: Sequence[int]) -> Rows:
    """Per rejected record the first row after it. Record 0 stands before the header and shifts nothing."""
    records = np.sort(np.array([r for r in rejected if r > 0], dtype=np.int64))
    return records - np.arange(len(records))


def refuse_too_many(checked: Checked, sources: Sequence[Source], limit: float) -> None:
    """Stop when more rows are bad, or were rejected when they were read, than the limit allows.

    Raises:
        DataError: names the share, the limit, the most frequent reason with an example, and what to do.
    """
    rejected = sum(len(s.rejected) for s in sources)
    bad, total = len(checked.bad_rows) + rejected, checked.table.num_rows + rejected
    if total == 0 or bad / total <= limit:
        return
    worst = max(checked.failures, key=lambda f: len(f.rows), default=None)
    if worst is None or len(worst.rows) < rejected:
        why = f"{rejected:,} records are no rows of the table (data/raw/rejected.csv says why)"
        what = "fix the file"
    else:
        ((file, record),) = locate(worst.rows[:1], sources)
        (reason,) = reasons(checked, worst, worst.rows[:1])
        why = f"{reason} (record {record} of {file}, the first of {len(worst.rows):,} such)"
        what = f"fix the file, edit {worst.column} in {PATH}"
    raise DataError(
        f"{bad:,} of {total:,} rows ({bad / total:.2%}) cannot be used, preprocess.max_bad_share allows {limit:.2%};"
        f" mostly {why}; {what}, or raise preprocess.max_bad_share in params.yaml"
    )


def reasons(checked: Checked, failure: Failure, rows: Rows) -> list[str]:
    """What is wrong with each of some rows of a failure: "nps: 11 is above max 10"."""
    if failure.rule == MISSING:
        return [f"{failure.column}: {MISSING}"] * len(rows)
    texts, quoted = _written(checked, failure.column, rows)
    values = [t if len(t) <= SHOWN else t[:SHOWN] + "…" for t in texts.to_pylist()]
    return [f"{failure.column}: {repr(v) if quoted else v} {failure.rule}" for v in values]


def _written(checked: Checked, name: str, rows: Rows) -> tuple[pa.Array, bool]:
    """The values of a column in some rows as text (null where missing), and whether they were text before."""
    values = checked.table.column(name).take(pa.array(rows)).combine_chunks()
    texts = pc.cast(values, pa.string())
    cells = checked.unreadable.get(name)
    if cells is None:
        return texts, any(is_kind(values.type) for is_kind in QUOTED)
    return _overlaid(texts, rows, cells), True


def _overlaid(texts: pa.Array, rows: Rows, cells: Cells) -> pa.Array:
    place = np.searchsorted(cells.rows, rows).clip(max=len(cells.rows) - 1)
    unread = cells.rows[place] == rows
    return pc.if_else(pa.array(unread), cells.texts.take(pa.array(place)), texts)


def counts(failures: Sequence[Failure]) -> dict[str, int]:
    """Rows per reason, most frequent first."""
    found = {f"{f.column} {f.rule}": len(f.rows) for f in failures}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def write(path: Path, checked: Checked, sources: Sequence[Source]) -> None:
    """The bad rows as CSV: file, record, all reasons, then every column as text; the header alone if there are none."""
    bad = checked.bad_rows
    told: list[list[str]] = [[] for _ in bad]
    for failure in sorted(checked.failures, key=lambda f: checked.table.column_names.index(f.column)):
        places = np.searchsorted(bad, failure.rows)
        for place, reason in zip(places, reasons(checked, failure, failure.rows), strict=True):
            told[place].append(reason)
    columns = [_written(checked, name, bad)[0].to_pylist() for name in checked.table.column_names]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*HEADER, *checked.table.column_names])
        for (name, record), why, *values in zip(locate(bad, sources), told, *columns, strict=True):
            writer.writerow([name, record, "; ".join(why), *values])
