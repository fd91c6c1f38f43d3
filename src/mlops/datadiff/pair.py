"""One column of both versions as arrays that can be compared: floats, or codes of one and the same dictionary."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops import columns
from mlops.rows import split
from mlops.table.values import as_text

Array = NDArray[np.float64] | NDArray[np.int32]
Mask = NDArray[np.bool_]
Places = NDArray[np.int64]
MOST_EXACT = 2**53


class Pair(NamedTuple):
    """before, after: a value per row, NaN or -1 where missing; equal values, equal numbers.

    levels: what the codes stand for; None: the numbers themselves are the values, of dates microseconds since 1970.
    exact: the same as codes, where different values are equal as floats; these tell what differs.
    """

    before: Array
    after: Array
    levels: pa.Array | None = None
    exact: Pair | None = None

    def missing(self) -> tuple[Mask, Mask]:
        """Which rows lack a value."""
        return _missing(self.before), _missing(self.after)

    def differ(self, before: Places, after: Places) -> Mask:
        """Whether values differ, of rows that belong together; a missing value is like another missing one."""
        if self.exact is not None:
            return self.exact.differ(before, after)
        b, a = self.before[before], self.after[after]
        return np.asarray((b != a) & ~(_missing(b) & _missing(a)))

    def hashes(self, name: str, before: Places, after: Places) -> tuple[split.Hashes, split.Hashes]:
        """64 bits for each of these rows; those of several columns are added up to the hash of a row."""
        if self.exact is not None:
            return self.exact.hashes(name, before, after)
        b, a = (_hash(values[at], name) for values, at in ((self.before, before), (self.after, after)))
        return b, a


def numbers(before: pa.ChunkedArray, after: pa.ChunkedArray) -> Pair:
    """A column of numbers. Integers that a float64 cannot tell apart are compared as integers."""
    whole = all(pa.types.is_integer(column.type) for column in (before, after))
    exact = codes(before, after) if whole and (_is_large(before) or _is_large(after)) else None
    return Pair(columns.floats(before), columns.floats(after), exact=exact)


def _is_large(column: pa.ChunkedArray) -> bool:
    """Whether integers go beyond those that a float64 holds exactly."""
    ends = [end for end in pc.min_max(column).as_py().values() if end is not None]
    return any(abs(end) > MOST_EXACT for end in ends)


def moments(before: pa.ChunkedArray, after: pa.ChunkedArray) -> Pair:
    """A column of dates or times; a float64 holds microseconds exactly until the year 2255."""

    def floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
        return columns.floats(pc.cast(pc.cast(column, pa.timestamp("us"), safe=False), pa.int64()))

    return Pair(floats(before), floats(after))


def codes(before: pa.ChunkedArray, after: pa.ChunkedArray) -> Pair:
    """A column of anything else; of two types, as a person would write the values."""
    was, now = _plain(before), _plain(after)
    if was.type != now.type:
        was, now = as_text(was), as_text(now)
    encoded = pc.dictionary_encode(pa.chunked_array([*was.chunks, *now.chunks], was.type)).chunks
    found = np.concatenate([np.empty(0, np.int32), *(_indices(chunk) for chunk in encoded)])
    levels = encoded[0].dictionary if encoded else pa.array([], was.type)
    return Pair(found[: len(was)], found[len(was) :], levels)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    return column.cast(pa.string()) if pa.types.is_large_string(kind) else column


def _indices(chunk: pa.DictionaryArray) -> NDArray[np.int32]:
    return np.asarray(pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int32)


def _missing(values: Any) -> Mask:
    return np.asarray(np.isnan(values) if values.dtype == np.float64 else values < 0)


def _hash(values: Any, name: str) -> split.Hashes:
    if values.dtype == np.float64:
        return split.column_hash(values, name)
    return split.mixed(values.astype(np.uint64) ^ np.uint64(split.text_hash(name, "column")))
