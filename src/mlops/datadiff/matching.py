"""Which rows of two tables are the same one: by their key, or by all that they hold.

A key has to be one row's alone in both tables. Rows whose key is not, or is missing, are compared as wholes: as many of
them as both tables hold of one content are unchanged, the others were added or removed. Contents are told apart by 64
bits; of a million rows that two unlike ones share them has a chance of 1 in 10 million (n²/2⁶⁵).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops.datadiff.pair import Pair, Places
from mlops.datadiff.result import Both, Rows
from mlops.rows import split

Codes = NDArray[np.int64]


class Matching:
    """The rows of two tables.

    before, after: places of the rows that have the same key, in both tables.

    Args:
        sizes: rows of both tables.
        key: names of the columns that a row is known by, the id first; may be empty.
        pairs: these columns, as codes.
    """

    def __init__(self, sizes: tuple[int, int], key: tuple[str, ...], pairs: Sequence[Pair]) -> None:
        self._sizes, self._key = sizes, key
        was, now = _joined(pairs) if key else (np.zeros(size, np.int64) for size in sizes)
        levels = max(int(was.max(initial=-1)), int(now.max(initial=-1))) + 1
        place, alone = zip(*(_places(side, levels) for side in (was, now)), strict=True)
        own = alone[0] & alone[1] if key else np.zeros(levels, np.bool_)
        both = own & (place[0] >= 0) & (place[1] >= 0)
        self.before: Places = place[0][both]
        self.after: Places = place[1][both]
        self._added = int(np.count_nonzero(own & (place[0] < 0)))
        self._removed = int(np.count_nonzero(own & (place[1] < 0)))
        self._loose = tuple(np.flatnonzero(~np.append(own, False)[side]) for side in (was, now))
        self._content = [np.zeros(len(at), np.uint64) for at in self._loose]
        self._changed = np.zeros(len(self.before), np.bool_)

    def compare(self, name: str, pair: Pair) -> int | None:
        """Take a column into account. Returns in how many rows of both it differs; None without a key."""
        if any(len(at) for at in self._loose):
            for total, more in zip(self._content, pair.hashes(name, *self._loose), strict=True):
                total += more
        if not self._key:
            return None
        differ = pair.differ(self.before, self.after)
        self._changed |= differ
        return int(np.count_nonzero(differ))

    def rows(self) -> Rows:
        """What became of the rows, after all columns were compared."""
        was, now = self._content
        sizes, more, fewer, copies = len(was), *_multiset(was, now)
        return Rows(
            key=self._key,
            before=self._sizes[0],
            after=self._sizes[1],
            added=self._added + more,
            removed=self._removed + fewer,
            changed=int(np.count_nonzero(self._changed)) if self._key else None,
            by_content=Both(sizes, len(now)),
            copies=copies,
        )


def _joined(pairs: Sequence[Pair]) -> tuple[Codes, Codes]:
    """One code per key, from 0 on without gaps; -1 where the first column, who the row is about, is missing."""
    first, *others = pairs
    keys = [side.astype(np.int64) for side in (first.before, first.after)]
    for pair in others:
        assert pair.levels is not None
        for key, part in zip(keys, (pair.before, pair.after), strict=True):
            known = key >= 0
            key[known] = key[known] * (len(pair.levels) + 1) + part[known] + 1
    if others:
        both = np.concatenate(keys)
        encoded = pc.dictionary_encode(pa.array(both, mask=both < 0)).indices
        dense = pc.fill_null(encoded, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        keys = [dense[: len(keys[0])], dense[len(keys[0]) :]]
    return keys[0], keys[1]


def _places(codes: Codes, levels: int) -> tuple[Places, NDArray[np.bool_]]:
    """Where each code stands, -1 for nowhere, and whether it stands there at most once."""
    known = np.flatnonzero(codes >= 0)
    place = np.full(levels, -1, np.int64)
    place[codes[known]] = known
    return place, np.bincount(codes[known], minlength=levels) <= 1


def _multiset(was: split.Hashes, now: split.Hashes) -> tuple[int, int, Both[int]]:
    """How many contents more and how many fewer there are now; copies beyond the first of each content."""
    _, group = np.unique(np.concatenate([was, now]), return_inverse=True)
    size = int(group.max(initial=-1)) + 1
    counts = [np.bincount(part, minlength=size) for part in (group[: len(was)], group[len(was) :])]
    change = counts[1] - counts[0]
    more, fewer = int(change[change > 0].sum()), -int(change[change < 0].sum())
    copies = Both(*(int(c.sum() - np.count_nonzero(c)) for c in counts))
    return more, fewer, copies
