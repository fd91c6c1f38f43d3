"""Regions: 520 names, sizes by Zipf's law, and a real effect of each on the risk."""

from __future__ import annotations

import numpy as np

from mlops.simulator.streams import Floats

_FIRST = (
    "Alder", "Amber", "Ash", "Birch", "Black", "Bright", "Clear", "Cold", "Crow", "Deer", "East", "Elm", "Fair", "Fern",
    "Fox", "Glen", "Gold", "Green", "Hawk", "Hazel", "High", "Iron", "Lake", "Long", "Maple", "Mill", "Moss", "North",
    "Oak", "Pine", "Raven", "Red", "River", "Salt", "Silver", "South", "Stone", "Thorn", "West", "White",
)  # fmt: skip
_LAST = ("bridge", "brook", "bury", "dale", "field", "ford", "gate", "ham", "haven", "mouth", "port", "ton", "wick")

NAMES: tuple[str, ...] = tuple(first + last for last in _LAST for first in _FIRST)
"""All regions, the largest first."""

_EXPONENT_OFFSET = 6.0  # Zipf–Mandelbrot: without the offset the first region alone would hold a seventh of everybody


def shares() -> tuple[float, ...]:
    """Share of the customers in each region, proportional to 1 / (rank + 6)."""
    weights = 1.0 / (np.arange(1, len(NAMES) + 1) + _EXPONENT_OFFSET)
    return tuple((weights / weights.sum()).tolist())


def effects(seed: int) -> Floats:
    """Effect of each region in units of its coefficient: mean 0, variance 1 over customers. Shape (regions,)."""
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(len(NAMES),))))
    weights = np.array(shares())
    raw = generator.standard_normal(len(NAMES))
    raw -= (weights * raw).sum()
    scaled: Floats = np.round(raw / np.sqrt((weights * raw * raw).sum()), 6)
    return scaled
