"""The shadow variant scores what the others answer, in a thread of its own: nobody waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlops.errors import MlopsError

if TYPE_CHECKING:
    from api.contract import Table
    from api.contract.record import Row
    from api.models import Variant
    from api.service import Service

MOST = 100_000
"""Rows that may wait; beyond, the shadow misses some, and they are counted."""
TICK = 0.05
log = logging.getLogger("api.shadow")


class Shadow:
    """A bounded queue and the thread that scores it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._queue: deque[tuple[Callable[[], None], int]] = deque()
        self._waiting = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def start(self) -> None:
        """Begin to score."""
        self._thread.start()

    def stop(self) -> None:
        """Score what waits, then end."""
        self._stop.set()
        self._thread.join()

    def put_row(self, variant: Variant, row: Row, customer: str | None, request_id: str, inputs: bytes) -> None:
        """One record that was answered on the fast way."""
        now = time.time()

        def score() -> None:
            matrix, raw, p = variant.bundle.row(row)
            self._file(variant, matrix, [raw], [p], [(now, request_id, 0, customer, "predict", inputs)])

        self._put(score, 1)

    def put_table(self, variant: Variant, table: Table, request_id: str, source: str, inputs: Sequence[bytes]) -> None:
        """Rows that were answered together."""
        now = time.time()

        def score() -> None:
            matrix = variant.bundle.encoder.columns(table.columns)
            raw = variant.bundle.raw_scores(matrix)
            facts = [(now, request_id, i, table.customers[i], source, inputs[i]) for i in range(table.n)]
            self._file(variant, matrix, raw.tolist(), variant.bundle.calibrator.many(raw).tolist(), facts)

        self._put(score, table.n)

    def _put(self, score: Callable[[], None], rows: int) -> None:
        if self._waiting + rows > MOST:
            self._service.meters.counter("churn_shadow_dropped_total").add(rows)
            return
        self._waiting += rows
        self._queue.append((score, rows))

    def _file(
        self,
        variant: Variant,
        matrix: np.ndarray,
        raw: Sequence[float],
        probabilities: Sequence[float],
        facts: Sequence[tuple[float, str, int, str | None, str, bytes]],
    ) -> None:
        service = self._service
        service.distributions.put(variant, matrix, probabilities)
        threshold, churning = variant.bundle.threshold, 0
        entries = []
        for score, p, (at, request_id, row, customer, source, inputs) in zip(raw, probabilities, facts, strict=True):
            p = round(p, 6)
            churning += p >= threshold
            entries.append((at, request_id, row, customer, variant.name, variant.version, variant.commit, source, score,
                            p, p >= threshold, inputs))  # fmt: skip
        service.log.put_many(entries)
        tally = service.tally(variant)
        tally.churn.add(churning)
        tally.stay.add(len(entries) - churning)

    def _run(self) -> None:
        while not (self._stop.wait(TICK) and not self._queue):
            while self._queue:
                score, rows = self._queue.popleft()
                self._waiting -= rows
                try:
                    score()
                except MlopsError as error:
                    log.warning("the shadow could not score a request: %s", error)
                except Exception:
                    log.exception("the shadow could not score a request")
