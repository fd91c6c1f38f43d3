"""How a delimited text is written: delimiter, header, decimal sign, and where its rows begin.

Decided on the first 256 KiB by what keeps the number of fields constant, read with CSV's rules for quotes.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from mlops.errors import TableError
from mlops.table.names import clean
from mlops.table.numbers import MISSING, looks_numeric
from mlops.table.source import Bytes, Source

SAMPLE_BYTES = 1 << 18
SAMPLE_RECORDS = 1000
CANDIDATES = ("\t", ";", "|", ",")
BLANK = " "
CONSISTENT = 0.5  # share of records that must have the usual number of fields

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|$)")
_QUOTED_OR_BLANKS = re.compile(rb'"(?:[^"]|"")*"|^[ \t]+|[ \t]+(?=\r|\n|\Z)|[ \t]+', re.MULTILINE)
_QUOTED_OR_PADDED = re.compile(rb'"(?:[^"]|"")*"|(?<=[,;|\t]) +(?=")|(?<=") +(?=[,;|\t])')
_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),(\d{1,2}|\d{4,})|[+-]?0,\d+")
_POINT = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)\.(\d{1,2}|\d{4,})|[+-]?0\.\d+")


@dataclass(frozen=True)
class Told:
    """What is already known of a file: from params.yaml, from the command line, or from the first file.

    width: how many fields the first file has; its delimiter is only taken over by a file that then has as many.
    """

    target: str | None = None
    header: bool | None = None
    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    width: int | None = None


@dataclass(frozen=True)
class Dialect:
    """One file's way of writing; `tidy` files need blanks outside quotes mended before they are parsed."""

    delimiter: str
    header: bool
    decimal: str
    names: tuple[str, ...]
    width: int
    start: int
    before: tuple[str, ...]
    spare: bool
    tidy: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Split:
    """The sample cut by one delimiter: records with the offset after each, and how many keep the usual width."""

    delimiter: str
    records: list[tuple[list[str], str, int]]
    width: int
    share: float


def detect(source: Source, told: Told) -> Dialect:
    """The dialect of one file.

    Raises:
        TableError: no delimiter cuts it into the same two or more fields per line.
    """
    split = _best(source, told)
    first = next(i for i, (fields, _, _) in enumerate(split.records) if _fits(fields, split.width))
    body = [fields for fields, _, _ in split.records[first + 1 :] if len(fields) == split.width]
    top = [field.strip() for field in split.records[first][0]]
    header = _has_header(top, body, told)
    spare = len(top) >= split.width and not top[-1] and all(not row[-1].strip() for row in body) if header else False
    if header and len(top) == split.width - 1:
        spare = bool(body) and all(not row[-1].strip() for row in body)
        top = [*top, ""] if spare else ["", *top]
    if not header and len(body) > 1:
        spare = not top[-1] and all(not row[-1].strip() for row in body)
    raw = tuple(top if header else [""] * split.width)
    names, warnings = clean(raw[: split.width - 1] if spare else raw, source.name)
    if spare:
        warnings = (*warnings, f"{source.name}: each line ends with a delimiter; the empty last column is left out")
    start = split.records[first][2] if header else 0
    before = tuple(text for _, text, _ in split.records[:first]) if header else ()
    decimal = told.decimal or _decimal(body)
    tidy = split.delimiter == BLANK or _padded_quotes(source.data)
    return Dialect(split.delimiter, header, decimal, names, split.width, start, before, spare, tidy, warnings)


def tidied(data: Bytes, delimiter: str) -> bytes:
    """Blanks mended outside quotes: runs of them made one delimiter, or those between delimiter and quote dropped."""

    def mend(match: re.Match[bytes]) -> bytes:
        found = match[0]
        if found.startswith(b'"'):
            return found
        at_edge = match.start() == 0 or match.string[match.start() - 1] in b"\r\n" or _ends_line(match)
        return b" " if delimiter == BLANK and not at_edge else b""

    pattern = _QUOTED_OR_BLANKS if delimiter == BLANK else _QUOTED_OR_PADDED
    return pattern.sub(mend, data)


def _ends_line(match: re.Match[bytes]) -> bool:
    after = match.string[match.end() : match.end() + 1]
    return after in (b"", b"\r", b"\n")


def _padded_quotes(data: Bytes) -> bool:
    """Whether blanks stand between a delimiter and a quote somewhere: CSV parsers would keep such quotes as text."""
    if data.find(b'" ') < 0 and data.find(b' "') < 0:  # the usual case, settled at the speed of a memory scan
        return False
    return re.search(rb'[,;|\t] +"|" +[,;|\t]', data) is not None


def _fits(fields: list[str], width: int) -> bool:
    return len(fields) == width or (len(fields) == width - 1 and width > 2)


def _best(source: Source, told: Told) -> _Split:
    """The delimiter that keeps the width most constant; one that was told wins where it fits as well."""
    raw = bytes(source.data[:SAMPLE_BYTES])
    whole = len(source.data) <= SAMPLE_BYTES
    splits = {d: _cut(raw, d, whole) for d in (*CANDIDATES, BLANK)}
    usable = {d: s for d, s in splits.items() if s is not None and s.width > 1 and s.share > CONSISTENT}
    if told.delimiter in usable and told.width in (None, usable[str(told.delimiter)].width):
        return usable[str(told.delimiter)]
    marks = [usable[d] for d in CANDIDATES if d in usable]
    blank = usable.get(BLANK)
    if not marks and blank is None:
        raise TableError(
            f"{source.path} is no table: none of , ; | tab or blanks cuts its lines into the same number of columns; "
            "give a CSV file with a target and at least one more column"
        )
    if not marks:
        assert blank is not None
        return blank
    best = max(marks, key=lambda s: (round(s.share, 2), len(s.records[0][0]) == s.width, s.delimiter != ","))
    comma = usable.get(",")
    wider = comma is not None and comma.share >= best.share and comma.width > best.width + 1
    if comma is not None and wider and best.delimiter == ";" and len(comma.records[0][0]) == comma.width:
        best = comma  # more commas than decimal commas could be: it is the `;` that stands inside a value
    needed = 2 * best.width + (best.delimiter != "\t")  # a tab may be one of the blanks
    return blank if blank and blank.share >= best.share and blank.width >= needed else best


def _cut(raw: bytes, delimiter: str, whole: bool) -> _Split | None:
    """The sample's records under one delimiter; None when it cannot be read so."""
    text = (tidied(raw, delimiter) if delimiter == BLANK or _padded_quotes(raw) else raw).decode("utf-8", "replace")
    lines = [line for line in _LINE.findall(text) if line]
    used = 0
    records: list[tuple[list[str], str, int]] = []
    reader = csv.reader(iter(lines), delimiter=delimiter)
    offset = 0
    with suppress(csv.Error):  # a value longer than csv reads: the records before it must do
        for fields in reader:
            taken = lines[used : reader.line_num]
            used = reader.line_num
            offset += sum(len(line.encode("utf-8")) for line in taken)
            if any(field.strip() for field in fields) or len(fields) > 1:
                records.append((fields, "".join(taken).strip("\r\n"), offset))
            if len(records) >= SAMPLE_RECORDS:
                break
    if not whole and len(records) < SAMPLE_RECORDS and len(records) > 1:
        records.pop()  # the sample's end may have cut it
    if not records:
        return None
    width, kept = max(Counter(len(f) for f, _, _ in records).items(), key=lambda item: (item[1], item[0]))
    return _Split(delimiter, records, width, kept / len(records))


def _has_header(top: list[str], body: list[list[str]], told: Told) -> bool:
    """Whether the first line names the columns: told, or it holds the target's name, or it reads unlike its columns."""
    if told.header is not None:
        return told.header
    if told.target is not None and told.target in top:
        return True
    columns = [[value.strip() for value in column] for column in zip(*body, strict=False)]
    offset = max(0, len(columns) - len(top))
    filled = [[value for value in column if value not in MISSING] for column in columns[offset:]]
    pairs = list(zip(top, filled, strict=False))
    numeric = [cell for cell, column in pairs if column and sum(map(looks_numeric, column)) >= 0.9 * len(column)]
    if numeric:
        return sum(looks_numeric(cell) or cell in MISSING for cell in numeric) <= len(numeric) / 2
    recurring = sum(cell in column for cell, column in pairs)
    return recurring <= len(pairs) / 2


def _decimal(body: list[list[str]]) -> str:
    """The decimal sign: the comma when more cells can only be decimal commas than can only be decimal points."""
    cells = [cell.strip() for row in body for cell in row]
    commas = sum(1 for cell in cells if _COMMA.fullmatch(cell))
    points = sum(1 for cell in cells if _POINT.fullmatch(cell))
    return "," if commas > points else "."
