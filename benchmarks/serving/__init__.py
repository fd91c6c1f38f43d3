"""The service beside its peers, on the workspace's own model: what `dvc repro` made is served, nothing is trained.

Each server runs with one worker, held on one core; the load comes from the other. Rounds of all servers take turns,
and ratios are medians of the rounds' ratios. The service runs with validation, metrics and prediction log switched on.
"""

from __future__ import annotations

from benchmarks.serving.batch import batch
from benchmarks.serving.one import one
from benchmarks.serving.row import row
from benchmarks.serving.start import start

__all__ = ["batch", "one", "row", "start"]
