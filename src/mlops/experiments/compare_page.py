"""A comparison as one HTML file: the table, ROC curves together, the metric by each numeric param.

It asks no network and runs no script; light and dark; what a point is, it says when the mouse rests on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mlops.errors import ExperimentError
from mlops.experiments import axes, compare_html, compare_text, curves
from mlops.experiments.axes import Axis
from mlops.experiments.compared import Board
from mlops.experiments.curves import Curve, Scatter
from mlops.git import Git
from mlops.report import page
from mlops.report.texts import web

COLOURED = 6
"""Curves in a colour of their own: the best ones. More colours nobody tells apart; the others are thin and grey."""
STYLE = (
    """
:root { --c1: #0969da; --c2: #d1500b; --c3: #1a7f37; --c4: #8250df; --c5: #b8266f; --c6: #8a6d00; }
@media (prefers-color-scheme: dark) {
  :root { --c1: #58a6ff; --c2: #ff9b5e; --c3: #4ac26b; --c4: #c297ff; --c5: #ff80bf; --c6: #e0b93a; } }
body { max-width: 84rem; } tr { opacity: 1; }
.charts { display: flex; flex-wrap: wrap; gap: .5rem 2rem; } figure { width: 400px; } figure.large { width: 560px; }
figcaption { margin-bottom: .4rem; font-weight: 600; font-size: 1em; overflow-wrap: anywhere; }
circle { fill: var(--c1); fill-opacity: .45; } circle.best { fill: var(--c2); fill-opacity: 1; }
path.other { stroke: var(--before); stroke-width: .8; opacity: .6; }
path.reference { stroke: var(--text); stroke-width: 1.6; stroke-dasharray: 6 3; }
ol.legend { columns: 2; list-style: none; padding: 0; font-size: .9em; }
ol.legend b { display: inline-block; width: 1.6em; margin-right: .5em; border-top: 3px solid; vertical-align: middle; }
"""
    + "".join(
        f"path.c{i} {{ stroke: var(--c{i}); stroke-width: 1.8; }} b.c{i} {{ color: var(--c{i}); }}\n"
        for i in range(1, COLOURED + 1)
    )
    + """
ol.legend b.reference { border-top-style: dashed; } ol.legend b.other { color: var(--before); }
"""
)

INLINE = """
--text: currentColor; --dim: color-mix(in srgb, currentColor 70%, transparent);
--line: color-mix(in srgb, currentColor 25%, transparent); --before: color-mix(in srgb, currentColor 50%, transparent);
--c1: #2f81f7; --c2: #e8590c; --c3: #2da44e; --c4: #a371f7; --c5: #db61a2; --c6: #b08800;
"""


def write(git: Git, found: Board, path: Path) -> None:
    """Write the page.

    Raises:
        ExperimentError: there is no such folder, or the path is one.
    """
    if not path.parent.is_dir():
        raise ExperimentError(f"{path} cannot be written: there is no folder {path.parent}; `mkdir -p {path.parent}`")
    if path.is_dir():
        raise ExperimentError(f"{path} is a folder; say what the page in it is called, such as {path / 'compare.html'}")
    path.write_text(render(found, curves.rocs(git, found), curves.scatters(found)), encoding="utf-8")


def inline(git: Git, found: Board) -> str:
    """The charts alone, for a notebook: on whatever ground, in colours that can be read on light and dark."""
    drawn = _charts(found, curves.rocs(git, found), curves.scatters(found))
    return f"<div class=mlops-charts><style>.mlops-charts {{{INLINE}{page.STYLE}{STYLE}}}</style>{drawn}</div>"


def render(found: Board, rocs: Sequence[Curve], scatters: Sequence[Scatter]) -> str:
    """The page."""
    title = web(compare_text.title(found))
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{page.POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{page.STYLE}{STYLE}</style></head><body>",
        compare_html.table(found),
        _charts(found, rocs, scatters),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _charts(found: Board, rocs: Sequence[Curve], scatters: Sequence[Scatter]) -> str:
    parts = []
    if rocs:
        parts.append(f"<section><h2>ROC curves</h2><div class=charts>{_roc(rocs)}</div></section>")
    if scatters:
        drawn = "".join(_scatter(found, scatter) for scatter in scatters)
        said = web(", ".join(["orange: the best", *(f"dashed: {r.label}" for r in found.references)]))
        heading = f"<h2>{web(found.metric)} by param</h2><p>All experiments that have it; {said}.</p>"
        parts.append(f"<section>{heading}<div class=charts>{drawn}</div></section>")
    return "\n".join(parts)


def _roc(rocs: Sequence[Curve]) -> str:
    x, y = Axis("false positive rate", 0, 1), Axis("true positive rate", 0, 1)
    named = [(curve, _class(curve)) for curve in rocs]
    lines = [axes.line(x, y, [(0, 0), (1, 1)], "hint", "")]
    lines += [axes.line(x, y, curve.points, kind, curve.label) for curve, kind in reversed(named)]
    legend = "".join(f"<li><b class={kind}></b>{web(_place(curve))}</li>" for curve, kind in named if kind != "other")
    others = sum(kind == "other" for _, kind in named)
    legend += f"<li><b class=other></b>{others} more</li>" if others else ""
    return f"<figure class=large>{axes.picture('ROC curves', x, y, lines)}<ol class=legend>{legend}</ol></figure>"


def _class(curve: Curve) -> str:
    if curve.rank is None:
        return "reference"
    return f"c{curve.rank}" if curve.rank <= COLOURED else "other"


def _place(curve: Curve) -> str:
    return curve.label if curve.rank is None else f"{curve.rank}. {curve.label}"


def _scatter(found: Board, scatter: Scatter) -> str:
    known = [r for r in found.references if r.value is not None]
    low, high = curves.span([*(p[2] for p in scatter.points), *(r.value for r in known if r.value is not None)])
    margin = (high - low) / 20
    y = Axis(found.metric, low - margin, high + margin)
    x = Axis(scatter.param, *curves.span([p[1] for p in scatter.points]), log=scatter.log, margin=0.04)
    lines = [
        axes.line(x, y, [(x.low, r.value), (x.high, r.value)], "reference", r.label)
        for r in known
        if r.value is not None
    ]
    name = f"{web(scatter.param)}{' (logarithmic)' if scatter.log else ''}"
    drawn = axes.picture(f"{found.metric} by {scatter.param}", x, y, [*lines, *_dots(found, scatter, x, y)])
    return f"<figure><figcaption>{name}</figcaption>{drawn}</figure>"


def _dots(found: Board, scatter: Scatter, x: Axis, y: Axis) -> Iterator[str]:
    for experiment, value, metric in reversed(scatter.points):
        said = f"{experiment.name}: {found.metric} {metric:.6g}, {scatter.param} {value:.6g}"
        yield axes.dot(x, y, (value, metric), "best" if experiment is found.best else "", said)
