"""The prediction log as the service sees it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import TimeoutError as TooLate

from api.predictions.address import LogUnavailable, parse
from api.predictions.database import database
from api.predictions.entry import Limits, Row
from api.predictions.feedback import FeedbackResult, Outcome
from api.predictions.queue import Queue
from api.predictions.runs import Crash
from api.predictions.writer import Writer

FIRST_SECONDS = 2.0
"""At most so long does `start` wait for the database: whether it is a prediction log should be known by then."""
FEEDBACK_SECONDS = 5.0

log = logging.getLogger("api.predictions")


class PredictionLog:
    """One worker's log. `put` and `put_many` may be called by any thread; they neither wait nor raise.

    url: `sqlite:///path`, `postgresql://…` or `off`. A database that cannot be reached is no error: predictions wait
    in memory, and those that find no room there are counted in `lost`.

    Raises:
        LogError: the URL names no log, its folder cannot be made, or its driver is missing.
    """

    put: Callable[[Row], None]
    """Log one prediction: an `Entry`, or a plain tuple of its fields, which is quicker to make."""

    def __init__(self, url: str, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._address = parse(url)
        self.enabled = self._address.kind != "off"
        self._queue = Queue(self._limits.queue, self._limits.queue_bytes)
        self._shutdown = 0
        self._writer: Writer | None = None
        if self.enabled:
            self._writer = Writer(self._queue, database(self._address, self._limits), self._limits)
        # An attribute, not a method that calls another: one call less for each prediction.
        self.put = self._queue.put if self.enabled else _forget

    def put_many(self, rows: Iterable[Row]) -> None:
        """Log the predictions of one request."""
        if self._writer is None:
            return
        self._queue.put_many(rows)
        if self._writer.up and self._queue.waiting > self._limits.queue // 2:
            self._writer.wake()

    def start(self) -> None:
        """Begin to write.

        Raises:
            LogError: what is at the address is no prediction log, or one of a newer version.
        """
        if self._writer is None:
            return
        self._writer.start(FIRST_SECONDS)
        if self._writer.fatal is not None:
            raise self._writer.fatal
        log.info("predictions are logged to %s", self._address.shown)

    def close(self, seconds: float) -> None:
        """Write what waits, within this time, and end. What could not be written is counted as lost."""
        if self._writer is None:
            return
        self._queue.shut()
        self._writer.stop(seconds)
        self._shutdown = len(self._queue)
        if self._shutdown:
            log.warning("%d predictions could not be written before the service ended and are lost", self._shutdown)

    def feedback(self, outcome: Outcome) -> FeedbackResult:
        """Store an outcome. Waits until it is safe, and first for the predictions of this worker: call it in a thread.

        Raises:
            LogUnavailable: the database cannot be reached, or the log is off.
        """
        if self._writer is None:
            raise LogUnavailable("the prediction log is off (MLOPS_LOG), so outcomes cannot be stored")
        if not self._writer.up:
            raise LogUnavailable("the prediction log cannot be reached now; send the outcome again later")
        answer = self._writer.ask(outcome)
        try:
            return answer.result(FEEDBACK_SECONDS)
        except TooLate:
            answer.cancel()
            raise LogUnavailable("the prediction log is too slow now; send the outcome again later") from None

    def crashes(self) -> tuple[Crash, ...]:
        """Workers that ended without closing the log, within a day, newest first. Looked up once a minute."""
        return self._writer.crashes if self._writer else ()

    @property
    def pending(self) -> int:
        """Predictions that are not yet safe."""
        return len(self._queue)

    @property
    def lost(self) -> dict[str, int]:
        """Predictions that never reached the database, by reason."""
        refused = self._writer.refused if self._writer else 0
        return {"queue_full": self._queue.full, "refused": refused, "shutdown": self._shutdown}

    @property
    def written(self) -> int:
        """Predictions that are safe."""
        return self._writer.written if self._writer else 0

    @property
    def errors(self) -> int:
        """Failed attempts to reach or use the database."""
        return self._writer.errors if self._writer else 0

    @property
    def deleted(self) -> int:
        """Predictions that this worker deleted to keep the log within its limits."""
        return self._writer.deleted if self._writer else 0

    @property
    def up(self) -> bool:
        """Whether the last attempt to use the database succeeded."""
        return self._writer.up if self._writer else False


def _forget(row: Row) -> None:
    """The log is off."""
