"""The report as one HTML file: readable by anybody, light and dark, on paper; it asks no network and runs no script."""

from __future__ import annotations

from collections.abc import Iterator

from mlops.report import drawing
from mlops.report.document import Block, Chart, Document, Listing, Section, Table
from mlops.report.texts import web

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --text: #1f2328; --back: #fff; --dim: #59636e; --line: #d1d9e0; --soft: #f6f8fa;
  --good: #1a7f37; --bad: #c6202b; --now: #0969da; --before: #818b98; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --back: #0d1117; --dim: #9198a1; --line: #3d444d; --soft: #151b23;
    --good: #3fb950; --bad: #ff7b72; --now: #58a6ff; --before: #8b949e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 70rem; color: var(--text); background: var(--back);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.3rem; line-height: 1.35; margin: 0 0 1rem; padding: .7rem 1rem; border-left: 6px solid var(--good);
  background: var(--soft); overflow-wrap: anywhere; }
h1.refused { border-color: var(--bad); }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; padding-bottom: .2rem; border-bottom: 1px solid var(--line); }
p, ul { margin: .5rem 0; } ul { padding-left: 1.2rem; } p, li { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93em; margin: .5rem 0; }
th, td { padding: .28rem .7rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th { font-weight: 600; color: var(--dim); } .t { text-align: left; }
td:not(.t) { white-space: nowrap; } td.t { overflow-wrap: break-word; }
li.loud, .loud td.t { color: var(--bad); font-weight: 600; }
code { font: .92em ui-monospace, monospace; background: var(--soft); padding: .1em .3em; border-radius: 4px; }
.chart { display: flex; flex-wrap: wrap; align-items: center; gap: 0 2rem; margin-bottom: 1rem; }
.chart .wide { flex: 0 1 auto; min-width: 0; max-width: 100%; }
.chart th, .chart td { padding: .28rem .4rem; font-size: .9em; }
figure { margin: .5rem 0; width: 340px; max-width: 100%; }
figcaption { font-size: .85em; } svg { display: block; width: 100%; height: auto; }
svg text { font: 10px system-ui, sans-serif; fill: var(--dim); } path { fill: none; stroke-linejoin: round; }
.axis { stroke: var(--line); stroke-width: .6; } .hint { stroke: var(--dim); stroke-width: 1; stroke-dasharray: 3 4; }
path.before { stroke: var(--before); stroke-width: 1.8; stroke-dasharray: 6 3; }
path.now { stroke: var(--now); stroke-width: 2; }
span.before, span.now { font-weight: 600; margin-right: 1em; }
span.before { color: var(--before); } span.now { color: var(--now); }
@media print { body { max-width: none; } section { break-inside: avoid; } }
"""


def render(document: Document) -> str:
    """The page."""
    title = web(document.headline)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title.replace('<code>', '').replace('</code>', '')}</title><style>{STYLE}</style></head><body>",
            f"<h1{'' if document.good else ' class=refused'}>{title}</h1>",
            *map(_block, document.opening),
            *map(_section, document.sections),
            "</body></html>\n",
        ]
    )


def _section(section: Section) -> str:
    body = "\n".join(map(_block, section.blocks))
    return f"<section><h2>{web(section.title)}</h2>\n{body}</section>"


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return f'<div class="wide"><table>{"".join(_rows(block))}</table></div>'
    if isinstance(block, Listing):
        loud = " class=loud" if block.loud else ""
        return f"<ul>{''.join(f'<li{loud}>{web(item)}</li>' for item in block.items)}</ul>"
    if isinstance(block, Chart):
        return f'<div class="chart">{_figure(block)}{_block(block.table)}</div>'
    return f"<p>{web(block)}</p>"


def _rows(table: Table) -> Iterator[str]:
    def row(cells: tuple[str, ...], tag: str) -> str:
        return "".join(f"<{tag}{' class=t' if i in table.texts else ''}>{web(c)}</{tag}>" for i, c in enumerate(cells))

    yield f"<thead><tr>{row(table.head, 'th')}</tr></thead><tbody>"
    for i, cells in enumerate(table.rows):
        yield f"<tr{' class=loud' if i in table.loud else ''}>{row(cells, 'td')}</tr>"
    yield "</tbody>"


def _figure(chart: Chart) -> str:
    drawn = [
        f'<span class="{kind}">{web(name)}</span>'
        for kind, name, points in zip(("before", "now"), chart.names, chart.series, strict=True)
        if points
    ]
    return f"<figure>{drawing.svg(chart)}<figcaption>{web(chart.caption)}<br>{''.join(drawn)}</figcaption></figure>"
