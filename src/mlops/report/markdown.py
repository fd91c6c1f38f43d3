"""The report as Markdown of GitHub and GitLab: what a comment and a job summary show.

Comments take neither SVG nor `data:` images, so curves are tables with sparklines, and Mermaid's charts below them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlops.report import facts as documents
from mlops.report import words
from mlops.report.document import Block, Chart, Document, Listing, Points, Section, Table, at
from mlops.report.texts import markdown as text

STEPS = 20
COLOURS = "#8b949e, #2f81f7"
"""Grey before, blue now: seen on white and on black."""
CHART = (
    '%%{{init: {{"xyChart": {{"width": 480, "height": 300}}, '
    '"themeVariables": {{"xyChart": {{"plotColorPalette": "{colours}"}}}}}}}}%%'
)


def render(facts: Mapping[str, Any], limit: int | None = None, link: str | None = None) -> str:
    """The report.

    Args:
        facts: as `mlops report --json` prints them; from whomever, they are checked.
        limit: characters that it may have at most; whole sections are left out at the end, and it says so.
        link: where the whole report is; of ours, not the facts'.

    Raises:
        ReportError: the facts are none, or not even the headline fits.
    """
    return of_document(words.document(documents.read(dict(facts))), limit, link)


def of_document(document: Document, limit: int | None = None, link: str | None = None) -> str:
    """The same of a document."""
    head = f"## {text(document.headline)}\n"
    opening = [_block(block) for block in document.opening]
    sections = [_section(section) for section in document.sections]
    whole = "\n".join([head, *opening, *sections])
    if limit is None or len(whole) <= limit:
        return whole
    return _fitting([head, *opening, *sections], limit, link)


def _fitting(parts: Sequence[str], limit: int, link: str | None) -> str:
    """The first of the parts and, in order, those of the others that still fit beside it together with the words that
    say how many do not.
    """
    where = f"[the whole report]({link})" if link else "`mlops report` shows the whole"

    def closed(kept: Sequence[str]) -> str:
        left = len(parts) - len(kept)
        return "\n".join([*kept, f"This is cut: {left} more parts do not fit here; {where}.\n"])

    kept = list(parts[:1])
    for part in parts[1:]:
        # The words may get shorter with every part that is kept, and never longer.
        if len(closed([*kept, part])) <= limit:
            kept.append(part)
    return closed(kept)[:limit]


def _section(section: Section) -> str:
    body = "\n".join(_block(block) for block in section.blocks)
    if section.folded:
        return f"<details><summary><b>{text(section.title)}</b></summary>\n\n{body}\n</details>\n"
    return f"### {text(section.title)}\n\n{body}"


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return "\n".join(_table(block)) + "\n"
    if isinstance(block, Listing):
        return "\n".join(f"- {_loud(text(item), block.loud)}" for item in block.items) + "\n"
    if isinstance(block, Chart):
        return "\n".join([f"<b>{text(block.caption)}</b>", "", *_table(block.table), "", *_drawn(block)]) + "\n"
    return f"{text(block)}\n"


def _table(table: Table) -> Iterator[str]:
    yield _row([text(cell) for cell in table.head])
    yield _row([":--" if i in table.texts else "--:" for i in range(len(table.head))])
    for i, row in enumerate(table.rows):
        yield _row([_cell(table, i, k, cell) for k, cell in enumerate(row)])


def _cell(table: Table, row: int, column: int, cell: str) -> str:
    """Numbers stay on one line; of a loud row the words are bold."""
    if column in table.texts:
        return _loud(text(cell), row in table.loud)
    return text(cell).replace(" ", "\u00a0")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _loud(made: str, loud: bool) -> str:
    """Tags and not asterisks: those depend on what stands beside them."""
    return f"<b>{made}</b>" if loud and made else made


def _drawn(chart: Chart) -> Iterator[str]:
    """Mermaid's chart, of numbers and our own words alone."""
    known = [points for points in chart.series if points]
    first, last = max(p[0][0] for p in known), min(p[-1][0] for p in known)
    if first >= last:
        return
    both = len(known) > 1
    yield "```mermaid"
    yield CHART.format(colours=COLOURS if both else COLOURS.split(", ")[1])
    yield "xychart-beta"
    yield f'    title "{chart.title}{": grey before, blue now" if both else ""}"'
    yield f'    x-axis "{chart.x} (%)" {100 * first:.4g} --> {100 * last:.4g}'
    yield f'    y-axis "{chart.y} (%)" 0 --> {100 * chart.most[1]:.4g}'
    for points in known:
        yield f"    line [{', '.join(f'{100 * y:.4g}' for y in _even(points, first, last))}]"
    yield "```"


def _even(points: Points, first: float, last: float) -> list[float]:
    places = (first + (last - first) * i / STEPS for i in range(STEPS + 1))
    return [round(at(points, min(x, points[-1][0])) or 0.0, 4) for x in places]
