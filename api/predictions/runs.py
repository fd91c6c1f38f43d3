"""The table `writers`: a row for each run of a worker. It tells which of them ended without saying goodbye.

The row also counts what the worker wrote, in the transactions that add the rows. A commit whose answer was lost,
because the connection broke, is thereby found out, and nothing is written twice.
"""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass

from api.predictions import process
from api.predictions.database import Database, Execute, iso, seconds

SILENT_SECONDS = 60.0
"""A worker of another machine or container counts as crashed when it has not been heard of for so long."""
BEAT_SECONDS = 10.0
"""A worker that has nothing to write says so often that it lives."""
SHOWN = 20
SHOWN_SECONDS = 86_400.0


@dataclass(frozen=True)
class Crash:
    """A worker that ended without closing the log. Times are ISO 8601, UTC.

    Predictions of up to one second after last_flush may be missing.
    """

    writer: int
    host: str
    pid: int
    started: str
    last_flush: str

    def __str__(self) -> str:
        """One line for the log."""
        return (f"worker {self.writer} (process {self.pid} on {self.host}, started {self.started}) ended without "
                f"closing the prediction log; it wrote last at {self.last_flush}: predictions of up to one second "
                "after that may be missing")  # fmt: skip


class Run:
    """The row of this worker. written: rows that are known to be safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._run = uuid.uuid4().hex
        self._started = time.time()
        self._beat = 0.0
        self.id = 0
        self.written = 0

    def register(self) -> int:
        """Find or make our row. Returns how many rows the database has of us beyond those that we knew of."""
        with self._database.transaction() as execute:
            found = self._row(execute)
        more: int = found[1] - self.written  # only now: a transaction that failed has taught us nothing
        self.id, self.written = found
        return more

    def _row(self, execute: Execute) -> tuple[int, int]:
        found = execute("SELECT id, written FROM writers WHERE run = ?", self._run)
        if not found:
            moment, now = self._database.moment, time.time()
            found = execute(
                "INSERT INTO writers(run,host,pid,process,started,last_flush,written,lost) VALUES (?,?,?,?,?,?,?,0) "
                "RETURNING id, written",
                self._run, process.host(), os.getpid(), process.started(os.getpid()), moment(self._started),
                moment(now), self.written,
            )  # fmt: skip
        return found[0][0], found[0][1]

    def count(self, execute: Execute, rows: int, lost: int) -> bool:
        """Last statement of a transaction that adds rows. False: an earlier attempt had added them, roll back."""
        now = self._database.moment(time.time())
        counted = execute(
            "UPDATE writers SET written = written + ?, lost = ?, last_flush = ?, crashed = NULL "
            "WHERE id = ? AND run = ? AND written = ? RETURNING id",
            rows, lost, now, self.id, self._run, self.written,
        )  # fmt: skip
        self._beat = time.monotonic()
        return bool(counted)

    def beat(self, lost: int) -> None:
        """Say that we live, when nothing was written for a while."""
        if time.monotonic() - self._beat > BEAT_SECONDS:
            with self._database.transaction() as execute:
                self.count(execute, 0, lost)

    def close(self, execute: Execute, lost: int) -> None:
        """Say goodbye."""
        now = self._database.moment(time.time())
        execute("UPDATE writers SET closed = ?, last_flush = ?, lost = ? WHERE id = ?", now, now, lost, self.id)


def find_crashed(database: Database, execute: Execute, me: int) -> list[Crash]:
    """Mark the workers that ended without closing. Returns those that nobody had found before."""
    others = execute(
        "SELECT id, host, pid, process, last_flush FROM writers WHERE closed IS NULL AND crashed IS NULL AND id <> ?",
        me,
    )
    dead = [o[0] for o in others if not _lives(o[1], o[2], o[3], seconds(o[4]))]
    now = database.moment(time.time())
    marked = "UPDATE writers SET crashed = ? WHERE id = ? AND crashed IS NULL AND closed IS NULL RETURNING id"
    found = {i for i in dead if execute(marked, now, i)}
    return [crash for crash in crashes(database, execute) if crash.writer in found] if found else []


def _lives(host: str, pid: int, began: str, heard: float) -> bool:
    if host == process.host():
        return process.started(pid) == began
    return time.time() - heard < SILENT_SECONDS


def crashes(database: Database, execute: Execute) -> tuple[Crash, ...]:
    """Workers that were found crashed within the last day, newest first; at most SHOWN."""
    rows = execute(
        "SELECT id, host, pid, started, last_flush FROM writers WHERE crashed > ? ORDER BY id DESC LIMIT ?",
        database.moment(time.time() - SHOWN_SECONDS), SHOWN,
    )  # fmt: skip
    return tuple(Crash(r[0], r[1].split(" ")[0], r[2], iso(r[3]), iso(r[4])) for r in rows)
