"""A report between its facts and its pictures: titles, sentences, tables and curves, of texts without any markup.

In a text, what stands between two backticks is to be typed; all else is plain, whatever characters it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

Points = list[tuple[float, float]]
BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Table:
    """A table; all columns but `texts` hold numbers. loud: rows that must not be overlooked."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: frozenset[int] = frozenset({0})
    loud: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Listing:
    """Sentences, each an item. loud: as of a table."""

    items: tuple[str, ...]
    loud: bool = False


@dataclass(frozen=True)
class Chart:
    """Two curves in one picture, and the same as a table.

    Args:
        title, x, y: of the picture and its axes, which both begin at 0.
        names: of the curves.
        series: their points, x ascending; empty for one that there is not.
        most: where the axes end.
        diagonal: whether a line from corner to corner says something (chance; what is predicted happens).
        table: what can be read off at some points.
    """

    title: str
    x: str
    y: str
    names: tuple[str, str]
    series: tuple[Points, Points]
    most: tuple[float, float]
    diagonal: bool
    table: Table

    @property
    def caption(self) -> str:
        """What is drawn, in a line."""
        return f"{self.title}: {self.y} by {self.x}"


Block = str | Table | Listing | Chart


@dataclass(frozen=True)
class Section:
    """folded: shown as its title where that can be opened."""

    title: str
    blocks: tuple[Block, ...]
    folded: bool = False


@dataclass(frozen=True)
class Document:
    """good: whether the gate lets it pass; opening: what follows the headline."""

    headline: str
    good: bool
    opening: tuple[Block, ...]
    sections: tuple[Section, ...] = field(default=())


def at(points: Points, x: float) -> float | None:
    """A curve's value at x, straight between its points; None beyond them."""
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 <= x <= x1:
            return y1 if x1 == x0 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return None


def sparkline(values: list[float], most: float) -> str:
    """Numbers from 0 to `most` as a row of blocks."""
    steps = len(BLOCKS) - 1
    return "".join(BLOCKS[max(0, min(steps, round(value / most * steps)))] for value in values) if most > 0 else ""
