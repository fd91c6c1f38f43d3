"""Points and lines between two axes, as SVG in the colours of the page that it stands in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mlops.report.texts import web

WIDTH, HEIGHT = 400, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 10, 40
TICKS = 5


@dataclass(frozen=True)
class Axis:
    """From low to high, which differ; log: both above 0. margin: share of the length left free at both ends."""

    name: str
    low: float
    high: float
    log: bool = False
    margin: float = 0.0

    def at(self, value: float) -> float:
        """Where a value stands, 0 at the axis' beginning and 1 at its end."""
        low, high, here = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.margin + (1 - 2 * self.margin) * (here - low) / (high - low)

    def ticks(self) -> list[float]:
        """Round numbers inside."""
        return _decades(self.low, self.high) if self.log else _steps(self.low, self.high)


def _steps(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, about as many as `TICKS`."""
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.75)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 times them where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if last - first <= 2 else (1,)
    found = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
    every = 1 + (last - first) // 8
    return [float(f"{value:.12g}") for value in found if low <= value <= high][::every]


def picture(title: str, x: Axis, y: Axis, drawn: Iterable[str]) -> str:
    """The picture: axes with their words, and what is drawn between them."""
    inside = "".join([*_grid(x, y), *drawn])
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{web(title)}">{inside}</svg>'


def dot(x: Axis, y: Axis, point: tuple[float, float], kind: str, said: str) -> str:
    """A point. kind: its class; said: by whom the mouse rests on."""
    across, down = _place(x, y, point)
    return (
        f'<circle class="{kind}" cx="{across}" cy="{down}" r="{5 if kind else 3.5}"><title>{web(said)}</title></circle>'
    )


def line(x: Axis, y: Axis, points: Sequence[tuple[float, float]], kind: str, said: str) -> str:
    """A line through points. kind: its class; said: what it is."""
    path = "L".join("{} {}".format(*_place(x, y, point)) for point in points)
    return f'<path class="{kind}" d="M{path}">{f"<title>{web(said)}</title>" if said else ""}</path>'


def _place(x: Axis, y: Axis, point: tuple[float, float]) -> tuple[float, float]:
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return round(LEFT + across * x.at(point[0]), 1), round(TOP + up * (1 - y.at(point[1])), 1)


def _grid(x: Axis, y: Axis) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value in x.ticks():
        across = _place(x, y, (value, y.low))[0]
        yield f'<path class="axis" d="M{across} {TOP}V{bottom}"/>'
        yield f'<text x="{across}" y="{bottom + 14}" text-anchor="middle">{value:g}</text>'
    for value in y.ticks():
        down = _place(x, y, (x.low, value))[1]
        yield f'<path class="axis" d="M{LEFT} {down}H{right}"/>'
        yield f'<text x="{LEFT - 6}" y="{down + 3.5:.1f}" text-anchor="end">{value:g}</text>'
    middle, height = (LEFT + right) / 2, (TOP + bottom) / 2
    yield f'<text x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{web(x.name)}</text>'
    yield f'<text transform="translate(12 {height:.1f}) rotate(-90)" text-anchor="middle">{web(y.name)}</text>'
