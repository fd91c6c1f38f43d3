"""What was measured, beside the bound that it is held to."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Claim(NamedTuple):
    """A figure and its bound: at least so much, or at most; with neither it is only reported."""

    what: str
    measured: float
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the figure keeps its bound."""
        return (self.least is None or self.measured >= self.least) and (self.most is None or self.measured <= self.most)

    def cells(self) -> list[str]:
        """What, figure, bound, verdict."""
        bound = "" if self.least is None else f"≥ {self.least:g}"
        bound = bound if self.most is None else f"≤ {self.most:g}"
        verdict = "" if not bound else "holds" if self.holds else "MISSED"
        figure, limit = (f"{text} {self.unit}".strip() if text else "" for text in (shown(self.measured), bound))
        return [self.what, figure, limit, verdict]


def shown(value: float) -> str:
    """Three figures that matter, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def claims(listed: Iterable[Claim]) -> str:
    """A table of claims."""
    return table(["what", "measured", "bound", ""], [claim.cells() for claim in listed])


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns stand under each other."""
    every = [list(head), *(list(line) for line in lines)]
    widths = [max(len(line[i]) for line in every) for i in range(len(head))]
    rule = ["-" * width for width in widths]
    padded = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in (every[0], rule, *every[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios of the rounds."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def machine() -> str:
    """How busy the machine is beside us: one runnable process is the server, one the load."""
    if not hasattr(os, "getloadavg"):
        return ""
    return f"load average before: {os.getloadavg()[0]:.1f}"
