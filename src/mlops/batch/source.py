"""The input file: its columns by name, and its rows in pieces that are read side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlops.batch.check import Rule
from mlops.errors import TableError, nearest
from mlops.table import names
from mlops.table.source import mapped

NAMED = 3  # missing columns that a message names


class Rejected(NamedTuple):
    """A record that is no row: its number (from 1, within the piece), why, and its text."""

    number: int
    reason: str
    text: str


@dataclass(frozen=True)
class Rows:
    """A piece of the file. table: the selected columns, by the file's names; span: how many records the piece has.

    numbers: which of them each row is, from 1; rejected: those that are no rows.
    """

    table: pa.Table
    numbers: NDArray[np.int64]
    span: int
    rejected: list[Rejected] = field(default_factory=list)


Piece = Callable[[], Iterator[Rows]]
"""Readings of the same records, to be made in any thread: the quick one first, which may take fewer spellings than the
last, most careful one."""


@dataclass(frozen=True)
class Selection:
    """Which columns are read. rules: those of the file that the model reads; carried: those that the output gets."""

    rules: Mapping[str, Rule]
    carried: tuple[str, ...]


class Source(Protocol):
    """An open file. columns: the names in it; rows: how many there are, None where only reading to the end tells."""

    columns: tuple[str, ...]
    rows: int | None
    decimal: str

    @property
    def warnings(self) -> Sequence[str]:
        """What a person should know about how it was read, complete when it is read."""

    def carried_type(self, name: str) -> pa.DataType:
        """The type of a column that the output gets."""

    def pieces(self, selection: Selection) -> Iterator[Piece]:
        """The file's records in order."""

    @property
    def share_read(self) -> float:
        """How much of it has been read, 0 to 1."""

    def close(self) -> None:
        """Close the file."""


def open_source(path: Path) -> Source:
    """Open a CSV or Parquet file, told apart by its first bytes.

    Raises:
        TableError: it is missing, empty or no table; the message says which.
    """
    if mapped(path)[:4] == b"PAR1":
        from mlops.batch.parquet import Parquet

        return Parquet(path)
    from mlops.batch.delimited import Delimited

    return Delimited(path)


def select(path: Path, columns: Sequence[str], rules: Sequence[Rule], carried: Sequence[str]) -> Selection:
    """Find the model's columns, and those to be carried, among the file's: by name, in any order.

    Raises:
        TableError: one is not there; the message names it and the nearest that is.
    """
    found = names.match([*(rule.name for rule in rules), *carried], columns)
    missing = [rule.name for rule in rules if rule.name not in found]
    if missing:
        listed = ", ".join(map(repr, missing[:NAMED])) + (f" and {len(missing) - NAMED} more" * (len(missing) > NAMED))
        near = nearest(missing[0], columns) or f"; its columns are {', '.join(columns[: names.SHOWN])}"
        raise TableError(f"{path}: no column {listed}, which the model reads{near}")
    for name in carried:
        if name not in found:
            names.find(name, columns, str(path))
    return Selection({found[rule.name]: rule for rule in rules}, tuple(dict.fromkeys(found[name] for name in carried)))
