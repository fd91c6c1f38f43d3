"""A Parquet file in record batches: columns are decoded page by page, so that no row group is ever whole in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlops.batch.check import accepts, is_text
from mlops.batch.source import Piece, Rows, Selection
from mlops.errors import TableError

BATCH = 32_768
BUFFER = 1 << 18  # bytes of a column that are read at once


class Parquet:
    """An open Parquet file; see `mlops.batch.source.Source`."""

    decimal = "."
    warnings: Sequence[str] = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with pq.ParquetFile(path) as file:
                self._schema = file.schema_arrow
                self.rows: int | None = file.metadata.num_rows
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None
        self.columns = tuple(self._schema.names)
        self._read = 0

    def _damaged(self, error: Exception) -> TableError:
        return TableError(f"{self._path} is a damaged or unknown Parquet file: {error}; write it again")

    @property
    def share_read(self) -> float:
        """How much of it has been read, 0 to 1."""
        return self._read / self.rows if self.rows else 1.0

    def close(self) -> None:
        """Nothing is open between readings."""

    def carried_type(self, name: str) -> pa.DataType:
        """The column's own type."""
        return self._schema.field(name).type

    def pieces(self, selection: Selection) -> Iterator[Piece]:
        """Record batches in order.

        Raises:
            TableError: a column whose type cannot be read as what the model takes, or a damaged file.
        """
        for name, rule in selection.rules.items():
            held = self._schema.field(name).type
            if not accepts(rule.kind, held):
                raise TableError(f"{self._path}: {name} holds {held}, the model reads a {rule.kind} there; convert it")
        wanted = list(dict.fromkeys([*selection.carried, *selection.rules]))
        coded = [
            name
            for name, rule in selection.rules.items()
            if rule.kind in ("category", "text") and is_text(self._schema.field(name).type)
            and name not in selection.carried
        ]  # fmt: skip
        try:
            with pq.ParquetFile(self._path, read_dictionary=coded, buffer_size=BUFFER, pre_buffer=False) as file:
                for batch in file.iter_batches(BATCH, columns=wanted, use_threads=False):
                    self._read += batch.num_rows
                    yield _piece(batch)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None


def _piece(batch: pa.RecordBatch) -> Piece:
    def readings() -> Iterator[Rows]:
        yield Rows(pa.Table.from_batches([batch]), np.arange(1, batch.num_rows + 1), batch.num_rows)

    return readings
