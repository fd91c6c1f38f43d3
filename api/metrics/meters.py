"""A worker's counters, gauges and histograms, and the exposition of all workers' together."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from api.metrics.cells import Cell, Histogram
from api.metrics.families import Family, Labels, registered
from api.metrics.merge import merge
from api.metrics.read import Reader
from api.metrics.register import Register
from api.metrics.text import exposition
from mlops.errors import MlopsError


class Meters:
    """One worker's metrics, in a folder that it shares with the other workers of its server.

    To be made in the worker's own process, after any fork: a cell has one process that writes it. Looking a series up
    takes most of a microsecond; keep the cell where that is too much.

    Raises:
        MlopsError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, worker: int) -> None:
        self._worker = str(worker)
        self._cells: dict[tuple[str, Labels], Cell] = {}
        self._reader, self._reading = Reader(folder), threading.Lock()
        try:
            self._register = Register(folder, self._worker)
        except OSError as error:
            raise MlopsError(
                f"{folder}: metrics cannot be kept there ({error.strerror or error}); free space or set MLOPS_RUN_DIR"
            ) from error
        with suppress(OSError):  # on a full disk: a later worker will do it
            merge(folder)

    def counter(self, name: str, /, **labels: str) -> Cell:
        """The counter of this family with these labels.

        Raises:
            ValueError: no counter has this name and these labels (api/metrics/families.py).
        """
        family = registered(name, "counter")
        return self._cell(family, family.values(labels, self._worker))

    def gauge(self, name: str, /, **labels: str) -> Cell:
        """The gauge of this worker, whose label `worker` is added; raises as `counter` does."""
        family = registered(name, "gauge")
        return self._cell(family, family.values(labels, self._worker))

    def histogram(self, name: str, edges: Sequence[float], /, **labels: str) -> Histogram:
        """The histogram with these labels; raises as `counter` does.

        Edges rise; each is the largest value of its bucket, and one more bucket takes what is above them. Asked for
        with other edges than before, a histogram starts anew: the earlier counts are not shown any more.
        """
        family = registered(name, "histogram")
        rising = tuple(map(float, edges))
        if not all(map(math.isfinite, rising)) or any(a >= b for a, b in pairwise(rising)):
            raise ValueError(f"{name}: the edges {rising} do not rise, or not to a finite number")
        cells, series = self._register.place(family, family.values(labels, self._worker), rising)
        return Histogram(cells, series.first, rising)

    def exposition(self) -> bytes:
        """The metrics of all workers of the folder in Prometheus' text format 0.0.4."""
        with self._reading:
            return exposition(self._reader.read())

    def close(self) -> None:
        """The worker is done: its gauges go, its counts stay. Nothing may be counted afterwards."""
        self._register.close()

    def _cell(self, family: Family, labels: Labels) -> Cell:
        cell = self._cells.get((family.name, labels))
        if cell is None:
            cells, series = self._register.place(family, labels)
            cell = Cell(cells, series.first)
            if series.key.labels == labels:
                self._cells[family.name, labels] = cell
        return cell
