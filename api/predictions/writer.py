"""The thread that writes: what was put, what came back as feedback, and what keeps the log in order."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future

from api.predictions.address import LogError, LogUnavailable
from api.predictions.database import Database, DatabaseDown, RowsRefused
from api.predictions.entry import Limits, Row
from api.predictions.feedback import FeedbackResult, Outcome, record
from api.predictions.queue import Queue
from api.predictions.retention import Retention
from api.predictions.runs import Crash, Run, crashes, find_crashed

TRANSACTION_ROWS = 8000
YIELD_ROWS = 1000
"""To take or to free so many rows takes a tenth of a millisecond; then a thread that waits for the GIL may have it."""
RETRY_SECONDS = (0.2, 5.0)
"""After a failure the next attempt comes so much later: first, and at most; doubled each time."""
LOOK_SECONDS = 60.0
"""How often a worker looks whether others crashed."""

log = logging.getLogger("api.predictions")


class Writer:
    """One worker's thread. Counters are read by other threads and changed by this one only."""

    def __init__(self, queue: Queue, database: Database, limits: Limits) -> None:
        self._queue, self._database, self._limits = queue, database, limits
        self._batch: list[Row] = []
        self._most = limits.transaction(TRANSACTION_ROWS)
        self._size = 0
        self._repaired = False
        self._run = Run(database)
        self._retention = Retention(database, limits)
        self._asked: deque[tuple[Outcome, Future[FeedbackResult]]] = deque()
        self._wake, self._stopping, self._tried = threading.Event(), threading.Event(), threading.Event()
        self._deadline = float("inf")
        self._retry = RETRY_SECONDS[0]
        self._connected = False
        self._next_look = 0.0
        self._down_since: float | None = None
        self._thread = threading.Thread(target=self._work, name="prediction log", daemon=True)
        self.fatal: LogError | None = None
        self.crashes: tuple[Crash, ...] = ()
        self.up = False
        self.written = self.refused = self.errors = 0

    @property
    def deleted(self) -> int:
        """Predictions that were deleted to keep the log within its limits."""
        return self._retention.deleted

    def start(self, seconds: float) -> None:
        """Begin, and wait so long for the first attempt to reach the database."""
        self._thread.start()
        self._tried.wait(seconds)

    def wake(self) -> None:
        """Write now."""
        self._wake.set()

    def ask(self, outcome: Outcome) -> Future[FeedbackResult]:
        """Store an outcome after everything that was put before it."""
        answer: Future[FeedbackResult] = Future()
        self._asked.append((outcome, answer))
        self._wake.set()
        return answer

    def stop(self, seconds: float) -> None:
        """Write what there is, within this time, and end."""
        self._deadline = time.monotonic() + seconds
        self._stopping.set()
        self._wake.set()
        self._thread.join(seconds)

    def _work(self) -> None:
        pause = 0.0
        while True:
            self._wake.wait(pause)
            self._wake.clear()
            last = self._stopping.is_set()
            pause = self._attempt()
            self._tried.set()
            if self.fatal is not None:
                return
            if last and (not self._queue or time.monotonic() + pause > self._deadline):
                break
        self._end()

    def _attempt(self) -> float:
        """One turn. Returns the seconds until the next."""
        try:
            more = self._turn()
        except (DatabaseDown, LogError) as error:
            return self._failed(error)
        except Exception as error:
            log.exception("the prediction log's thread met something unforeseen; it goes on")
            return self._failed(error)
        self._came_back()
        return 0.0 if more else self._limits.seconds

    def _turn(self) -> bool:
        self._connect()
        self._flush()
        self._answer()
        self._run.beat(self._lost())
        if time.monotonic() > self._next_look:
            self._look()
        return self._retention.work(self._run.id)

    def _connect(self) -> None:
        if self._database.connect() or not self._connected:
            self._register()
            self._connected = True
            if self._tried.is_set():
                # Others were cut off, too: they get the time to show that they live.
                self._next_look = time.monotonic() + LOOK_SECONDS

    def _register(self) -> None:
        more = self._run.register()
        self._safe(min(max(0, more), len(self._batch)))

    def _look(self) -> None:
        with self._database.transaction() as execute:
            found = find_crashed(self._database, execute, self._run.id)
            self.crashes = crashes(self._database, execute)
        for crash in found:
            log.warning("%s", crash)
        self._next_look = time.monotonic() + LOOK_SECONDS

    def _flush(self) -> None:
        """Write everything that was put before now."""
        waiting = self._queue.waiting
        while self._batch or waiting > 0:
            if not self._batch:
                self._take(min(waiting, self._most))
                waiting -= len(self._batch)
            self._retention.make_room()
            self._write_batch()
            self._retention.work(self._run.id)

    def _take(self, rows: int) -> None:
        while len(self._batch) < rows:
            self._batch += self._queue.take(min(rows - len(self._batch), YIELD_ROWS))
            time.sleep(0)
        self._size, self._repaired = rows, False

    def _write_batch(self) -> None:
        """Write the batch in order. When rows are refused, smaller and smaller parts, until the culprit is alone."""
        before, reason = self.refused, ""
        try:
            while self._batch:
                part = self._batch if self._size >= len(self._batch) else self._batch[: self._size]
                try:
                    self._commit(part)
                    self._size *= 2
                except RowsRefused as error:
                    if self._repair():
                        continue
                    if len(part) == 1:
                        reason = reason or f"request {part[0][1]!r}, row {part[0][2]}: {error}"
                        self._refuse()
                    self._size = max(1, len(part) // 2)
        finally:
            if reason:
                refused = self.refused - before
                log.warning("the prediction log refused %d predictions; the first: %s", refused, reason)

    def _repair(self) -> bool:
        """Replace characters that the database cannot store, once per batch. True: there were some."""
        if self._repaired:
            return False
        text, before = self._database.text, self._batch
        self._repaired = True
        self._batch = [tuple(text(v) if isinstance(v, str) else v for v in row) for row in before]  # type: ignore[misc]
        return self._batch != before

    def _commit(self, rows: list[Row]) -> None:
        try:
            with self._database.transaction() as execute:
                self._database.insert(self._run.id, rows)
                if not self._run.count(execute, len(rows), self._lost()):
                    raise _Counted
        except _Counted:
            self._register()
        else:
            self._run.written += len(rows)
            self._safe(len(rows))

    def _safe(self, rows: int) -> None:
        for start in range(0, rows, YIELD_ROWS):
            del self._batch[: min(YIELD_ROWS, rows - start)]
            time.sleep(0)
        self._queue.done(rows)
        self.written += rows

    def _refuse(self) -> None:
        del self._batch[:1]
        self._queue.done(1)
        self.refused += 1

    def _lost(self) -> int:
        return self._queue.full + self.refused

    def _answer(self) -> None:
        """Store the outcomes that were asked for, all in one transaction."""
        asked = [self._asked.popleft() for _ in range(len(self._asked))]
        waiting = [(outcome, answer) for outcome, answer in asked if answer.set_running_or_notify_cancel()]
        if not waiting:
            return
        try:
            with self._database.transaction() as execute:
                results = [record(self._database, execute, outcome) for outcome, _ in waiting]
        except Exception as error:
            for _, answer in waiting:
                answer.set_exception(LogUnavailable(f"the prediction log cannot be reached ({error})"))
            raise
        for (_, answer), result in zip(waiting, results, strict=True):
            answer.set_result(result)

    def _failed(self, error: Exception) -> float:
        self.errors += 1
        self.up = self._connected = False
        self._database.disconnect()
        if isinstance(error, LogError) and not self._tried.is_set():
            self.fatal = error
        elif self._down_since is None:
            log.warning("the prediction log is down (%s): predictions wait in memory, %d now", error, len(self._queue))
        if self._down_since is None:
            self._down_since = time.monotonic()
        for _, answer in [self._asked.popleft() for _ in range(len(self._asked))]:
            if answer.set_running_or_notify_cancel():
                answer.set_exception(LogUnavailable(f"the prediction log cannot be reached ({error})"))
        pause, self._retry = self._retry, min(2 * self._retry, RETRY_SECONDS[1])
        return pause

    def _came_back(self) -> None:
        if self._down_since is not None:
            log.warning("the prediction log is back after %.1f s; %d predictions of this worker were lost since it "
                        "started", time.monotonic() - self._down_since, self._lost())  # fmt: skip
        self._down_since, self._retry, self.up = None, RETRY_SECONDS[0], True

    def _end(self) -> None:
        if self.up:
            try:
                with self._database.transaction() as execute:
                    self._run.close(execute, self._lost())
                    self._retention.leave(execute, self._run.id)
            except DatabaseDown:
                self.errors += 1
        self._database.disconnect()
        self.up = False


class _Counted(Exception):  # noqa: N818
    """The rows were added by an attempt whose answer got lost."""
