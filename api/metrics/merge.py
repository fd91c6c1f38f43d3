"""What dead workers counted, merged into one file, so that a crash loop does not fill the folder.

The file is replaced in whole and names the workers that are in it. From that moment on their own files do not count,
whether they are there still or not: killed at any point, a merge loses nothing and counts nothing twice.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.metrics.index import Key, Name, as_key
from api.metrics.totals import Totals
from api.metrics.worker import Worker

MOST_DEAD = 8
"""Dead workers whose files may lie about."""
MERGED = "merged.json"
LOCK = "lock"


class Merged:
    """What stands in the file: the workers that are in it, and their series with values and `since`."""

    def __init__(self) -> None:
        self.workers: frozenset[Name] = frozenset()
        self.series: list[tuple[Key, list[float], float]] = []

    @classmethod
    def of(cls, content: bytes) -> Merged:
        """Read the file's content. Series of another version of the service are left out; a damaged file is empty."""
        merged = cls()
        try:
            document = json.loads(content or b"{}")
            merged.workers = frozenset(filter(None, map(Name.of, document.get("workers", ()))))
            lines = list(document.get("series", ()))
        except (ValueError, TypeError, AttributeError):
            return cls()
        for line in lines:
            try:
                (family, labels, edges), values, since = line
                key = as_key(family, labels, edges)
                numbers, since = list(map(float, values)), float(since)
            except (ValueError, TypeError, KeyError):
                continue
            if len(numbers) == key.cells:
                merged.series.append((key, numbers, since))
        return merged


def merged_bytes(folder: Path) -> bytes:
    """The content of the file; nothing when there is none."""
    try:
        return (folder / MERGED).read_bytes()
    except FileNotFoundError:
        return b""


def names(folder: Path) -> set[Name]:
    """The workers that have files in the folder; none when somebody removed it."""
    try:
        return set(filter(None, map(Name.of, os.listdir(folder))))
    except FileNotFoundError:
        return set()


def merge(folder: Path) -> None:
    """Merge the files of dead workers when there are many. Only one process does it; the others go on without.

    Raises:
        OSError: the folder cannot be written to.
    """
    with locked(folder, wait=False) as ours:
        if not ours:
            return
        before = Merged.of(merged_bytes(folder))
        workers = [Worker(folder, name) for name in names(folder) - before.workers]
        dead = [worker for worker in workers if not worker.refresh()]
        if len(dead) <= MOST_DEAD:
            return
        totals = Totals()
        for key, values, since in before.series:
            totals.add(key, values, since)
        for worker in dead:
            worker.add_to(totals, gauges=False)
        merged = {worker.name for worker in dead} | (before.workers & names(folder))
        _replace(folder / MERGED, merged, totals)
        _remove(folder, merged)


@contextmanager
def locked(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the folder's lock, which a killed process gives up; False when another has it and we do not wait."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _replace(path: Path, workers: set[Name], totals: Totals) -> None:
    document = {
        "workers": sorted(map(str, workers)),
        "series": [[key, values, totals.since[key]] for key, values in totals.values.items()],
    }
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(document), encoding="ascii")
    os.replace(fresh, path)


def _remove(folder: Path, workers: set[Name]) -> None:
    for file in os.listdir(folder):
        if Name.of(file) in workers:
            (folder / file).unlink(missing_ok=True)
