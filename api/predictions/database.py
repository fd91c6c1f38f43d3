"""What the writer needs of a database. SQL is written once, with `?` for values; SQLite and PostgreSQL both read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

from api.predictions.address import Address, LogError
from api.predictions.entry import Limits, Row

Execute: TypeAlias = Callable[..., list[tuple[Any, ...]]]
"""execute(sql, value, …) → rows, inside a transaction."""


class DatabaseDown(Exception):  # noqa: N818
    """The database cannot be used now: gone, locked, full, read-only. Rows are kept and tried again."""


class RowsRefused(Exception):  # noqa: N818
    """The database works and refuses these rows for what stands in them. The transaction was rolled back."""


class Database(Protocol):
    """One connection, used by one thread. Every method raises `DatabaseDown` when the database cannot be used."""

    look_seconds: float
    """How often it is worth asking for `used`."""

    def connect(self) -> bool:
        """Connect, unless connected to what the address names now; create the tables where there are none.

        Returns whether the connection is a new one.

        Raises:
            LogError: what is there is no prediction log, or one of a newer version.
        """

    def disconnect(self) -> None:
        """Drop the connection, whatever state it is in."""

    def transaction(self) -> AbstractContextManager[Execute]:
        """A transaction: committed at the end of the block, rolled back by an error."""

    def insert(self, writer: int, rows: Sequence[Row]) -> None:
        """Add rows, inside a transaction.

        Raises:
            RowsRefused: the database or its driver cannot store one of them.
        """

    def text(self, value: str) -> str:
        """The text with the characters that this database cannot store replaced."""

    def moment(self, seconds: float) -> object:
        """A time, seconds since 1970, as this database takes it."""

    def only_one(self, execute: Execute) -> None:
        """Nobody else changes `outcomes` until this transaction ends."""

    def used(self) -> int:
        """Bytes that the log takes, without those that are free to be used again."""

    def shrink(self) -> bool:
        """Give a small piece of freed space back. False: there is none to give back now."""


def seconds(moment: Any) -> float:
    """A time as a database gives it → seconds since 1970."""
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)


def iso(moment: Any) -> str:
    """A time as a database gives it → ISO 8601 in UTC with milliseconds."""
    at = datetime.fromtimestamp(seconds(moment), UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def database(address: Address, limits: Limits) -> Database:
    """The database at an address; nothing is connected yet.

    Raises:
        LogError: its folder cannot be created.
    """
    if address.kind == "sqlite":
        from api.predictions.sqlite import SQLite

        try:
            address.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LogError(
                f"MLOPS_LOG: folder {address.path.parent} cannot be created ({error.strerror}); name another"
            ) from error
        return SQLite(address.path, limits)
    from api.predictions.postgres import PostgreSQL

    return PostgreSQL(address)
