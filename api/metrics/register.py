"""Where a worker's series are counted: cells and a line in the index for each, and a limit to each family's number."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from api.metrics.cells import Blocks, unshared
from api.metrics.families import OTHER, Family, Labels, registered
from api.metrics.index import SUFFIX, Edges, Key, Name, Series, Writer

if TYPE_CHECKING:
    from api.metrics.cells import Cells

MOST_SERIES = 2000
"""Label sets of one family in one worker. Further ones are counted together: hostile requests cannot fill memory."""
LONGEST_LABEL = 200
FOLDED = "churn_series_folded_total"


class Placed(NamedTuple):
    """Where a series is counted: from `cells[series.first]` on. Its labels are those asked for, or all `other`."""

    cells: Cells
    series: Series


class Register:
    """The series of one worker.

    Raises:
        OSError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        name = Name.mine()
        self._lock = threading.Lock()
        self._blocks = Blocks(folder, str(name))
        self._index = Writer(folder / f"{name}{SUFFIX}", worker)
        self._placed: dict[Key, Placed] = {}
        self._edges: dict[tuple[str, Labels], Edges | None] = {}
        self._known: set[tuple[str, Labels]] = set()
        self._count: Counter[str] = Counter()

    def place(self, family: Family, labels: Labels, edges: Edges | None = None) -> Placed:
        """The place of a series, made when it is new.

        A histogram that is asked for with other edges than before is counted anew with these, and shown with them.
        """
        with self._lock:
            return self._place(family, labels, edges)

    def close(self) -> None:
        """Give the gauges up. Counts stay, and are not to be added to any more."""
        with self._lock:
            self._index.close()

    def _place(self, family: Family, labels: Labels, edges: Edges | None) -> Placed:
        labels = self._within_limit(family, tuple([label[:LONGEST_LABEL] for label in labels]))
        key = Key(family.name, labels, edges)
        placed = self._placed.get(key)
        if placed is not None and self._edges[key[:2]] == edges:
            return placed
        try:
            placed = placed or self._fresh(key)
            self._index.write(placed.series._replace(since=time.time()))
        except OSError:  # a full disk: requests go on, and what is not counted is counted
            self._fold(family)
            return Placed(unshared(key.cells), Series(key, 0, 0, 0.0))
        self._placed[key], self._edges[key[:2]] = placed, edges
        return placed

    def _fresh(self, key: Key) -> Placed:
        run = self._blocks.take(key.cells)
        return Placed(run.cells, Series(key, run.block, run.first, 0.0))

    def _within_limit(self, family: Family, labels: Labels) -> Labels:
        if (family.name, labels) in self._known:
            return labels
        if self._count[family.name] == MOST_SERIES:
            self._fold(family)
            return (OTHER,) * len(labels)
        self._count[family.name] += 1
        self._known.add((family.name, labels))
        return labels

    def _fold(self, family: Family) -> None:
        if family.name != FOLDED:
            cells, series = self._place(registered(FOLDED, "counter"), (family.name,), None)
            cells[series.first] += 1.0
