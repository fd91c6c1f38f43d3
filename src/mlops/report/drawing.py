"""A chart as SVG that stands in the page, in the page's colours: small, light and dark."""

from __future__ import annotations

from collections.abc import Iterator

from mlops.report.document import Chart, Points
from mlops.report.texts import web

WIDTH, HEIGHT = 340, 260
LEFT, RIGHT, TOP, BOTTOM = 50, 18, 12, 40
TICKS = 4


def svg(chart: Chart) -> str:
    """The picture, with the axes' words; its colours are the classes `before`, `now`, `axis` and `hint` of the page."""
    return "".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{web(chart.title)}">',
            *_axes(chart),
            *_lines(chart),
            "</svg>",
        ]
    )


def _place(chart: Chart, x: float, y: float) -> tuple[float, float]:
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return LEFT + across * x / chart.most[0], TOP + up * (1 - y / chart.most[1])


def _axes(chart: Chart) -> Iterator[str]:
    for i in range(TICKS + 1):
        x, y = chart.most[0] * i / TICKS, chart.most[1] * i / TICKS
        (px, bottom), (left, py) = _place(chart, x, 0), _place(chart, 0, y)
        yield f'<path class="axis" d="M{left:.1f} {py:.1f}H{WIDTH - RIGHT}M{px:.1f} {TOP}V{bottom:.1f}"/>'
        yield f'<text x="{px:.1f}" y="{bottom + 14:.1f}" text-anchor="middle">{_tick(x)}</text>'
        yield f'<text x="{left - 5:.1f}" y="{py + 3.5:.1f}" text-anchor="end">{_tick(y)}</text>'
    middle, height = LEFT + (WIDTH - LEFT - RIGHT) / 2, TOP + (HEIGHT - TOP - BOTTOM) / 2
    yield f'<text x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{web(chart.x)}</text>'
    yield f'<text transform="translate(11 {height:.1f}) rotate(-90)" text-anchor="middle">{web(chart.y)}</text>'


def _tick(value: float) -> str:
    return f"{100 * value:.0f}%"


def _lines(chart: Chart) -> Iterator[str]:
    if chart.diagonal:
        yield f'<path class="hint" d="{_path(chart, [(0.0, 0.0), (chart.most[0], chart.most[1])])}"/>'
    for kind, points in zip(("before", "now"), chart.series, strict=True):
        if points:
            yield f'<path class="{kind}" d="{_path(chart, points)}"/>'


def _path(chart: Chart, points: Points) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (_place(chart, *point) for point in points))
