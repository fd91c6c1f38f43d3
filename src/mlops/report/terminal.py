"""The report in a terminal: the same words, tables as tables, curves as sparklines."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from mlops.report.document import Block, Chart, Document, Listing, Table
from mlops.report.texts import clean

LOUD = "bold red"
NARROW = 8


def show(console: Console, document: Document) -> None:
    """Print it."""
    _line(console, document.headline, "bold green" if document.good else LOUD)
    for block in document.opening:
        _block(console, block)
    for section in document.sections:
        _line(console, "")
        _line(console, section.title, "bold")
        for block in section.blocks:
            _block(console, block)


def _block(console: Console, block: Block) -> None:
    if isinstance(block, Chart):
        _line(console, block.caption)
        console.print(_table(block.table))
    elif isinstance(block, Table):
        console.print(_table(block))
    elif isinstance(block, Listing):
        for item in block.items:
            _line(console, f"- {item}", LOUD if block.loud else "")
    else:
        _line(console, block)


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(clean(text), style), soft_wrap=True)


def _table(table: Table) -> RichTable:
    made = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(table.head):
        if i in table.texts:
            made.add_column(Text(clean(name)), overflow="fold", min_width=NARROW)
        else:
            made.add_column(Text(clean(name)), justify="right", no_wrap=True)
    for i, row in enumerate(table.rows):
        made.add_row(*(Text(clean(cell)) for cell in row), style=LOUD if i in table.loud else "")
    return made
