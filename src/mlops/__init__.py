"""Churn prediction whose only server is Git.

Importing this package loads nothing heavy. It only pins, before anybody imports NumPy, the CPU paths that would give
other last bits on another machine (AVX-512 kernels, BLAS cores), so that the same inputs give the same bytes.
"""

from __future__ import annotations

from mlops import determinism

__version__ = "0.1.0"

determinism.pin()
