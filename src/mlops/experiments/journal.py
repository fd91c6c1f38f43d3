"""A run's folder in .dvc/tmp/mlops-runs: whatever is logged is on disk at once, and outlives the process that logs it.

run.json      who, when, from which commit
events.jsonl  a line for each thing that was logged
live/         DVCLive's files
file-…        what the run's commit will hold, its path there in the name: a folder takes 2 ms to remove
lock          locked while the process that runs it lives
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from errno import ENOSPC
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

from mlops.errors import ExperimentError

PLACE = Path(".dvc/tmp/mlops-runs")
OPEN = 64
"""Files that a run keeps open to append to: opening one for each point of a curve takes longer than writing it."""
_FILE, _GONE = "file-", ".gone"


class Journal:
    """A run's folder, opened by the process that runs it or by one that recovers it; locked until `close`."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder, self._lock = folder, lock
        self._open: dict[str, int] = {}

    @classmethod
    def create(cls, root: Path, facts: dict[str, Any]) -> Journal:
        """A new folder. It appears with its facts in it, or not at all."""
        started = datetime.fromisoformat(facts["started"])
        folder = root / PLACE / f"{started:%Y%m%d-%H%M%S}-{uuid4().hex[:8]}"
        fresh = folder.with_name(f".{folder.name}.new")
        try:
            fresh.mkdir(parents=True)
            (fresh / "run.json").write_text(json.dumps(facts), encoding="utf-8")
            (fresh / "events.jsonl").touch()
            lock = _locked(fresh)
            assert lock is not None
            os.replace(fresh, folder)
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        return cls(folder, lock)

    @classmethod
    def resume(cls, folder: Path) -> Journal:
        """Take over a run whose process is gone.

        Raises:
            ExperimentError: its process is still there.
        """
        lock = _locked(folder)
        if lock is None:
            raise ExperimentError(f"run {folder.name} is still running; stop its process first")
        return cls(folder, lock)

    @property
    def name(self) -> str:
        """What the run is called here, until it has an experiment's name."""
        return self.folder.name

    @property
    def live(self) -> Path:
        """DVCLive's folder."""
        return self.folder / "live"

    def add(self, kind: str, **facts: Any) -> None:
        """Append an event."""
        self.append("events.jsonl", (json.dumps({"kind": kind, **facts}, allow_nan=True) + "\n").encode())

    def append(self, path: str, line: bytes, head: bytes = b"") -> bool:
        """Append to a file of the folder: one write, so that a process that dies leaves whole lines, and perhaps a torn
        last one. head: what a new file begins with. Returns whether it is new.
        """
        file = self._open.get(path)
        if file is None:
            file = self._opened(path)
        size = os.fstat(file).st_size
        content = line if size else head + line
        if os.write(file, content) != len(content):  # the disk filled up inside the line
            os.ftruncate(file, size)
            raise OSError(ENOSPC, os.strerror(ENOSPC), str(self.folder / path))
        return not size

    def _opened(self, path: str) -> int:
        while len(self._open) >= OPEN:
            os.close(self._open.pop(next(iter(self._open))))
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._open[path] = file
        return file

    def write(self, path: str, content: bytes) -> None:
        """Write a file of the commit, whole or not at all."""
        place = self.folder / (_FILE + quote(path, safe=""))
        fresh = place.with_name(f".{place.name}.new")
        try:
            fresh.write_bytes(content)
            os.replace(fresh, place)
        finally:
            fresh.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the folder, which stays."""
        while self._open:
            os.close(self._open.popitem()[1])
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def remove(self) -> None:
        """Remove the folder: the run is filed, or not wanted. Killed meanwhile, it leaves nothing to be recovered."""
        gone = self.folder.with_name(f".{self.folder.name}{_GONE}")
        try:
            os.replace(self.folder, gone)
        except OSError:
            gone = self.folder
        shutil.rmtree(gone, ignore_errors=True)
        self.close()


def facts(folder: Path) -> dict[str, Any]:
    """What is known of the run in a folder since it began.

    Raises:
        ExperimentError: a crash of the machine left it empty, or somebody edited it.
    """
    try:
        found: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return {key: found[key] for key in ("name", "started", "base", "id", "overwrite")} | found
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ExperimentError(
            f"{folder / 'run.json'} cannot be read, so nobody knows what run this was; look at the files beside"
            f" it, then `mlops experiments recover {folder.name} --discard`"
        ) from None


def events(folder: Path) -> Iterator[dict[str, Any]]:
    """What was logged, in order. A torn last line, of a process that died while it wrote, is left out."""
    for line in (folder / "events.jsonl").read_bytes().split(b"\n"):
        try:
            yield json.loads(line)
        except ValueError:
            continue


def files(folder: Path) -> dict[str, bytes]:
    """Path in the commit → content, of the files that a run wrote."""
    return {unquote(place.name.removeprefix(_FILE)): place.read_bytes() for place in folder.glob(f"{_FILE}*")}


def left(root: Path) -> list[Path]:
    """Folders of runs that no process works on any more, the oldest first."""
    for gone in (root / PLACE).glob(f".*{_GONE}"):
        shutil.rmtree(gone, ignore_errors=True)
    found = []
    for folder in sorted((root / PLACE).glob("[0-9]*")):
        lock = _locked(folder)
        if lock is not None:
            os.close(lock)
            if (folder / "run.json").exists():
                found.append(folder)
    return found


def _locked(folder: Path) -> int | None:
    """The lock of a folder; None where a process has it. The kernel frees it when the process ends, however it does."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:  # it went away meanwhile
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
