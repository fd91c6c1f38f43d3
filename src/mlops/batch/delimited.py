"""A delimited text in blocks of whole records, each parsed on its own.

A block is first parsed into the types that its columns should have, which Arrow does fastest. When anything in it does
not read so, it is parsed again as strings, which `mlops.batch.check` reads with all the spellings that people use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from mlops.batch.records import Block, blocks
from mlops.batch.source import Piece, Rejected, Rows, Selection
from mlops.batch.stream import Stream
from mlops.errors import TableError
from mlops.table import source
from mlops.table.dialect import SAMPLE_BYTES, Dialect, Told, detect, tidied
from mlops.table.numbers import MISSING_VALUE

CODED = pa.dictionary(pa.int32(), pa.string())


class Delimited:
    """An open delimited text; see `mlops.batch.source.Source`."""

    rows: int | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = Stream(path)
        self._texts = iter(self._stream)
        self._first = b""
        try:
            self._dialect = self._detected()
        except BaseException:
            self.close()
            raise
        self.columns = self._dialect.names
        self.decimal = self._dialect.decimal

    def _detected(self) -> Dialect:
        """How the text is written, by its first pieces."""
        while len(self._first) < SAMPLE_BYTES and (piece := next(self._texts, b"")):
            self._first += piece
        if not self._first.strip():
            raise TableError(f"{self._path} holds nothing but blanks; give a CSV or Parquet file with a header")
        return detect(source.Source(self._path, self._first, False, "utf-8", ""), Told(header=True))

    @property
    def warnings(self) -> Sequence[str]:
        """What was changed to read it, and what to look at."""
        return (*self._dialect.warnings, *self._stream.warnings)

    @property
    def share_read(self) -> float:
        """How much of it has been read, 0 to 1."""
        return self._stream.share_read

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def carried_type(self, name: str) -> pa.DataType:
        """A text stays as it is."""
        return pa.string()

    def pieces(self, selection: Selection) -> Iterator[Piece]:
        """Blocks in order.

        Raises:
            TableError: a quote that is never closed, a damaged file, or another encoding below.
        """
        parser = _Parser(self._path, self._dialect, selection)
        start = self._dialect.start
        for block in blocks(chain((self._first,), self._texts), self._dialect.delimiter, self._path):
            yield partial(parser.readings, block, start)
            start = 0


class _Parser:
    """How one file's blocks are parsed; of columns that are not selected nothing is made."""

    def __init__(self, path: Path, dialect: Dialect, selection: Selection) -> None:
        self._path, self._dialect = path, dialect
        self._places = {name: str(place) for place, name in enumerate(dialect.names)}
        self._names = [str(place) for place in range(dialect.width)]
        self._careful: dict[str, pa.DataType] = dict.fromkeys(selection.rules, CODED)
        # A column's own words for "no value" would be taken as that in every column of numbers.
        plain = [name for name, rule in selection.rules.items() if rule.kind == "number" and not rule.missing]
        self._quick = self._careful | dict.fromkeys(plain, pa.float64())
        for types in (self._quick, self._careful):
            types |= dict.fromkeys(selection.carried, pa.string())

    def readings(self, block: Block, start: int) -> Iterator[Rows]:
        """The rows behind `start`, quickly where all of the block reads so; then as strings."""
        text = block.text
        if self._dialect.tidy or not block.regular:  # blanks between delimiter and quote would make it a plain letter
            text = tidied(text, self._dialect.delimiter)
        text = text[start:]
        with suppress(pa.ArrowInvalid):  # a cell that is no plain number: the careful reading may know its spelling
            yield self._parse(text, self._quick)
        try:
            yield self._parse(text, self._careful)
        except pa.ArrowInvalid as error:
            raise TableError(f"{self._path} cannot be read as CSV: {error}; mend the file's quotes") from None

    def _parse(self, text: bytes, types: dict[str, pa.DataType]) -> Rows:
        skipped: list[Rejected] = []

        def keep_apart(row: pacsv.InvalidRow) -> str:
            lines = len(row.text.splitlines())
            spread = f", over {lines} lines: is a quote missing?" if lines > 1 else ""
            reason = f"{row.actual_columns} fields, expected {row.expected_columns}{spread}"
            skipped.append(Rejected(row.number, reason, row.text))
            return "skip"

        dialect = self._dialect
        by_place = {self._places[name]: kind for name, kind in types.items()}
        spare = {self._names[-1]: pa.string()} if dialect.spare else {}
        text = text or b"\n"  # Arrow takes a text without a line for no CSV at all
        table = pacsv.read_csv(
            pa.BufferReader(text),
            pacsv.ReadOptions(column_names=self._names, use_threads=False, block_size=len(text) + 1),
            pacsv.ParseOptions(
                delimiter=dialect.delimiter, newlines_in_values=True, invalid_row_handler=keep_apart
            ),
            pacsv.ConvertOptions(
                column_types=by_place | spare, include_columns=list(by_place | spare), strings_can_be_null=False,
                null_values=sorted(MISSING_VALUE), decimal_point=dialect.decimal,
            ),
        )  # fmt: skip
        if not table.num_rows:  # Arrow then forgets the types
            table = pa.schema(list((by_place | spare).items())).empty_table()
        span = table.num_rows + len(skipped)
        numbers = np.delete(np.arange(1, span + 1), [row.number - 1 for row in skipped])
        rejected = [row for row in skipped if row.text.strip()]
        if spare:
            table, numbers, spilled = _without_spare(table, numbers)
            rejected += spilled
        return Rows(table.rename_columns(list(types)), numbers, span, rejected)


def _without_spare(
    table: pa.Table, numbers: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[pa.Table, np.ndarray[tuple[int], np.dtype[np.int64]], list[Rejected]]:
    """Drop the empty last column; a record that does have something there has one field too many."""
    last = table.column(table.num_columns - 1)
    empty = np.asarray(pc.equal(pc.utf8_trim_whitespace(last), ""))
    table = table.drop_columns(table.column_names[-1])
    if empty.all():
        return table, numbers, []
    texts = last.filter(pa.array(~empty)).to_pylist()
    spilled = [
        Rejected(int(number), "one field more than the header has", text)
        for number, text in zip(numbers[~empty], texts, strict=True)
    ]
    return table.filter(pa.array(empty)), numbers[empty], spilled
