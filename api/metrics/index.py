"""A worker's index file: which series its cells hold. One JSON line each, appended, never changed.

    {"worker": "812", "began": 1763712000.5}      the worker's label, and when its process began
    [["churn_refused_total", ["predict", "rows"], null], 0, 17, 1763712003.2]
        family, label values, edges of a histogram; block; first cell; since when
    {"closed": true}                              the worker is done, though its process may live on

A line begins with a line break and ends with one: what a dying worker wrote by half is skipped, and spoils no other.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from api.metrics import process
from api.metrics.cells import size
from api.metrics.families import FAMILIES, Labels

SUFFIX = ".index"

Edges = tuple[float, ...]


class Key(NamedTuple):
    """What makes two series of two workers the same one. Histograms of other edges cannot be added up."""

    family: str
    labels: Labels
    edges: Edges | None

    @property
    def cells(self) -> int:
        """How many cells the series takes."""
        return size(self.edges)


class Series(NamedTuple):
    """A line of the index. Of histograms that differ in their edges alone, the one with the latest `since` is shown."""

    key: Key
    block: int
    first: int
    since: float


class Name(NamedTuple):
    """What the files of one worker begin with. No two workers have the same, also after a reboot."""

    pid: int
    start: int
    made: int

    def __str__(self) -> str:
        return f"{self.pid}-{self.start}-{self.made}"

    @classmethod
    def mine(cls) -> Name:
        """A new name for files of this process."""
        return cls(os.getpid(), process.start_of(os.getpid()), time.time_ns())

    @classmethod
    def of(cls, file: str) -> Name | None:
        """The name that a file begins with; None for other files."""
        parts = file.partition(".")[0].split("-")
        if len(parts) != 3 or not all(part.isdecimal() for part in parts):
            return None
        pid, start, made = map(int, parts)
        return cls(pid, start, made)

    def alive(self) -> bool:
        """Whether the process is still there."""
        return process.alive(self.pid, self.start)


class Writer:
    """Appends to a worker's index, and locks the folder: systemd removes old temporary files, but not under a lock."""

    def __init__(self, path: Path, worker: str) -> None:
        self._folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._folder, fcntl.LOCK_SH)
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.write({"worker": worker, "began": process.began(os.getpid())})

    def write(self, line: Series | dict[str, object]) -> None:
        """Append a line: everybody knows of it from now on.

        Raises:
            OSError: the disk is full, or the index was closed.
        """
        content = b"\n" + json.dumps(line).encode() + b"\n"
        if os.write(self._handle, content) != len(content):
            raise OSError("no space left for metrics")

    def close(self) -> None:
        """Say that nothing more will be counted; closed twice is closed."""
        with suppress(OSError):  # on a full disk the gauges stay until the process ends
            self.write({"closed": True})
        for handle in {self._folder, self._handle} - {-1}:
            os.close(handle)
        self._folder = self._handle = -1  # the numbers may soon be other files'


class Lines:
    """Reads an index, each time from where it got to."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        self.series: dict[tuple[int, int], Series] = {}
        self.facts: dict[str, object] = {}

    def refresh(self) -> None:
        """Read what was appended. A line without its end may still be written: it waits for the next time.

        A file that is not there says nothing: its worker is just beginning, or has been merged.
        """
        try:
            if self._path.stat().st_size == self._offset:
                return
            with self._path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in filter(None, whole.split(b"\n")):
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            read = json.loads(line)
        except ValueError:  # half a line of a worker that died, or a damaged one
            return
        if isinstance(read, dict):
            self.facts.update(read)
        elif (series := as_series(read)) is not None:
            self.series[series.block, series.first] = series


def as_series(read: Any) -> Series | None:
    """A line of the index once its JSON is read; None when it is damaged or of another version of the service."""
    try:
        (family, labels, edges), block, first, since = read
        return Series(as_key(family, labels, edges), _place(block), _place(first), float(since))
    except (ValueError, TypeError, KeyError):
        return None


def as_key(family: str, labels: list[str], edges: list[float] | None) -> Key:
    """A key from what JSON makes of it.

    Raises:
        ValueError, TypeError, KeyError: it is none, or of a family that is not there any more.
    """
    known = FAMILIES[family]
    key = Key(known.name, tuple(labels), None if edges is None else tuple(map(float, edges)))
    if len(labels) != len(known.labels) or not all(isinstance(label, str) for label in labels):
        raise ValueError("labels of another version")
    if (known.kind == "histogram") != (key.edges is not None):
        raise ValueError("a series of another kind")
    return key


def _place(number: int) -> int:
    if not isinstance(number, int) or number < 0:
        raise ValueError("no place of a cell")
    return number
