"""What differs between two versions, as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mlops.registry.diff import Facts

MOST = 12
"""Lines of each part."""


def render(console: Console, facts: Facts) -> None:
    """Print it: metrics as a table, the rest as lines."""

    def line(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    line(" → ".join(_called(facts[side]) for side in ("before", "after")))
    if facts["metrics"]:
        console.print(_metrics(facts))
    line(_judged(facts["gate"]))
    for title, lines in (
        ("commits", _commits(facts["commits"])),
        ("data", _things(facts["data"], "rows", "{:,} rows")),
        ("model", _things(facts["model"], "size", "{:,} bytes")),
        ("parameters", _values(facts["params"])),
        ("code", _code(facts["code"])),
        ("environment", _values(facts["environment"])),
    ):
        told = list(lines)
        line(f"{title}: {told[0] if len(told) == 1 else 'the same' if not told else ''}".rstrip())
        for text in told[:MOST] if len(told) > 1 else []:
            line(f"  {text}")
        if len(told) > MOST:
            line(f"  and {len(told) - MOST} more; --json tells all")


def _called(side: Facts) -> str:
    short = side["commit"][:8]
    return short if side["name"] == short else f"{side['name']} ({short})"


def _metrics(facts: Facts) -> Table:
    """Both sides with their own intervals, and the difference with the one on the same rows."""
    table = Table()
    table.add_column("metric")
    for side in ("before", "after"):
        table.add_column(escape(facts[side]["name"]), justify="right")
    table.add_column("difference", justify="right")
    changes = facts["gate"].get("changes") or {}
    for name, pair in facts["metrics"].items():
        change = changes.get(name)
        table.add_row(name, _measured(pair["before"]), _measured(pair["after"]), _interval(change, "difference"))
    return table


def _measured(metric: Mapping[str, float] | None) -> str:
    return _interval(metric, "value", signed=False)


def _interval(numbers: Mapping[str, float | None] | None, name: str, signed: bool = True) -> str:
    if not numbers or None in (numbers[name], numbers["low"], numbers["high"]):
        return "–"
    value, low, high = (f"{numbers[key]:+.4f}" if signed else f"{numbers[key]:.4f}" for key in (name, "low", "high"))
    return escape(f"{value} [{low}, {high}]")


def _judged(gate: Facts) -> str:
    if "verdict" not in gate:
        return f"not compared: {gate['reason']}"
    return f"gate: {gate['verdict']}" + (f" on {gate['basis']}" if gate["basis"] else "") + f" ({gate['words']})"


def _commits(commits: Facts) -> Iterator[str]:
    for entry in commits["log"]:
        yield f"{entry['commit'][:8]} {entry['at'][:10]} {entry['author']}: {entry['subject']}"
    unlisted = commits["added"] - len(commits["log"])
    if unlisted > 0:
        yield f"{unlisted} more before these"
    if commits["missing"]:
        yield f"commits that only the first has: {commits['missing']}"


def _things(pair: Facts, counted: str, words: str) -> Iterator[str]:
    """Digests of both sides, with what is counted of each."""
    shown = []
    for thing in (pair["before"], pair["after"]):
        count = "" if thing is None or thing[counted] is None else f" ({words.format(thing[counted])})"
        shown.append("none" if thing is None else thing["digest"][:8] + count)
    yield f"the same, {shown[0]}" if shown[0] == shown[1] else " → ".join(shown)


def _values(changed: Facts) -> Iterator[str]:
    for name, values in changed.items():
        was, now = (_value(values, side) for side in ("before", "after"))
        yield f"{name} {was} → {now}"


def _value(values: Mapping[str, Any], side: str) -> str:
    if side not in values:
        return "–"
    return "null" if values[side] is None else str(values[side])


def _code(changed: Facts) -> Iterator[str]:
    for folder, files in changed.items():
        listed = ", ".join(f"{name} {_lines(counts)}" for name, counts in files.items())
        yield f"{'' if folder == '.' else f'{folder}/'}: {listed}".removeprefix(": ")


def _lines(counts: Mapping[str, int | None]) -> str:
    return "(binary)" if counts["added"] is None else f"+{counts['added']} −{counts['removed']}"
