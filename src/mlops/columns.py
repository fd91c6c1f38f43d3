"""Arrow columns as the arrays that features are made of, and back. See `mlops.features` for what the arrays mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlops.errors import DataError
from mlops.features import Coded, Floats, Input, Plan, Values

SECONDS_A_DAY = 86400.0


def read_parquet(path: Path, names: list[str] | None = None) -> pa.Table:
    """A table that an earlier stage wrote, all columns or those named.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        return pq.ParquetFile(path).read(names)
    except FileNotFoundError:
        raise DataError(f"{path} is missing; `dvc repro` writes it, `dvc checkout` brings it back") from None
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is damaged ({error}); `dvc checkout --force {path.parent}` brings it back") from error


class Stored(Mapping[str, Values]):
    """The features of a table, each turned into an array only when it is asked for: all at once would be four times
    the table's memory.
    """

    def __init__(self, table: pa.Table, plan: Plan) -> None:
        self._table = table
        self._kinds = {f.name: f.kind for f in plan.features}

    def __getitem__(self, name: str) -> Values:
        return values(self._table.column(name), self._kinds[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


def values(column: pa.ChunkedArray, kind: str) -> Values:
    """A raw column as feature arrays. kind: number, boolean, date (also time), category or text."""
    if kind in ("category", "text"):
        return coded(column)
    if kind in ("date", "time"):
        return floats(pc.cast(pc.cast(column, pa.timestamp("s")), pa.int64())) / SECONDS_A_DAY
    return floats(column)


def floats(column: pa.ChunkedArray) -> Floats:
    """Numbers or booleans as float64, NaN where missing."""
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    return np.asarray(pc.cast(column, pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def coded(column: pa.ChunkedArray) -> Coded:
    """Texts as codes and distinct texts, the texts in the order of their first row."""
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(pc.cast(column, pa.string()))
    encoded = column.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # no rows at all: nothing to combine
        return Coded(np.empty(0, dtype=np.int32), ())
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return Coded(codes, tuple(pc.cast(encoded.dictionary, pa.string()).to_pylist()))


def raw(table: pa.Table, inputs: Iterable[Input]) -> dict[str, Values]:
    """The raw columns that a plan reads, out of a table."""
    return {i.name: values(table.column(i.name), i.kind) for i in inputs}


def to_arrow(column: Values) -> pa.Array:
    """A feature as it is stored: float32, or a dictionary of strings; missing is null."""
    if isinstance(column, Coded):
        indices = pa.array(column.codes, mask=column.codes < 0)
        return pa.DictionaryArray.from_arrays(indices, pa.array(column.levels, pa.string()))
    return pa.array(column.astype(np.float32), mask=np.isnan(column))
