"""One worker's parts: settings, models, prediction log, metrics, and the threads behind them."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable

from api.door.messages import Refused
from api.door.threads import Threads
from api.metrics import Cell, Distributions, Histogram, Meters, run_folder
from api.models import Models, Serving, Variant
from api.models.choose import POLICY
from api.models.follow import Failure
from api.predictions import Limits, PredictionLog
from api.routes.shadow import Shadow
from api.settings import Settings

LATENCY = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""Edges of the latency histogram, seconds."""
TICK = 0.25
THREADS = 2
"""Large requests that are worked on at once; the interpreter runs one of them at a time anyway."""

SWITCH_SECONDS = 0.0005
"""How long a background thread may keep the interpreter while a request waits; Python's own 5 ms are its p99.9."""

log = logging.getLogger("api.service")


class Tally:
    """Counters of one variant's predictions."""

    def __init__(self, meters: Meters, variant: Variant) -> None:
        def counted(outcome: str) -> Cell:
            return meters.counter(
                "churn_predictions_total", variant=variant.name, version=variant.version, outcome=outcome
            )

        self.churn, self.stay = counted("churn"), counted("stay")


class Service:
    """What handlers work with. Counters may be touched from any thread (api/metrics)."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.started = time.time()
        self.meters = Meters(run_folder(settings.run_dir), os.getpid())
        self.distributions = Distributions(self.meters)
        self.log = PredictionLog(settings.log, limits=Limits(settings.log_max_days, settings.log_max_mb,
                                                             settings.log_queue, settings.log_seconds))  # fmt: skip
        self.models = Models(settings, self._swapped, self._failed)
        self.threads, self.errands = Threads(THREADS, "requests"), Threads(1, "errands")
        self.shadow = Shadow(self)
        self.stopping = False
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._requests: dict[tuple[str, int], tuple[Cell, Histogram]] = {}
        self._shown: list[Cell] = []
        self._ever_failed: set[str] = set()
        self._followed: dict[tuple[str, ...], float] = {}
        self._refreshing = threading.Lock()
        self.in_flight: Callable[[], int] = lambda: 0
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="ticker", daemon=True)

    async def start(self) -> None:
        """Load the models and start following, logging and counting."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self.log.start()
        self.shadow.start()
        self.models.start()
        self._ticker.start()

    async def stop(self) -> None:
        """Write what is not yet written, and end."""
        self.stopping = True
        self._stop.set()
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self.models.stop()
        self._ticker.join()
        self.shadow.stop()
        self.threads.close(self.settings.drain_seconds)
        self.errands.close(1)
        self.log.close(self.settings.drain_seconds)
        self.refresh()
        self.meters.close()

    def require(self) -> Serving:
        """What serves now; take it once per request.

        Raises:
            Refused: 503, nothing does.
        """
        serving = self.models.current
        if serving is None:
            reasons = "; ".join(f.trouble.reason for f in self.models.failures.values())
            raise Refused(503, "not_ready", f"no model serves: {reasons}", headers=((b"retry-after", b"2"),))
        return serving

    def tally(self, variant: Variant) -> Tally:
        """The counters of a variant. Kept by name: a version that left is not kept in memory by its counters."""
        key = (variant.name, variant.version)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(self.meters, variant)
        return tally

    def request_cells(self, route: str, status: int) -> tuple[Cell, Histogram]:
        """Counter and latency histogram of a route's answers."""
        cells = self._requests.get((route, status))
        if cells is None:
            cells = self._requests[route, status] = (
                self.meters.counter("churn_http_requests_total", route=route, code=str(status)),
                self.meters.histogram("churn_http_request_seconds", LATENCY, route=route),
            )
        return cells

    def refresh(self) -> None:
        """Gauges, distributions and the log's counters as they are now; before a scrape and four times a second."""
        with self._refreshing:
            self.distributions.drain()
            meters, log = self.meters, self.log
            meters.gauge("churn_log_queue").set(log.pending)
            meters.gauge("churn_log_up").set(float(log.up))
            meters.gauge("churn_in_flight").set(self.in_flight())
            self._follow("churn_log_written_total", log.written)
            self._follow("churn_log_errors_total", log.errors)
            self._follow("churn_log_deleted_total", log.deleted)
            for reason, rows in log.lost.items():
                self._follow("churn_log_lost_total", rows, reason=reason)

    def _follow(self, name: str, value: float, **labels: str) -> None:
        """Bring a counter up to what somebody else counted."""
        key = (name, *labels.values())
        self.meters.counter(name, **labels).add(value - self._followed.get(key, 0.0))
        self._followed[key] = value

    def _tick(self) -> None:
        while not self._stop.wait(TICK):
            try:
                self.refresh()
            except Exception:
                log.exception("refreshing the metrics failed; it is tried again")

    def _swapped(self, serving: Serving, old: Serving | None) -> None:
        before = set(old.every()) if old else set()
        for variant in serving.every():
            if variant not in before:
                log.info("%s serves %s (%s)", variant.name, variant.version, variant.digest[:12])
                self.meters.counter("churn_model_loads_total", variant=variant.name).add(1)
            self.tally(variant)
        self._info(serving)
        # What was loaded stays: looking through it for garbage would hold up a request for milliseconds.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        _give_back()

    def _info(self, serving: Serving) -> None:
        """The model-info gauges of what serves now; those of versions that left go."""
        for cell in self._shown:
            cell.clear()
        self._shown = [
            self.meters.gauge(
                "churn_model_info",
                variant=v.name,
                version=v.version,
                commit=v.commit or "",
                digest=v.digest[:12],
                promoted=str(v.promoted).lower(),
            )
            for v in serving.every()
        ]
        for cell in self._shown:
            cell.set(1.0)

    def _failed(self, failure: Failure | None) -> None:
        failing = {stage for stage, kind in self.models.failures if kind != POLICY}
        if failure is not None:
            labels = {"variant": failure.trouble.stage, "reason": failure.trouble.kind}
            self.meters.counter("churn_model_load_failures_total", **labels).add(1)
        self._ever_failed.update(failing)
        for stage in self._ever_failed:
            self.meters.gauge("churn_model_failing", variant=stage).set(float(stage in failing))


def _give_back() -> None:
    """Return to the system what loading freed: up to half of a forest. Only glibc keeps it, and has the call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
