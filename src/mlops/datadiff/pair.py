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


class Pair(NamedTuple):
    """before, after: a value per row, NaN or -1 where missing; equal values, equal numbers.

    levels: what the codes stand for; None: the numbers themselves are the values, of dates microseconds since 1970.
    """

    before: Array
    after: Array
    levels: pa.Array | None = None

    def missing(self) -> tuple[Mask, Mask]:
        """Which rows lack a value."""
        return _missing(self.before), _missing(self.after)

    def differ(self, before: Places, after: Places) -> Mask:
        """Whether values differ, of rows that belong together; a missing value is like another missing one."""
        b, a = self.before[before], self.after[after]
        return np.asarray((b != a) & ~(_missing(b) & _missing(a)))

    def hashes(self, name: str, before: Places, after: Places) -> tuple[split.Hashes, split.Hashes]:
        """64 bits for each of these rows; those of several columns are added up to the hash of a row."""
        b, a = (_hash(values[at], name) for values, at in ((self.before, before), (self.after, after)))
        return b, a


def numbers(before: pa.ChunkedArray, after: pa.ChunkedArray) -> Pair:
    """A column of numbers."""
    return Pair(columns.floats(before), columns.floats(after))


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
