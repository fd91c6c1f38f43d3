"""Adds up what all workers of a folder counted, while they count on."""

from __future__ import annotations

import time
from pathlib import Path

from api.metrics import process
from api.metrics.index import Name
from api.metrics.merge import Merged, merged_bytes, names
from api.metrics.totals import Totals
from api.metrics.worker import Worker


class Reader:
    """Reads a folder again and again; what does not change is kept in between."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._workers: dict[Name, Worker] = {}
        self._merged_bytes, self._merged = b"", Merged()

    def read(self) -> Totals:
        """Counts of all workers, dead or alive, gauges of those alive, and what their processes use.

        Nothing is locked: when dead workers were merged meanwhile, some may be missing or there twice, and it is read
        again.
        """
        while True:
            before = merged_bytes(self._folder)
            totals = self._read(before)
            if merged_bytes(self._folder) == before:
                return totals

    def _read(self, merged: bytes) -> Totals:
        if merged != self._merged_bytes:
            self._merged_bytes, self._merged = merged, Merged.of(merged)
        totals = Totals()
        for key, values, since in self._merged.series:
            totals.add(key, values, since)
        # The newest last: of two workers that call themselves the same, its gauges stay.
        present = sorted(names(self._folder) - self._merged.workers, key=lambda name: name.made)
        self._workers = {name: self._workers.get(name) or Worker(self._folder, name) for name in present}
        living = 0
        for worker in self._workers.values():
            alive = worker.refresh()
            worker.add_to(totals, gauges=alive)
            if alive:
                living += 1
                _show_process(worker, totals)
        totals.put("churn_workers", (), float(living))
        return totals


def _show_process(worker: Worker, totals: Totals) -> None:
    label, began = worker.facts.get("worker"), worker.facts.get("began")
    if not isinstance(label, str) or not isinstance(began, float):
        return
    totals.put("churn_uptime_seconds", (label,), time.time() - began)
    totals.put("process_start_time_seconds", (label,), began)
    used = process.usage(worker.name.pid)
    if used is not None:
        totals.put("process_cpu_seconds_total", (label,), used.cpu_seconds)
        totals.put("process_resident_memory_bytes", (label,), used.resident_bytes)
        totals.put("process_open_fds", (label,), used.open_files)
