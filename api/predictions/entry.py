"""What is logged of one prediction, and how much of it may be kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

Row: TypeAlias = tuple[float, str, int, str | None, str, str, str | None, str, float, float, bool, bytes]
"""The fields of an `Entry`. A plain tuple is made faster, and the garbage collector soon stops visiting it."""


class Entry(NamedTuple):
    """One prediction. at: seconds since 1970; row: its place in the request; raw: the score before calibration.

    variant: prod, canary, shadow; source: which route or protocol asked; inputs: the raw values as a JSON object.
    """

    at: float
    request_id: str
    row: int
    customer: str | None
    variant: str
    version: str
    commit: str | None
    source: str
    raw: float
    probability: float
    prediction: bool
    inputs: bytes


COLUMNS = (
    "at",
    "request_id",
    "row",
    "customer",
    "variant",
    "version",
    "git_commit",
    "source",
    "raw_score",
    "probability",
    "prediction",
    "inputs",
)
"""What the fields of an entry are called in the table. COMMIT is a reserved word of SQL, hence git_commit."""

ROWS_PER_MB = 64


@dataclass(frozen=True)
class Limits:
    """max_days, max_mb: of the log; queue, queue_bytes: of what waits in memory; seconds: between two writes."""

    max_days: float = 90.0
    max_mb: int = 1024
    queue: int = 100_000
    seconds: float = 0.5
    queue_bytes: int = 128 << 20

    def transaction(self, most: int) -> int:
        """Rows of one transaction. SQLite keeps a transaction's pages beside those they replace: few in a small log."""
        return min(most, ROWS_PER_MB * self.max_mb)
