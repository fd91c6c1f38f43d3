"""Churn prediction whose only server is Git.

Importing this package loads nothing heavy. It only pins, before anybody imports NumPy, the CPU paths that would give
other last bits on another machine (AVX-512 kernels, BLAS cores), so that the same inputs give the same bytes.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mlops import determinism

__version__ = "0.1.0"

determinism.pin()


def __getattr__(name: str) -> Any:
    """ExperimentTracker and promote_best, imported when somebody asks for them."""
    if name in ("ExperimentTracker", "promote_best"):
        return getattr(import_module("mlops.experiments.tracker"), name)
    raise AttributeError(f"module 'mlops' has no attribute {name!r}")
