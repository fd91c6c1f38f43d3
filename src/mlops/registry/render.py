"""The registry's records as tables and lines that people read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mlops.registry import moments, show
from mlops.registry.show import Record


def stages(console: Console, found: Mapping[str, Record]) -> None:
    """What each stage serves, as a table."""
    table = Table()
    for name in ("stage", "version", "commit", "since", "by", "gate", "rebuilt"):
        table.add_column(name)
    for stage, record in found.items():
        weight = record["weight"]
        share = f" ({weight:.0%} of customers)" if weight else ""
        table.add_row(
            stage, record["version"] + share, record["commit"][:8], _since(record["since"]),
            escape(record["by"]["name"]), record["verdict"], _rebuilt(record),
        )  # fmt: skip
    console.print(table)


def _since(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return f"{moment.astimezone():%Y-%m-%d %H:%M} ({moments.ago(moment)})"


def _rebuilt(record: Record) -> str:
    if record["origin"] == "notebook":
        return "no (notebook)"
    return escape(record["proof"] or "not proved")


def versions(console: Console, found: list[Record]) -> None:
    """Registered versions, the highest first, as a table."""
    table = Table()
    for name in ("version", "commit", "registered", "state"):
        table.add_column(name)
    for record in found:
        state = f"archived {_since(record['archived'])}" if record["archived"] else ", ".join(record["stages"])
        table.add_row(record["version"], record["commit"][:8], _since(record["registered"]), state)
    console.print(table)


def history(console: Console, found: list[Record]) -> None:
    """Changes, the latest first, as a table."""
    table = Table()
    for name in (f"when ({moments.offset()})", "what", "by", "gate", "why", "tag"):
        table.add_column(name, overflow="fold")
    for record in found:
        table.add_row(
            f"{datetime.fromisoformat(record['at']).astimezone():%Y-%m-%d %H:%M:%S}", show.words(record),
            escape(record["by"]["name"]), record["verdict"] or "", escape(record["why"] or ""), record["tag"],
        )  # fmt: skip
    console.print(table)


def served(console: Console, moment: datetime, found: Mapping[str, Record]) -> None:
    """What each stage served at a moment, with what stands behind it."""
    console.print(f"At {moments.shown(moment)} ({moments.iso(moment)}):", highlight=False)
    if not found:
        console.print("  no stage served anything")
    for stage, record in found.items():
        console.print(f"\n[bold]{stage}[/bold]  {record['version']}", highlight=False)
        for name, text in _facts(record):
            console.print(f"  {name:<12}{escape(text)}", highlight=False, soft_wrap=True)


def _facts(record: Record) -> list[tuple[str, str]]:
    by = record["by"]
    lines = [
        ("commit", record["commit"]),
        ("tag", f"{record['tag']}, since {show.local(record['since'])}"),
        ("by", f"{by['name']} <{by['email']}>"),
        ("gate", record["verdict"]),
    ]
    lines += [(key, record[key]) for key in ("why", "experiment") if record[key]]
    digests: Mapping[str, Any] = record["digests"]
    lines += [(key, f"{digests[key]}") for key in ("data", "model", "environment") if key in digests]
    lines += [("metric", line) for line in show.metric_lines(record)]
    chosen = {k: v for k, v in record["params"].items() if v is not None and "." not in k}
    lines.append(("params", ", ".join(f"{k}={v}" for k, v in chosen.items())))
    return lines
