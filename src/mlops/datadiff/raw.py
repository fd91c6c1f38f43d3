"""The raw table of a commit, a column at a time: what is in memory is never the table."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from mlops.datadiff.recorded import RAW, Recorded
from mlops.errors import StoreError
from mlops.schema import Schema
from mlops.store.objects import Store

FILES = ("table.parquet", "test.parquet")
"""The rows to be split, and those of a test file where one was named."""


class Raw:
    """The files of data/raw as one table.

    Args:
        paths: Parquet files of the same columns, whose rows follow each other.
        schema: what its columns are; without one their types tell.

    Raises:
        StoreError: a file is no Parquet file.
    """

    def __init__(self, paths: list[Path], schema: Schema | None) -> None:
        self.schema, self._stack = schema, ExitStack()
        try:
            self._files = [self._stack.enter_context(pq.ParquetFile(path)) for path in paths]
        except (pa.ArrowInvalid, OSError) as error:
            self._stack.close()
            raise StoreError(f"{RAW}: not a table that can be read ({error}); `dvc repro ingest` makes it") from None
        self.rows: int = sum(file.metadata.num_rows for file in self._files)
        found = self._files[0].schema_arrow
        self.types: dict[str, pa.DataType] = {field.name: field.type for field in found}
        known = {c.name: c.kind for c in schema.columns} if schema else {}
        kinds = {name: known.get(name) or guess(kind) for name, kind in self.types.items()}
        self.kinds: dict[str, str] = {name: kind for name, kind in kinds.items() if kind != "ignore"}

    def __enter__(self) -> Raw:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def column(self, name: str) -> pa.ChunkedArray:
        """One column of all rows.

        Raises:
            StoreError: a file is damaged, or lacks it.
        """
        try:
            read = [file.read([name]).column(name) for file in self._files]
            return pa.chunked_array([chunk.cast(self.types[name]) for part in read for chunk in part.chunks],
                                    self.types[name])  # fmt: skip
        except (pa.ArrowException, KeyError, OSError) as error:
            raise StoreError(f"{RAW}: column {name!r} cannot be read ({error}); `dvc repro ingest` makes it") from None


def opened(store: Store, side: Recorded) -> Raw:
    """The raw table of a commit, to be closed.

    Raises:
        StoreError: it cannot be had, or is none.
    """
    assert side.raw is not None
    files = store.listing(side.raw)
    if FILES[0] not in files:
        raise StoreError(f"{RAW} of commit {side.commit[:8]} has no {FILES[0]}; `dvc repro ingest` writes it")
    return Raw([store.file(files[name]) for name in FILES if name in files], side.schema)


def guess(kind: pa.DataType) -> str:
    """The kind of a column that no schema names."""
    if pa.types.is_boolean(kind):
        return "boolean"
    if is_number(kind):
        return "number"
    return "date" if is_date(kind) else "category"


def is_number(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_date(kind: pa.DataType) -> bool:
    """Whether values of a type are days or moments."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))
