"""When two numbers count as equal, and what was found when two files were compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-6
ROUNDING = 8 * float(np.finfo(np.float64).eps)
"""Of a number: what subtracting two decimal fractions may lose, so that 0.000001 apart is within 1e-6."""


@dataclass(frozen=True)
class Found:
    """How two files of other bytes differ. equal: their numbers are within `TOLERANCE` and all else is the same."""

    equal: bool
    words: tuple[str, ...]


def within(recorded: NDArray[Any], rebuilt: NDArray[Any]) -> NDArray[np.bool_]:
    """Which pairs of numbers count as equal; NaN equals NaN.

    Numbers stored as float32 that are too large to be told apart by 1e-6 may be neighbours instead.
    """
    single = recorded.dtype == np.float32 and rebuilt.dtype == np.float32
    a, b = recorded.astype(np.float64), rebuilt.astype(np.float64)
    larger = np.maximum(np.abs(a), np.abs(b))
    allowed = TOLERANCE + ROUNDING * larger
    if single:
        allowed = np.maximum(allowed, np.spacing(larger.astype(np.float32)).astype(np.float64))
    with np.errstate(invalid="ignore"):  # infinity less infinity
        near = np.abs(a - b) <= allowed
    same: NDArray[np.bool_] = (a == b) | (np.isnan(a) & np.isnan(b)) | (near & np.isfinite(larger))
    return same


def largest(recorded: NDArray[Any], rebuilt: NDArray[Any]) -> float:
    """The largest |difference| of pairs that both have a number; infinite where only one of a pair is infinite."""
    a, b = recorded.astype(np.float64), rebuilt.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gaps = np.where(a == b, 0.0, np.abs(a - b))
    known = gaps[~np.isnan(gaps)]
    return float(known.max()) if len(known) else 0.0


def number(value: float) -> str:
    """A number as people read it, exact enough to see a difference of 1e-6."""
    return f"{value:.9g}"
