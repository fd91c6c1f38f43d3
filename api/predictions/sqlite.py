"""The prediction log in an SQLite file that all workers of a machine write."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from api.predictions.address import LogError
from api.predictions.database import DatabaseDown, Execute, RowsRefused
from api.predictions.entry import COLUMNS, Limits, Row
from api.predictions.schema import PART_ROWS, SQLITE, STATISTICS, VERSION, check, statements

APPLICATION = 0x63687572
"""Marks the file as a prediction log ("chur"), for `file` and for us."""
BUSY_SECONDS = 1.0
PATIENCE_SECONDS = 0.1
"""For others that are in the way of a new write-ahead log."""
PAGE = 8192
"""Bytes. Twice SQLite's own: a third less time per row of half a kilobyte."""
STATEMENT_ROWS = 50
"""Rows of one statement. SQLite runs without the GIL, which is given away and asked for again once per statement;
binding the values of so many rows holds it for less than a tenth of a millisecond."""
VACUUM_PAGES = 64
CLOSE = 0.95
"""Share of the limit above which free pages are given back; below it they serve the next predictions."""


@lru_cache(2)
def _insert(rows: int) -> str:
    width = len(COLUMNS)
    values = (",".join(f"?{3 + r * width + c}" for c in range(width)) for r in range(rows))
    # OR ROLLBACK: a statement that could fail alone makes SQLite copy every page before it changes it.
    into = f"INSERT OR ROLLBACK INTO predictions(writer,part,{','.join(COLUMNS)}) VALUES "  # noqa: S608
    return into + ",".join(f"(?1,?2,{v})" for v in values)


def _values(writer: int, part: int, rows: Sequence[Row]) -> list[object]:
    # The driver takes int, float and str as they are, and asks its registry of adapters about bool and bytes, which is
    # slower than to convert them here.
    values: list[object] = [writer, part]
    extend = values.extend
    for at, request_id, row, customer, variant, version, commit, source, raw, probability, prediction, inputs in rows:
        extend((at, request_id, row, customer, variant, version, commit, source, raw, probability,
                1 if prediction else 0, str(inputs, "utf-8", "replace")))  # fmt: skip
    return values


class SQLite:
    """See `Database`. The write-ahead log lets readers read while we write."""

    look_seconds = 0.0

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._limit = limits.max_mb << 20
        self._wal_pages = max(32, min(1000, self._limit // 40 // PAGE))
        self._wal_bytes = 2 * self._wal_pages * PAGE  # at most, see _restart_log
        self._restart_after = 0.0
        self._connection: sqlite3.Connection | None = None
        self._file = (0, 0)

    def connect(self) -> bool:
        """Open the file. One that was deleted or moved away under us is no longer the log: there is a new one then."""
        try:
            if self._connection is not None and self._mark() == self._file:
                return False
            self.disconnect()
            if not self._path.parent.is_dir():
                raise DatabaseDown(f"folder {self._path.parent} is gone")
            with _translated():
                self._connection = self._open()
                self._file = self._mark()
            return True
        except OSError as error:
            self.disconnect()
            raise DatabaseDown(f"{self._path}: {error.strerror}") from error
        except (DatabaseDown, LogError):
            self.disconnect()
            raise

    def _mark(self) -> tuple[int, int]:
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return (0, 0)
        return (status.st_dev, status.st_ino)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        self._connection = connection
        try:
            # In this order: another worker may create the tables meanwhile, marks and all.
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
                raise LogError(f"{self._path} is no SQLite file; name another with MLOPS_LOG") from error
            raise
        if tables and application != APPLICATION:
            raise LogError(f"{self._path} is an SQLite file of something else; name another with MLOPS_LOG")
        if tables:
            check(version, str(self._path))
        else:
            _create(connection)
        for setting in (
            # Each commit reaches the disk: after a loss of power, too, only the last second is missing. This costs the
            # writer's thread a wait and no work.
            "synchronous=FULL",
            "cache_size=-4000",
            f"wal_autocheckpoint={self._wal_pages}",
            f"journal_size_limit={self._wal_pages * PAGE}",
        ):
            connection.execute(f"PRAGMA {setting}")
        return connection

    def disconnect(self) -> None:
        """Close the file."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[Execute]:
        """IMMEDIATE: one that began as a reader cannot become a writer when another wrote meanwhile."""
        connection = self._connected()
        with _translated():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield lambda sql, *values: connection.execute(sql, values).fetchall()
                connection.execute("COMMIT")
                self._restart_log(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def insert(self, writer: int, rows: Sequence[Row]) -> None:
        """Add rows by statements of many rows each."""
        connection = self._connected()
        last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'predictions'").fetchone()
        part = last[0] // PART_ROWS if last else 0
        whole = len(rows) - len(rows) % STATEMENT_ROWS
        try:
            for start in range(0, whole, STATEMENT_ROWS):
                chunk = rows[start : start + STATEMENT_ROWS]
                connection.execute(_insert(STATEMENT_ROWS), _values(writer, part, chunk))
            for row in rows[whole:]:
                connection.execute(_insert(1), _values(writer, part, [row]))
        except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError) as error:
            raise RowsRefused(str(error)) from error
        except (OverflowError, TypeError, ValueError) as error:
            raise RowsRefused(str(error)) from error

    def text(self, value: str) -> str:
        """Half of a surrogate pair is no character; everything else can be stored, NUL too."""
        return value.encode("utf-8", "replace").decode()

    def moment(self, seconds: float) -> object:
        """As it is: REAL."""
        return seconds

    def only_one(self, execute: Execute) -> None:
        """Nothing to do: an SQLite file has one writer at a time."""

    def used(self) -> int:
        """Pages in use, and the write-ahead log at its largest."""
        with _translated():
            pages = _pragma(self._connected(), "page_count") - _pragma(self._connected(), "freelist_count")
            return pages * PAGE + self._wal_bytes

    def shrink(self) -> bool:
        """Cut free pages off a file that is close to its limit."""
        connection = self._connected()
        with _translated():
            size = _pragma(connection, "page_count") * PAGE + self._wal_bytes
            if size <= self._limit * CLOSE or not _pragma(connection, "freelist_count"):
                return False
            # A script, because the driver runs a single PRAGMA for its first page only.
            connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()  # only this makes the file itself smaller
            return True

    def _restart_log(self, connection: sqlite3.Connection) -> None:
        """Begin the write-ahead log anew when it is twice its usual size.

        Usually SQLite does so by itself, but only in a moment in which nobody writes, and busy workers leave none.
        """
        now, size = time.monotonic(), 0
        with suppress(OSError):  # moved away: the next write finds out
            size = os.stat(self._wal).st_size
        if now < self._restart_after or size <= self._wal_bytes:
            return
        connection.execute(f"PRAGMA busy_timeout={int(PATIENCE_SECONDS * 1000)}")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
        if busy:  # a reader, or another worker at the same
            self._restart_after = now + 10 * (time.monotonic() - now)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise DatabaseDown("not connected")
        return self._connection


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _create(connection: sqlite3.Connection) -> None:
    """Make an empty file a log. Several workers may be at it: the first creates, the others find it done."""
    connection.execute(f"PRAGMA page_size={PAGE}")
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # only before the first table
    _to_wal(connection)
    connection.execute("BEGIN EXCLUSIVE")
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        for statement in (*statements(SQLITE), *STATISTICS):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION}")
        connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")
    connection.execute("ANALYZE sqlite_schema")  # reads the statistics


def _to_wal(connection: sqlite3.Connection) -> None:
    """Switching the journal mode does not wait for other connections by itself."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseDown(str(error)) from error


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that cannot write.

    Raises:
        LogError: there is no log.
    """
    if not path.is_file():
        raise LogError(f"{path} does not exist; predictions are logged where MLOPS_LOG says")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    connection.text_factory = _text
    return connection


def _text(value: bytes) -> Any:
    return value.decode("utf-8", "replace")
