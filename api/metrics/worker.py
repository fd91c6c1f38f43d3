"""One worker's files, as whoever is scraped reads them."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING

from api.metrics.cells import block_file
from api.metrics.families import FAMILIES
from api.metrics.index import SUFFIX, Lines, Name
from api.metrics.totals import Totals

if TYPE_CHECKING:
    from api.metrics.cells import Cells


class Worker:
    """A worker, dead or alive: its series and what they say now."""

    def __init__(self, folder: Path, name: Name) -> None:
        self._folder, self.name = folder, name
        self._lines = Lines(folder / f"{name}{SUFFIX}")
        self._blocks: dict[int, Cells] = {}

    @property
    def facts(self) -> dict[str, object]:
        """What the worker says of itself: `worker`, its label; `began`, seconds since 1970; `closed`."""
        return self._lines.facts

    def refresh(self) -> bool:
        """Learn of new series. Returns whether the worker is alive: whether it may count on."""
        alive = self.name.alive()  # asked first: whatever it wrote before it died is read now
        self._lines.refresh()
        return alive and self.facts.get("closed") is not True

    def add_to(self, totals: Totals, *, gauges: bool) -> None:
        """Add the worker's counters and histograms, and put in its gauges if asked to.

        A histogram that is counted in meanwhile may have a value in its buckets that its sum has not, for this once.
        """
        for series in list(self._lines.series.values()):
            key, first = series.key, series.first
            cells, last = self._block(series.block), first + key.cells
            if cells is None or last > len(cells):
                continue
            if FAMILIES[key.family].kind != "gauge":
                totals.add(key, cells[first:last].tolist(), series.since)
            elif gauges and cells[first] == cells[first]:  # one that was cleared is NaN
                totals.put(key.family, key.labels, cells[first])

    def _block(self, number: int) -> Cells | None:
        cells = self._blocks.get(number)
        if cells is None:
            try:
                with (self._folder / block_file(str(self.name), number)).open("rb") as file:
                    cells = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).cast("d")
            except (OSError, ValueError, TypeError):  # gone, empty, or no whole number of cells
                return None
            self._blocks[number] = cells
        return cells
