"""Sums of series over workers."""

from __future__ import annotations

from collections.abc import Sequence

from api.metrics.index import Key


class Totals:
    """Sums per series: one number, or a histogram's buckets (not cumulative) and the sum of its values."""

    def __init__(self) -> None:
        self.values: dict[Key, Sequence[float]] = {}
        self.since: dict[Key, float] = {}

    def add(self, key: Key, values: Sequence[float], since: float) -> None:
        """Add what another worker counted."""
        known = self.values.get(key)
        if known is None:
            self.values[key], self.since[key] = values, since
        else:
            self.values[key] = [a + b for a, b in zip(known, values, strict=True)]
            self.since[key] = max(self.since[key], since)

    def put(self, family: str, labels: tuple[str, ...], value: float | None) -> None:
        """Set what is no sum; None is left out."""
        if value is not None:
            self.values[Key(family, labels, None)] = [value]
