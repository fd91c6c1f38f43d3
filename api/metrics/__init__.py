"""Metrics of a service with several worker processes, in Prometheus' text format.

Each worker counts in a memory-mapped block of float64 cells, in a folder that the workers of one server share; whoever
is scraped adds up all of them. Counts of a worker that died stay, its gauges go.

Why not prometheus_client: its multiprocess mode takes a lock and a microsecond or two for each update, and a request
makes several updates within some 60 µs. Measured in one run, per update: counter 0.90 µs against 0.08 µs here (11
times), histogram 1.88 µs against 0.18 µs (10 times).
"""

from __future__ import annotations

from api.metrics.cells import Cell, Histogram
from api.metrics.distributions import Distributions
from api.metrics.folder import run_folder
from api.metrics.meters import Meters

__all__ = ["Cell", "Distributions", "Histogram", "Meters", "run_folder"]
