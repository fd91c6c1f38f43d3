"""`mlops data diff`: call, print, choose the exit code."""

from __future__ import annotations

import argparse
import json

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mlops import screen
from mlops.datadiff import words
from mlops.datadiff.diff import diff
from mlops.datadiff.result import Facts
from mlops.registry import look
from mlops.registry.look import Named
from mlops.store.objects import Store

MOST = 20
"""Columns that the table shows."""


def run(arguments: argparse.Namespace) -> int:
    """Compare two revisions, whatever they are called. Returns 1 where the data of one cannot be had."""
    registry = look.here()
    sides = registry.named(arguments.before), registry.named(arguments.after or "HEAD")
    found = diff(registry.git, Store(registry.git.folder), sides[0].commit, sides[1].commit)
    facts = found.facts()
    if arguments.json:
        print(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        render(screen.console(), facts, sides)
    return 1 if found.unavailable else 0


def render(console: Console, facts: Facts, sides: tuple[Named, Named]) -> None:
    """Print lines on the whole, and a table of columns, the largest change first."""

    def line(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    line(" → ".join(_called(side) for side in sides))
    for text in words.lines(facts):
        line(text)
    told = words.changed(facts)
    if told:
        console.print(_table(told[:MOST]))
    unchanged = len(facts["columns"]) - len(told)
    if len(told) > MOST:
        line(f"{len(told) - MOST} more columns changed; --json tells all")
    if facts["columns"]:
        line(f"{unchanged} of {len(facts['columns'])} columns as they were")


def _called(side: Named) -> str:
    short = side.commit[:8]
    return short if side.name == short else f"{side.name} ({short})"


def _table(columns: list[Facts]) -> Table:
    table = Table()
    for name in ("column", "drift", "values", "missing"):
        table.add_column(name)
    table.add_column("changed", justify="right")
    for column in columns:
        table.add_row(*(escape(text) for text in (words.plain(column["name"]), *words.cells(column))))
    return table
