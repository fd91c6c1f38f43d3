"""A comparison in a terminal, and as text for everything else."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mlops.experiments import board
from mlops.experiments.compared import Board, Difference, Row
from mlops.experiments.direction import own
from mlops.report.texts import clean

WIDTH = 160
"""Of what is no terminal."""
UNKNOWN = "–"
GOOD, BAD = "green", "red"


def console() -> Console:
    """A terminal at its own width, anything else wide enough for the table."""
    found = Console(force_jupyter=False)
    return found if found.is_terminal else Console(width=WIDTH, force_jupyter=False)


def plain(found: Board) -> str:
    """The table as text without colours."""
    # In a notebook rich would show it instead, and colour it.
    made = Console(file=io.StringIO(), width=WIDTH, force_jupyter=False, color_system=None)
    made.print(renderable(found))
    assert isinstance(made.file, io.StringIO)
    return made.file.getvalue().rstrip("\n")


def renderable(found: Board) -> RenderableType:
    """What rich prints."""
    lines = [Text(line, "dim") for line in notes(found)]
    return Group(Text(title(found), "bold"), _Fitting(found), *lines)


def title(found: Board) -> str:
    """What is compared by what, and which is the best."""
    number = len(found.experiments)
    counted = f"{number:,} experiment{'s' if number > 1 else ''}"
    way = f"{clean(found.metric)} ({'higher' if found.higher else 'lower'} is better)"
    ranked = [row for row in found.rows[:1] if row.rank is not None]
    return f"{counted} by {way}; " + (f"best: {clean(ranked[0].label)}" if ranked else "none has it, all failed")


def notes(found: Board) -> Iterator[str]:
    """What the table does not say of itself."""
    if found.hidden:
        yield f"{found.hidden:,} more: `mlops compare --top 0` shows all"
    if found.more_params:
        yield f"{found.more_params:,} more params differ: ExperimentTracker().to_frame() has all"
    for metric, trials in found.trials.items():
        yield f"{trials:,} trial{'s' if trials > 1 else ''} of sweeps: `mlops compare --metric {clean(metric)}`"
    if any(d and d.low is not None for row in found.rows for d in row.differences):
        without = "without one, they are others, too few, or not in DVC's cache"
        yield f"[…]: {found.confidence:.0%} interval of the difference on the same test rows; {without}"


class _Fitting:
    """The table, each param in a column of its own where that fits, else all in one."""

    def __init__(self, found: Board) -> None:
        self._found = found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = _table(self._found, folded=False)
        fits = Measurement.get(console, options.update(width=10_000), wide).maximum <= options.max_width
        yield wide if fits else _table(self._found, folded=True)


def _table(found: Board, *, folded: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("name", overflow="fold", min_width=8)
    table.add_column(Text(clean(found.metric)), justify="right", no_wrap=True)
    for reference in found.references:
        table.add_column(Text(f"vs {clean(reference.label)}"), justify="right", overflow="fold")
    for name in ["params"] if folded and found.params else found.params:
        table.add_column(
            Text(clean(name)), justify="left" if folded else "right", overflow="fold", min_width=8 * folded
        )
    for name in facts_head(found):
        table.add_column(name, overflow="fold")
    for row in found.rows:
        style = "bold" if row.rank == 1 else "dim" if row.rank is None else ""
        differences = (_difference(d, found.metric) for d in row.differences)
        cells = [Text(clean(row.label)), _number(row.value, found.metric), *differences]
        table.add_row(
            str(row.rank or ""),
            *cells,
            *_params(found, row.experiment.params, folded),
            *(Text(facts(row)[name]) for name in facts_head(found)),
            style=style,
        )
    table.add_section()
    for reference in found.references:
        empty = [Text("")] * len(found.references)
        cells = [Text(clean(reference.label)), _number(reference.value, found.metric), *empty]
        table.add_row("", *cells, *_params(found, reference.params, folded), style="cyan")
    return table


def _params(found: Board, params: Mapping[str, Any], folded: bool) -> list[Text]:
    told = found.differing(params)
    if not folded:
        return [Text(value(told[name]) if name in told else UNKNOWN) for name in found.params]
    texts = (f"{clean(k)}={value(v)}" for k, v in told.items() if v is not None)  # null is what a kind does by itself
    return [Text(" ".join(texts))] if found.params else []


def facts_head(found: Board) -> list[str]:
    """Names of the last columns: the state only where not all are finished, notes where there are any."""
    failures = any(row.experiment.state == board.FAILED for row in found.rows)
    noted = any(note(row) for row in found.rows)
    return ["age", "origin", *(["state"] if failures else []), *(["note"] if noted else [])]


def facts(row: Row) -> dict[str, str]:
    """What the last columns say of a row, by their names."""
    e = row.experiment
    return {"age": age(e.at), "origin": e.origin, "state": e.state, "note": note(row)}


def note(row: Row) -> str:
    """What somebody said of the experiment, and why it failed."""
    return clean("; ".join(filter(None, (row.experiment.note, row.experiment.error))))


def value(found: object) -> str:
    """The value of a param."""
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, float):
        return f"{found:.4g}"
    return "null" if found is None else clean(str(found))


def number(found: float | None, metric: str, sign: str = "") -> str:
    """A value of the metric: probabilities and areas with four decimals, what has a unit as precise as it is large."""
    from mlops.metrics.measure import HIGHER_IS_BETTER

    if found is None:
        return UNKNOWN
    return f"{found:{sign}.4f}" if own(metric) in HIGHER_IS_BETTER else f"{found:{sign}.4g}"


def _number(found: float | None, metric: str) -> Text:
    return Text(number(found, metric))


def difference(found: Difference | None, metric: str) -> str:
    """A difference with its interval."""
    if found is None:
        return ""
    told = number(found.value, metric, "+")
    return (
        told if found.low is None else f"{told} [{number(found.low, metric, '+')}, {number(found.high, metric, '+')}]"
    )


def _difference(found: Difference | None, metric: str) -> Text:
    style = "" if found is None or found.better is None else GOOD if found.better else BAD
    return Text(difference(found, metric), style)


def age(at: datetime) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "now"
