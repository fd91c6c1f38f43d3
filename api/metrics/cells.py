"""What is counted in: cells of a memory-mapped block, and the blocks.

`cells[i] += x` on a memoryview of float64 is a few byte codes between which CPython does not switch threads (it does at
calls and backward jumps), so threads of one worker need no lock; a free-threaded build would need one. One process
writes a cell. An aligned float64 is read and written whole on x86-64 and ARM64: no reader sees half a number.
"""

from __future__ import annotations

import mmap
import os
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    Cells = memoryview[float]

BLOCK = 8192
"""Cells of a block, 64 KiB. A worker with two models of 25 features takes some 950."""
NAN = float("nan")


class Cell:
    """One counter or gauge."""

    __slots__ = ("_cells", "_index")

    def __init__(self, cells: Cells, index: int) -> None:
        self._cells, self._index = cells, index

    def add(self, amount: float = 1.0) -> None:
        """Count `amount` more; a counter takes no negative ones."""
        self._cells[self._index] += amount

    def set(self, value: float) -> None:
        """Make a gauge say `value`."""
        self._cells[self._index] = value

    def clear(self) -> None:
        """Take a gauge out of the exposition until it is set again."""
        self._cells[self._index] = NAN


class Histogram:
    """Counts of values per bucket, and their sum. Bucket i holds values above edge i - 1, up to edge i itself."""

    __slots__ = ("_cells", "_edges", "_first", "_sum")

    def __init__(self, cells: Cells, first: int, edges: tuple[float, ...]) -> None:
        self._cells, self._edges = cells, edges
        self._first, self._sum = first, first + len(edges) + 1

    def observe(self, value: float) -> None:
        """Count one value, which must be a number: NaN would spoil the sum."""
        cells = self._cells
        cells[self._first + bisect_left(self._edges, value)] += 1.0
        cells[self._sum] += value

    def observe_counts(self, counts: Sequence[float], total: float) -> None:
        """Count many values: how many fell in each bucket (one more than edges), and the sum of their values."""
        cells = self._cells
        for index, count in enumerate(counts, self._first):
            if count:
                cells[index] += count
        cells[self._sum] += total


class Run(NamedTuple):
    """Neighbouring cells: `cells[first]` and those after it, in block number `block` of the worker."""

    cells: Cells
    block: int
    first: int


class Blocks:
    """Hands out cells, from as many files as it takes. Files are written full of zeros when they are made."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._made = 0
        self._add(BLOCK)

    def take(self, count: int) -> Run:
        """`count` neighbouring cells that nobody else has, all zero.

        Raises:
            OSError: a new block was needed and could not be made.
        """
        if self._free + count > len(self._cells):
            self._add(max(BLOCK, count))
        run = Run(self._cells, self._made - 1, self._free)
        self._free += count
        return run

    def _add(self, size: int) -> None:
        path = self._folder / block_file(self._name, self._made)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Written, not only made long: on a full disk this fails here, where a hole would kill the process later.
            if os.write(handle, bytes(8 * size)) != 8 * size:
                raise OSError(f"{path}: no space left for metrics")
            self._cells: Cells = memoryview(mmap.mmap(handle, 8 * size)).cast("d")
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(handle)
        self._made += 1
        self._free = 0


def unshared(count: int) -> Cells:
    """Cells in this process alone: updates of what could not be stored go there and are not seen."""
    return memoryview(bytearray(8 * count)).cast("d")


def block_file(name: str, number: int) -> str:
    """The file name of one of a worker's blocks."""
    return f"{name}.{number}.cells"


def size(edges: tuple[float, ...] | None) -> int:
    """Cells of a series: one, or those of a histogram's buckets and its sum."""
    return 1 if edges is None else len(edges) + 2
