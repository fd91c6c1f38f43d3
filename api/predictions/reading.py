"""Predictions out of the log, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from api.predictions.address import LogError, LogUnavailable, parse
from api.predictions.database import iso
from api.predictions.entry import COLUMNS

PIECE = 500


def read(
    url: str, since: datetime | None = None, request_id: str | None = None, customer: str | None = None
) -> Iterator[dict[str, Any]]:
    """Predictions in the order in which they were written; with `since`, only those made then or later.

    Keys are the columns of the table: `at` as ISO 8601 in UTC, `inputs` as the text of a JSON object, None where a
    number was NaN.

    Raises:
        LogError: the URL names no log.
        LogUnavailable: the database cannot be reached.
    """
    address = parse(url)
    if address.kind == "off":
        raise LogError("the prediction log is off: there is nothing to read")
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    sqlite = address.kind == "sqlite"
    moment = since.timestamp() if since is not None and sqlite else since
    asked = {"at >= ?": moment, "request_id = ?": request_id, "customer = ?": customer}
    where = " AND ".join(condition for condition, value in asked.items() if value is not None) or "1 = 1"
    # PostgreSQL sends JSON as a parsed value unless it is asked for text.
    columns = ",".join("CAST(inputs AS TEXT)" if c == "inputs" else c for c in COLUMNS)
    sql = f"SELECT {columns} FROM predictions WHERE {where} ORDER BY id"  # noqa: S608
    values = [value for value in asked.values() if value is not None]
    if sqlite:
        import sqlite3

        from api.predictions.sqlite import open_to_read

        try:
            with closing(open_to_read(address.path)) as file:
                yield from map(_named, file.execute(sql, values))
        except sqlite3.Error as error:
            raise LogUnavailable(f"{address.path} cannot be read ({error})") from error
        return
    import psycopg

    from api.predictions.postgres import connect_to_read

    try:
        with connect_to_read(address) as connection, connection.cursor("predictions") as cursor:
            cursor.itersize = PIECE
            yield from map(_named, cursor.execute(sql.replace("?", "%s").encode(), values))
    except psycopg.Error as error:
        raise LogUnavailable(f"{address.shown} cannot be read ({address.redact(error)})") from None


def _named(values: tuple[Any, ...]) -> dict[str, Any]:
    row = dict(zip(COLUMNS, values, strict=True))
    return row | {"at": iso(row["at"]), "prediction": bool(row["prediction"])}
