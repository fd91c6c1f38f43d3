"""A comparison as a table of HTML: in a notebook, and in the page that `mlops compare --plot` writes.

Its few styles stand at each element, for notebooks that are shown elsewhere drop all others; it has no colours of its
own but two, which can be read on light and dark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlops.experiments import compare_text
from mlops.experiments.compared import Board, Difference, Row
from mlops.report.texts import web

GOOD, BAD = "#26994d", "#d9534f"
LEFT = "text-align:left;white-space:nowrap"
NOTE = "text-align:left;white-space:normal;min-width:14em"
NUMBER = "text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"
DIM = "opacity:.6"


def table(found: Board) -> str:
    """The table with its title and notes."""
    notes = "".join(
        f"<p style='{DIM};font-size:.85em;margin:.2em 0'>{web(line)}</p>" for line in compare_text.notes(found)
    )
    rows = "".join([*(_row(found, row) for row in found.rows), *_references(found)])
    return (
        f"<div><p style='margin:.4em 0'><b>{web(compare_text.title(found))}</b></p><div style='overflow-x:auto'>"
        f"<table style='border-collapse:collapse'><thead><tr>{_head(found)}</tr></thead><tbody>{rows}</tbody></table>"
        f"</div>{notes}</div>"
    )


def _head(found: Board) -> str:
    numbers = [found.metric, *(f"vs {r.label}" for r in found.references), *found.params]
    cells = [
        _cell("#", NUMBER),
        _cell("name", LEFT),
        *(_cell(n, NUMBER) for n in numbers),
        *(_cell(t, LEFT) for t in _facts_head(found)),
    ]
    return "".join(cell.replace("<td", "<th").replace("</td", "</th") for cell in cells)


def _facts_head(found: Board) -> list[str]:
    """Names of the last columns; who made the experiments only where that was not always the same."""
    origins = {row.experiment.origin for row in found.rows}
    return [name for name in compare_text.facts_head(found) if name != "origin" or len(origins) > 1]


def _row(found: Board, row: Row) -> str:
    cells = [
        _cell(str(row.rank or ""), NUMBER),
        _cell(row.label, LEFT),
        _cell(compare_text.number(row.value, found.metric), NUMBER),
        *(_difference(d, found.metric) for d in row.differences),
        *_params(found, row.experiment.params),
        *(_cell(compare_text.facts(row)[t], NOTE if t == "note" else LEFT) for t in _facts_head(found)),
    ]
    style = " style='font-weight:600'" if row.rank == 1 else f" style='{DIM}'" if row.rank is None else ""
    return f"<tr{style}>{''.join(cells)}</tr>"


def _references(found: Board) -> Iterator[str]:
    rest = _cell("", LEFT) * len(_facts_head(found))
    for reference in found.references:
        value = compare_text.number(reference.value, found.metric)
        cells = [
            _cell("", NUMBER), _cell(reference.label, LEFT), _cell(value, NUMBER),
            *(_cell("", NUMBER) for _ in found.references), *_params(found, reference.params),
        ]  # fmt: skip
        yield f"<tr style='font-style:italic'>{''.join(cells)}{rest}</tr>"


def _params(found: Board, params: Mapping[str, Any]) -> list[str]:
    told = found.differing(params)
    shown = (compare_text.value(told[n]) if n in told else compare_text.UNKNOWN for n in found.params)
    return [_cell(value, NUMBER) for value in shown]


def _difference(found: Difference | None, metric: str) -> str:
    better = None if found is None else found.better
    colour = "" if better is None else f";color:{GOOD if better else BAD}"
    return _cell(compare_text.difference(found, metric), NUMBER + colour)


def _cell(text: str, style: str) -> str:
    return f"<td style='{style};padding:.2em .6em'>{web(text)}</td>"
