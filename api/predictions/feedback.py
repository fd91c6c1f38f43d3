"""What became of a customer: outcomes are added, never changed, and the newest one counts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time
from typing import Literal

from api.predictions.address import LogError
from api.predictions.database import Database, Execute

MOST_ROWS = 2**31
YEAR_10000 = 253_402_300_800


@dataclass(frozen=True)
class Outcome:
    """What was observed of the prediction(s) of a request, of one row of it, or of a customer.

    observed_at: an ISO date or time, UTC where it does not say; it tells apart what was observed at several times.

    Raises:
        LogError: it names neither request nor customer, or a time that is none.
    """

    request_id: str | None
    row: int | None
    customer: str | None
    churned: bool
    observed_at: str | None

    def __post_init__(self) -> None:
        if self.request_id is None and self.customer is None:
            raise LogError("an outcome needs a request id or a customer; name one of them")
        if self.row is not None and (self.request_id is None or not 0 <= self.row < MOST_ROWS):
            raise LogError(f"row {self.row} is no row of a request; rows count from 0 and go with a request id")
        self.observed()

    def observed(self) -> float | None:
        """observed_at in seconds since 1970."""
        if self.observed_at is None:
            return None
        try:
            at = datetime.fromisoformat(self.observed_at)
            seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < YEAR_10000:
            raise LogError(
                f"observed_at {self.observed_at!r} is no time since 1970; write it like 2026-11-21 or "
                "2026-11-21T10:00:00Z"
            )
        return seconds


@dataclass(frozen=True)
class FeedbackResult:
    """result: new, same (nothing was added) or changed; matched: predictions in the log that it is about.

    previous: what counted until now, when it was changed.
    """

    result: Literal["new", "same", "changed"]
    matched: int
    previous: bool | None = None


def record(database: Database, execute: Execute, outcome: Outcome) -> FeedbackResult:
    """Add an outcome, inside a transaction, unless it is what counts already."""
    request_id = None if outcome.request_id is None else database.text(outcome.request_id)
    customer = None if outcome.customer is None else database.text(outcome.customer)
    observed = outcome.observed()
    key = json.dumps([request_id, outcome.row, customer, observed])
    database.only_one(execute)
    matched = _matched(execute, request_id, outcome.row, customer)
    before = execute("SELECT churned FROM outcomes WHERE key = ? ORDER BY id DESC LIMIT 1", key)
    if before and bool(before[0][0]) == outcome.churned:
        return FeedbackResult("same", matched)
    execute(
        "INSERT INTO outcomes(key,at,request_id,row,customer,churned,observed_at) VALUES (?,?,?,?,?,?,?)",
        key, database.moment(time()), request_id, outcome.row, customer, outcome.churned,
        None if observed is None else database.moment(observed),
    )  # fmt: skip
    return FeedbackResult("changed", matched, bool(before[0][0])) if before else FeedbackResult("new", matched)


def _matched(execute: Execute, request_id: str | None, row: int | None, customer: str | None) -> int:
    given = {"request_id": request_id, "row": row, "customer": customer}
    asked = {name: value for name, value in given.items() if value is not None}
    where = " AND ".join(f"{name} = ?" for name in asked)
    count: int = execute(f"SELECT count(*) FROM predictions WHERE {where}", *asked.values())[0][0]  # noqa: S608
    return count
