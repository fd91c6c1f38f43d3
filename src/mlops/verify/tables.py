"""Two Parquet files of the same output: the first column that differs, in how many rows, and how much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlops.verify.close import Found, largest, number, within

Mask = NDArray[np.bool_]


def compare(recorded: Path, rebuilt: Path) -> Found:
    """Compare two tables row by row, in the order in which they stand."""
    was, now = (pq.read_table(path) for path in (recorded, rebuilt))
    shape = _shape(was, now)
    if shape:
        return Found(False, (shape,))
    differing = []
    for name in was.column_names:
        differ, words = _column(_plain(was.column(name)), _plain(now.column(name)))
        if words:
            differing.append((not differ, f"column {name}: {words}"))
    if not differing:
        return Found(True, ("other bytes, the same rows",))
    # What is beyond the tolerance is told first.
    ordered = [words for _, words in sorted(differing, key=lambda pair: pair[0])]
    more = len(ordered) - 1
    words = ordered[0] + (f"; {more} more column{'s' * (more > 1)}" if more else "")
    return Found(all(equal for equal, _ in differing), (words,))


def _shape(was: pa.Table, now: pa.Table) -> str | None:
    """What differs in columns and rows."""
    for names, other, where in ((was, now, "recorded"), (now, was, "rebuilt")):
        alone = [name for name in names.column_names if name not in other.column_names]
        if alone:
            return f"column {alone[0]} is only in the {where} table"
    if was.column_names != now.column_names:
        return "the columns stand in another order"
    if was.num_rows != now.num_rows:
        return f"{was.num_rows:,} rows recorded, {now.num_rows:,} rebuilt"
    for name in was.column_names:
        kinds = was.schema.field(name).type, now.schema.field(name).type
        if kinds[0] != kinds[1]:
            return f"column {name}: {kinds[0]} recorded, {kinds[1]} rebuilt"
    return None


def _plain(column: pa.ChunkedArray) -> Any:
    """A column as one array; a dictionary's codes are nobody's business."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _column(was: Any, now: Any) -> tuple[bool, str | None]:
    """Whether two columns differ beyond the tolerance, and how they differ at all."""
    if pa.types.is_floating(was.type):
        gaps, other_gaps = was.is_null().to_numpy(False), now.is_null().to_numpy(False)
        a, b = was.to_numpy(False), now.to_numpy(False)
        other = (gaps != other_gaps) | ~((a == b) | (np.isnan(a) & np.isnan(b)))
        beyond = other & ((gaps != other_gaps) | ~within(a, b))
        return bool(beyond.any()), _told(other, was, now, largest(a, b)) if other.any() else None
    if pa.types.is_nested(was.type):
        return (False, None) if was.equals(now) else (True, "other values")
    other = _unequal(was, now)
    if not other.any():
        return False, None
    gap = None
    if pa.types.is_integer(was.type):
        a, b = (x.cast(pa.float64(), safe=False).to_numpy(False) for x in (was, now))
        gap = largest(a, b)
    return True, _told(other, was, now, gap)


def _unequal(was: Any, now: Any) -> Mask:
    differ = pc.fill_null(pc.not_equal(was, now), False)
    return np.asarray(pc.or_(differ, pc.xor(was.is_null(), now.is_null())).to_numpy(False), dtype=np.bool_)


def _told(other: Mask, was: Any, now: Any, gap: float | None) -> str:
    """How many rows differ, how much at most, and the first one."""
    first = int(np.flatnonzero(other)[0])
    size = "" if not gap else f", largest |difference| {gap:.3g}"
    values = (_shown(column[first].as_py()) for column in (was, now))
    return f"{int(other.sum()):,} of {len(other):,} rows{size} (row {first}: {' recorded, '.join(values)} rebuilt)"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return number(value)
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
