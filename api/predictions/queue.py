"""What waits to be written: bounded in number and in bytes, filled on the request path."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from operator import itemgetter

from api.predictions.entry import Row

_inputs: Callable[[Row], bytes] = itemgetter(-1)


class Queue:
    """Any thread puts, one thread takes. Nothing blocks: what finds no room is counted in `full` and forgotten."""

    __slots__ = ("_bytes", "_limit", "_limit_bytes", "_room", "_rows", "_taken", "full")

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self._rows: deque[Row] = deque()
        self._limit, self._limit_bytes = limit, limit_bytes
        self._room = limit
        self._taken = 0
        self._bytes = 0
        self.full = 0

    def __len__(self) -> int:
        """Rows that are not yet safe: those that wait and those that were taken."""
        return len(self._rows) + self._taken

    @property
    def waiting(self) -> int:
        """Rows that were not yet taken."""
        return len(self._rows)

    def put(self, row: Row) -> None:
        """Append one row, or count it as lost."""
        size = len(row[-1])
        # The interpreter does not change threads inside `+=` of two numbers: no lock is needed to keep the sum right.
        if len(self._rows) < self._room and self._bytes < self._limit_bytes:
            self._bytes += size
            self._rows.append(row)
        else:
            self.full += 1

    def put_many(self, rows: Iterable[Row]) -> None:
        """Append what there is room for, count the rest as lost."""
        given = list(rows)
        room = max(0, self._room - len(self._rows)) if self._bytes < self._limit_bytes else 0
        kept = given if len(given) <= room else given[:room]
        size = sum(map(len, map(_inputs, kept)))
        self._bytes += size
        self._rows.extend(kept)
        self.full += len(given) - len(kept)

    def take(self, most: int) -> list[Row]:
        """The oldest rows. They count against the limit until `done` says how many of them are safe or lost."""
        taken = [self._rows.popleft() for _ in range(min(most, len(self._rows)))]
        size = sum(map(len, map(_inputs, taken)))
        self._bytes -= size
        self._taken += len(taken)
        self._room = self._limit - self._taken
        return taken

    def done(self, rows: int) -> None:
        """So many of the taken rows need no room any more."""
        self._taken -= rows
        self._room = self._limit - self._taken

    def shut(self) -> None:
        """From now on nothing finds room."""
        self._limit = self._room = 0
