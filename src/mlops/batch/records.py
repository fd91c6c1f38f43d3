"""A stream of delimited text cut into blocks of whole records, so that blocks can be parsed side by side.

A line break inside quotes ends no record. Where every quote of a block is one that CSV writers write (at a field's
begin or end, or doubled) counting them tells which line breaks are inside; otherwise the block is read field by field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops.errors import TableError

BLOCK = 3 << 20
"""Bytes of a block: some 20,000 rows, whose matrix still fits a processor's cache."""
LONGEST = 64 << 20
QUOTE = ord('"')
SHOWN = 40


class Block(NamedTuple):
    """Whole records. regular: each quote stands where CSV writers set it, so nothing about quotes needs mending."""

    text: bytes
    regular: bool


def blocks(pieces: Iterable[bytes], delimiter: str, path: Path) -> Iterator[Block]:
    """Blocks that end where a record ends; together they are the pieces.

    Raises:
        TableError: a quote that is never closed, or a record longer than LONGEST.
    """
    rest = bytearray()
    wanted = BLOCK
    for piece in pieces:
        rest += piece
        if len(rest) < wanted:
            continue
        end, regular = _end(rest, delimiter)
        if not end and len(rest) > LONGEST:
            raise _unclosed(rest, path)
        wanted = BLOCK if end else 2 * len(rest)
        if end:
            yield Block(bytes(rest[:end]), regular)
            del rest[:end]
    if rest:
        if not rest.endswith((b"\n", b"\r")):
            rest += b"\n"
        end, regular = _end(rest, delimiter)
        if end < len(rest):
            raise _unclosed(rest, path)
        yield Block(bytes(rest), regular)


def _unclosed(rest: bytearray, path: Path) -> TableError:
    shown = bytes(rest[rest.find(b'"') :][:SHOWN]).decode("utf-8", "replace")
    return TableError(
        f"{path}: a quote is never closed, all lines below are inside it (behind {shown!r} or later); add or remove"
        " that quote"
    )


def _end(block: bytearray, delimiter: str) -> tuple[int, bool]:
    """Where the block's last whole record ends (0 when none does), and whether its quotes are regular."""
    cells = np.frombuffer(block, dtype=np.uint8)
    quotes = np.flatnonzero(cells == QUOTE)
    if not _regular(cells, quotes, delimiter):
        return _end_by_fields(bytes(block), delimiter), False
    for newline in (b"\n", b"\r"):
        end = block.rfind(newline)
        while end >= 0 and np.searchsorted(quotes, end) % 2:  # inside quotes: look before the one that opened
            end = block.rfind(newline, 0, int(quotes[np.searchsorted(quotes, end) - 1]))
        if end >= 0:
            return end + 1, True
    return 0, True


def _regular(cells: NDArray[np.uint8], quotes: NDArray[np.intp], delimiter: str) -> bool:
    """Whether each quote opens or closes a field, or is doubled, when opening and closing ones take turns.

    By induction that is then what they are: a parser is at a field's begin where the first stands, and so on.
    """
    edge = np.zeros(256, dtype=bool)
    edge[[QUOTE, ord(delimiter), ord("\n"), ord("\r")]] = True
    opening, closing = quotes[::2], quotes[1::2]
    before = cells[opening[1:] - 1] if len(opening) and not opening[0] else cells[opening - 1]
    after = cells[closing[closing + 1 < len(cells)] + 1]
    return bool(edge[before].all() and edge[after].all())


def _end_by_fields(block: bytes, delimiter: str) -> int:
    last = 0
    for field in _fields(delimiter).finditer(block):
        if field[1] in (b"\n", b"\r\n", b"\r"):
            last = field.end()
    return last


def _fields(delimiter: str) -> re.Pattern[bytes]:
    """One field with what ends it: quotes mean something at its begin only, as Arrow's parser reads them."""
    d = re.escape(delimiter).encode()
    return re.compile(rb'(?:"(?:[^"]|"")*(?:"|\Z))?[^' + d + rb"\r\n]*(" + d + rb"|\r\n|\n|\r|\Z)")
