"""What is told of two versions of the data; every part as --json prints it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Facts = dict[str, Any]


@dataclass(frozen=True)
class Both(Generic[T]):
    """Something of each version."""

    before: T
    after: T


@dataclass(frozen=True)
class Version:
    """A commit and the digest of its data/raw (None: it has none); rows: of its table, None where it was not read."""

    commit: str
    digest: str | None
    rows: int | None


@dataclass(frozen=True)
class Rows:
    """What became of the rows.

    key: columns that a row is known by; empty: by all that it holds. changed: rows of both versions with another value
    in a column that both have; None without a key. by_content: rows whose key is missing or not theirs alone, so that
    they are compared as wholes and can only be added or removed. copies: those of them that repeat another.
    """

    key: tuple[str, ...]
    before: int
    after: int
    added: int
    removed: int
    changed: int | None
    by_content: Both[int]
    copies: Both[int]


@dataclass(frozen=True)
class Outcome:
    """The target. positive_share: of the rows with a target.

    to_positive, to_negative: rows known by their key whose outcome turned; labelled, unlabelled: that got or lost one.
    All four are None without a key.
    """

    column: Both[str]
    positive_share: Both[float | None]
    to_positive: int | None
    to_negative: int | None
    labelled: int | None
    unlabelled: int | None


@dataclass(frozen=True)
class SchemaChange:
    """One thing that data/schema.yaml, or the table itself, says otherwise of a column.

    change: added, removed, kind, stored (the type that its values have in the table), derived, or a key of
    data/schema.yaml. Values are None where there is none.
    """

    column: str
    change: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Drift:
    """A population stability index, what chance alone stays under, and how it is read.

    reading: stable, moderate, large, or chance: as large as that, but two random samples would be as well.
    """

    score: float
    chance: float
    bins: int
    reading: str


@dataclass(frozen=True)
class Seen:
    """Levels that only one version has: how many, in how many rows, and the most frequent ones' names, cut."""

    count: int
    rows: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Levels:
    """Distinct values. new: in `after` only, vanished: in `before` only."""

    before: int
    after: int
    new: Seen
    vanished: Seen


@dataclass(frozen=True)
class Spread:
    """Numbers, lengths of texts in characters, or dates (ISO; no mean then); None where no row has a value."""

    low: Any
    mean: float | None
    high: Any


@dataclass(frozen=True)
class Column:
    """A column that both versions have.

    changed: rows of both with another value; None without a key, and for the key itself. missing: share of the rows.
    drift: None where it says nothing (ids, observation times, another kind, no rows). spread: of numbers, dates and the
    lengths of texts.
    """

    name: str
    kind: str
    changed: int | None
    missing: Both[float | None]
    drift: Drift | None = None
    spread: Both[Spread] | None = None
    levels: Levels | None = None


@dataclass(frozen=True)
class Sides:
    """Rows on each side of the split, side → rows; moved: "train → test" → rows that both versions have on a side.

    unavailable: why it cannot be told.
    """

    before: dict[str, int]
    after: dict[str, int]
    moved: dict[str, int]
    unavailable: str | None = None


@dataclass(frozen=True)
class Compared:
    """What two tables differ in. schema: what their schemas do not tell. columns: the largest change first."""

    rows: Rows
    outcome: Outcome | None
    schema: tuple[SchemaChange, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class DataDiff:
    """All of it.

    same: both have the very same bytes, which were not read then. unavailable: why there is nothing on rows and
    columns. columns: the largest change first. sides: None where both are the same or have none.
    """

    before: Version
    after: Version
    same: bool
    unavailable: str | None
    rows: Rows | None
    outcome: Outcome | None
    schema: tuple[SchemaChange, ...]
    columns: tuple[Column, ...]
    sides: Sides | None
    notes: tuple[str, ...]

    def facts(self) -> Facts:
        """As --json prints it; numbers that are not finite are null."""
        facts: Facts = _plain(asdict(self))
        return facts

    def lines(self, most: int = 12) -> list[str]:
        """In a few lines for people, without markup; at most so many on columns."""
        from mlops.datadiff import words

        facts = self.facts()
        return [*words.lines(facts), *words.columns(facts, most)]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
