"""Files that appear whole or not at all: written beside their place, put there in one step when everything is well."""

from __future__ import annotations

import csv
import fcntl
import gzip
import io
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from mlops.errors import TableError

PARQUET = ".parquet"
SUFFIXES = (".csv", ".csv.gz", PARQUET)
ROW_GROUP = 131_072


@contextmanager
def _later(*signals: signal.Signals) -> Iterator[None]:
    """Let signals wait until the block ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Part:
    """`.NAME.part` beside a file that is to be replaced. Without `commit` nothing of it stays.

    A killed run leaves its part behind; the next run to the same file writes it anew. Two runs at once are refused.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self._path = target.with_name(f".{target.name}.part")
        self.file: IO[bytes]

    def __enter__(self) -> Part:
        if not self.target.parent.is_dir():
            raise TableError(f"{self.target}: there is no folder {self.target.parent}; create it")
        if self.target.is_dir():
            raise TableError(f"{self.target} is a folder; name a file")
        try:
            self.file = self._locked()
        except (TableError, OSError):
            raise
        except BaseException:  # an interrupt can come at any moment
            self._sweep()
            raise
        return self

    def _locked(self) -> IO[bytes]:
        file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another run may have put the file that was opened here in its place meanwhile: it must not be emptied.
            if os.fstat(file.fileno()).st_ino != self._path.stat().st_ino:
                raise BlockingIOError
            file.truncate()
        except (BlockingIOError, FileNotFoundError):
            file.close()
            raise TableError(f"{self.target} is being written by another run; wait for it, or name another") from None
        except BaseException:
            file.close()
            raise
        return file

    def _sweep(self) -> None:
        """Remove a part that no run holds."""
        with suppress(BlockingIOError, FileNotFoundError), self._path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._path.unlink()

    def commit(self) -> None:
        """Put the file in its place, on the disk for good."""
        self.file.flush()
        os.fsync(self.file.fileno())
        os.replace(self._path, self.target)
        folder = os.open(self.target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.file.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.file.closed:
            self._path.unlink(missing_ok=True)  # before the lock goes with the file
            self.file.close()


class Output:
    """Scored rows, as CSV (gzip too) or Parquet by the target's suffix; left without `close` it is given up."""

    def __init__(self, part: Part, schema: pa.Schema) -> None:
        self._schema = schema
        self._zip: gzip.GzipFile | None = None
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._writer: Any
        if part.target.name.endswith(PARQUET):
            # Every reader, not Arrow's alone, sees the same plain types; only what repeats is worth a dictionary.
            coded = [field.name for field in schema if pa.types.is_dictionary(field.type)]
            self._writer = pq.ParquetWriter(
                part.file, schema, compression="zstd", use_dictionary=coded, store_schema=False
            )
            return
        sink: Any = part.file
        if part.target.name.endswith(".gz"):
            sink = self._zip = gzip.GzipFile(filename="", mode="wb", fileobj=part.file, mtime=0)
        self._writer = pacsv.CSVWriter(sink, schema, write_options=pacsv.WriteOptions(quoting_style="needed"))

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Given up, both would write what they hold when they are collected, to a file that is closed by then.
        if isinstance(self._writer, pq.ParquetWriter):
            self._writer.is_open = False
        if self._zip is not None:
            with suppress(OSError):
                self._zip.close()

    def write(self, table: pa.Table) -> None:
        """Add rows; they are written when they fill a row group."""
        self._waiting.append(table)
        self._rows += table.num_rows
        if self._rows >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting, self._rows = [], 0

    def close(self) -> None:
        """Write what waits, and the file's end."""
        self._flush()
        self._writer.close()
        if self._zip is not None:
            self._zip.close()


class Quarantine:
    """Cells that were not taken, as CSV: row number (from 1, below the header), column, reason, value."""

    HEADER = ("row", "column", "reason", "value")

    def __init__(self, part: Part) -> None:
        self._text = io.TextIOWrapper(part.file, encoding="utf-8", newline="", write_through=True)
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow(self.HEADER)

    def write(self, cells: Iterable[tuple[int, str, str, str]]) -> None:
        """Add cells in the order of HEADER."""
        self._writer.writerows(cells)

    def close(self) -> None:
        """Leave the file to its part."""
        self._text.detach()
