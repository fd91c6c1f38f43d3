"""Random numbers that stay with their customer: one PCG64 stream per purpose and month.

Value i of a stream belongs to subscription i, and a stream is read from its start only. So more customers, more months
or a change in one purpose leave every other number as it was.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

BURN_IN = 24
"""Months simulated before the first snapshot, so that payment histories and the mix of customers are settled."""


@dataclass(frozen=True)
class Streams:
    """The streams of one simulation: `seed` and how many values each has (`size`, one per subscription)."""

    seed: int
    size: int

    def uniform(self, purpose: str, month: int) -> Floats:
        """Uniform on [0, 1), shape (size,)."""
        return self._generator(purpose, month).random(self.size)

    def normal(self, purpose: str, month: int) -> Floats:
        """Standard normal, shape (size,)."""
        return self._generator(purpose, month).standard_normal(self.size)

    def _generator(self, purpose: str, month: int) -> np.random.Generator:
        key = (zlib.crc32(purpose.encode()), month + BURN_IN)
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=key)))


def pick(shares: tuple[float, ...], uniform: Floats) -> Ints:
    """The level of each row: level k with probability shares[k]; the shares sum to 1. Levels count from 0."""
    # The last bound is left out: a sum of shares just below 1 must not make a level that does not exist.
    return np.searchsorted(np.cumsum(shares)[:-1], uniform, side="right")
