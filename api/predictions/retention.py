"""Old predictions are deleted: those above an age, and the oldest when the log is too large. One worker at a time."""

from __future__ import annotations

import time

from api.predictions.database import Database, Execute
from api.predictions.entry import Limits

BATCH = 2000
"""Rows of one transaction: a dozen milliseconds, in which other workers wait for theirs. In smaller ones, SQLite would
write the same pages of the indexes again and again."""
PIECE_SECONDS = 0.05
LEASE_SECONDS = 30.0
"""How long the worker that deletes keeps this duty without renewing it; when it dies, another one takes over then."""
RENEW_SECONDS = 10.0
CLEAN_SECONDS = 60.0
FULL = 0.85
"""Share of max_mb from which on the oldest rows go: room for what is written until the next look."""
BRIM = 0.9
"""Share of max_mb at which nothing is written before something was deleted."""

_TAKE = (
    "UPDATE duties SET writer = ?, until = ? "
    "WHERE name = 'retention' AND (writer = ? OR until IS NULL OR until < ?) RETURNING writer"
)
_OLDEST = "SELECT max(id), min(at) FROM (SELECT id, at FROM predictions ORDER BY id LIMIT ?) oldest"
_UNREFERENCED = (
    "SELECT id FROM outcomes o WHERE id > ? AND id <= ? AND at < ? "
    "AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.request_id = o.request_id) "
    "AND NOT EXISTS (SELECT 1 FROM predictions p WHERE p.customer = o.customer)"
)


class Retention:
    """Keeps the log within its limits. deleted: predictions that this worker deleted."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self._database = database
        self._age = limits.max_days * 86_400
        self._bytes = limits.max_mb << 20
        self._batch = limits.transaction(BATCH)
        self._asked = self._looked = self._measured = self._cleaned = float("-inf")
        self._mine = False
        self._outcome = 0
        self.deleted = 0

    def work(self, writer: int) -> bool:
        """Delete for at most PIECE_SECONDS. True: there is more to do at once."""
        now = time.monotonic()
        if now - self._asked > RENEW_SECONDS:
            self._mine, self._asked = self._take(writer), now
        if not self._mine or now - self._looked < self._database.look_seconds:
            return False
        if now - self._cleaned > CLEAN_SECONDS:
            self._cleaned = now
            self._clean()
        began = now
        while self._delete() or self._database.shrink():
            ended = time.monotonic()
            if ended - now > PIECE_SECONDS:
                return True
            time.sleep(ended - began)  # other workers want the lock, too: they get it for half of the time
            began = time.monotonic()
        self._looked = now
        return False

    def make_room(self) -> None:
        """Every worker helps to delete when the one that does so cannot keep up with all that is written."""
        now = time.monotonic()
        if now - self._measured < self._database.look_seconds:
            return
        while self._database.used() > self._bytes * BRIM and self._delete():
            pass
        self._measured = now

    def _take(self, writer: int) -> bool:
        now, until = (self._database.moment(time.time() + s) for s in (0.0, LEASE_SECONDS))
        with self._database.transaction() as execute:
            return bool(execute(_TAKE, writer, until, writer, now))

    def leave(self, execute: Execute, writer: int) -> None:
        """Another worker may take over at once."""
        execute("UPDATE duties SET until = NULL WHERE writer = ?", writer)

    def _delete(self) -> bool:
        """Delete some of the oldest rows, if they are too old or the log is too large. True: rows were deleted."""
        cutoff = self._database.moment(time.time() - self._age)
        too_large = self._database.used() > self._bytes * FULL
        with self._database.transaction() as execute:
            last, oldest = execute(_OLDEST, self._batch)[0]
            if last is None or not (too_large or oldest < cutoff):
                return False
            if too_large:
                deleted = execute("DELETE FROM predictions WHERE id <= ? RETURNING 1", last)
            else:
                deleted = execute("DELETE FROM predictions WHERE id <= ? AND at < ? RETURNING 1", last, cutoff)
        self.deleted += len(deleted)
        return bool(deleted)

    def _clean(self) -> None:
        """Outcomes that are too old and that no prediction in the log is about; runs of workers long gone."""
        cutoff = self._database.moment(time.time() - self._age)
        with self._database.transaction() as execute:
            upto = self._outcome + BATCH
            for (outcome,) in execute(_UNREFERENCED, self._outcome, upto, cutoff):
                execute("DELETE FROM outcomes WHERE id = ?", outcome)
            highest = execute("SELECT coalesce(max(id), 0) FROM outcomes")[0][0]
            self._outcome = upto if upto < highest else 0
            execute("DELETE FROM writers WHERE coalesce(closed, crashed) < ?", cutoff)
