"""The prediction log in PostgreSQL, through psycopg and COPY."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from api.predictions.address import Address, LogError
from api.predictions.database import DatabaseDown, Execute, RowsRefused
from api.predictions.entry import COLUMNS, Row
from api.predictions.schema import POSTGRESQL, VERSION, check, statements

CONNECTING = {
    "connect_timeout": "3",
    "tcp_user_timeout": "5000",  # milliseconds: a server that vanished without a word is noticed
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "application_name": "prediction log",
}
"""Where the URL does not say otherwise."""
SESSION = (
    "SET client_encoding = 'UTF8'",
    "SET lock_timeout = '5s'",
    "SET statement_timeout = '10s'",
    "SET idle_in_transaction_session_timeout = '10s'",  # what a lost connection left behind ends by itself
)
CREATING = 0x63687572
"""Key of the advisory lock under which tables are created."""
YIELD_ROWS = 500
"""After so many rows, less than two milliseconds, another thread may run."""
INDEX_BYTES = 120
"""Of a row, in three indexes, with its header and line pointer."""

_COPY = f"COPY predictions(writer,{','.join(COLUMNS)}) FROM STDIN"
_NUL = re.compile(rb"(\\\\)|\\u0000")


class PostgreSQL:
    """See `Database`."""

    look_seconds = 1.0

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def connect(self) -> bool:
        """Connect, and create the tables if no worker did so yet."""
        if self._connection is not None and not self._connection.closed:
            return False
        with self._translated():
            given: dict[str, Any] = {k: v for k, v in conninfo_to_dict(self._address.conninfo).items() if v is not None}
            # Statements are not prepared: a pooler in between may hand each transaction to another session.
            self._connection = psycopg.connect(autocommit=True, prepare_threshold=None, **(CONNECTING | given))
            for setting in SESSION:
                self._connection.execute(setting)
        with self.transaction() as execute:
            execute("SELECT pg_advisory_xact_lock(?)", CREATING)
            self._create(execute)
        return True

    def _create(self, execute: Execute) -> None:
        if execute("SELECT to_regclass('prediction_log')")[0][0] is not None:
            check(execute("SELECT version FROM prediction_log")[0][0], self._address.shown)
            return
        if execute("SELECT to_regclass('predictions')")[0][0] is not None:
            raise LogError(f"{self._address.shown} has a table predictions that is no prediction log; name another "
                           "database with MLOPS_LOG")  # fmt: skip
        for statement in statements(POSTGRESQL):
            execute(statement)
        execute("CREATE TABLE prediction_log (version INTEGER NOT NULL)")
        execute("INSERT INTO prediction_log VALUES (?)", VERSION)

    def disconnect(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[Execute]:
        """A transaction of the session."""
        connection = self._connected()

        def execute(sql: str, *values: object) -> list[tuple[Any, ...]]:
            cursor = connection.execute(sql.replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else []

        with self._translated(), connection.transaction():
            yield execute

    def insert(self, writer: int, rows: Sequence[Row]) -> None:
        """Add rows by COPY. Inputs keep their text but for NUL, which would make them unreadable as JSON."""
        with self._connected().cursor() as cursor:
            try:
                with cursor.copy(_COPY) as copy:
                    for number, values in enumerate(_values(writer, rows), start=1):
                        copy.write_row(values)
                        if number % YIELD_ROWS == 0:
                            time.sleep(0)  # lets go of the GIL: a request may be waiting for it
            except (psycopg.DataError, psycopg.IntegrityError, psycopg.NotSupportedError) as error:
                raise RowsRefused(_words(error)) from None
            except (OverflowError, TypeError, ValueError, OSError) as error:
                raise RowsRefused(str(error)) from error

    def text(self, value: str) -> str:
        """PostgreSQL stores no NUL, and like SQLite no half of a surrogate pair."""
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()

    def moment(self, seconds: float) -> object:
        """A TIMESTAMPTZ."""
        return datetime.fromtimestamp(seconds, UTC)

    def only_one(self, execute: Execute) -> None:
        """Readers still read."""
        execute("LOCK TABLE outcomes IN SHARE ROW EXCLUSIVE MODE")

    def used(self) -> int:
        """Rows times their average size. Not the size on disk, which deletions do not make smaller."""
        with self.transaction() as execute:
            rows = execute("SELECT max(id) - min(id) + 1 FROM predictions")[0][0] or 0
            recent = "SELECT * FROM predictions ORDER BY id DESC LIMIT 500"
            average = execute(f"SELECT avg(pg_column_size(p.*)) FROM ({recent}) p")[0][0] or 0  # noqa: S608
        return int(rows * (float(average) + INDEX_BYTES))

    def shrink(self) -> bool:
        """Autovacuum makes deleted rows' space free for new ones."""
        return False

    def _connected(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is None:
            raise DatabaseDown("not connected")
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise DatabaseDown(self._address.redact(_words(error))) from None


def _words(error: psycopg.Error) -> str:
    """The server's message without its details, which would quote customers' data."""
    return error.diag.message_primary or str(error)


def _values(writer: int, rows: Iterable[Row]) -> Iterator[tuple[object, ...]]:
    second, prefix = None, ""
    for at, request_id, row, customer, variant, version, commit, source, raw, probability, prediction, inputs in rows:
        whole, microseconds = divmod(round(at * 1e6), 1_000_000)
        if whole != second:
            second, prefix = whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        if b"\\u0000" in inputs:
            inputs = _NUL.sub(lambda m: m[1] or b"\\ufffd", inputs)
        # NaN would make every average of the column NaN; SQLite, too, stores it as NULL.
        yield (writer, f"{prefix}.{microseconds:06d}Z", request_id, row, customer, variant, version, commit,
               source, raw if raw == raw else None, probability if probability == probability else None,
               prediction, str(inputs, "utf-8", "replace"))  # fmt: skip


def connect_to_read(address: Address) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection that cannot write."""
    connection = psycopg.connect(address.conninfo, connect_timeout=3)
    connection.read_only = True
    return connection
