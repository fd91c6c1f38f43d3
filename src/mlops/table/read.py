"""Files as columns: strings for CSV, their own types for Parquet. A record that is no row is kept apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from mlops.errors import TableError
from mlops.params import Table
from mlops.table import values
from mlops.table.dialect import Dialect, Told, detect, tidied
from mlops.table.names import clean
from mlops.table.source import Bytes, Source, open_source

BLOCK = 4 << 20
LONGEST = 1 << 30


@dataclass(frozen=True)
class Rejected:
    """A record that has not the table's number of fields. record: its 1-based number, 0 before the header."""

    record: int
    reason: str
    text: str


@dataclass
class Sheet:
    """One file's columns, all of the same length, in the file's order."""

    name: str
    sha256: str
    columns: dict[str, pa.ChunkedArray]
    rows: int
    parquet: bool
    encoding: str = "utf-8"
    delimiter: str = ","
    header: bool = True
    decimal: str = "."
    rejected: list[Rejected] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_files(paths: Sequence[Path], told: Told) -> list[Sheet]:
    """Read several files of one table: header and decimal sign are shared, all else is each file's own.

    Raises:
        TableError: a file is no table, has no rows, or CSV and Parquet are mixed.
    """
    sources = [open_source(path, told.encoding) for path in paths]
    if len({source.parquet for source in sources}) > 1:
        odd = next(source for source in sources if source.parquet != sources[0].parquet)
        kinds = ("CSV", "Parquet")
        raise TableError(
            f"{odd.path} is {kinds[odd.parquet]} but {sources[0].path} is {kinds[sources[0].parquet]}; "
            "write all files of a table in one of the two"
        )
    if sources[0].parquet:
        return [_read_parquet(source) for source in sources]
    first = detect(sources[0], told)
    shared = replace(told, header=first.header, delimiter=first.delimiter, decimal=first.decimal, width=first.width)
    dialects = [first, *(detect(source, shared) for source in sources[1:])]
    return [_read_csv(source, dialect) for source, dialect in zip(sources, dialects, strict=True)]


def _read_csv(source: Source, dialect: Dialect) -> Sheet:
    data: Bytes = tidied(source.data, dialect.delimiter) if dialect.tidy else source.data
    start = dialect.start
    parsed, rejected = _parse(source, data, start, dialect)
    if not parsed.num_rows:
        below = " below its header" if dialect.header else ""
        raise TableError(f"{source.path} has no rows{below}; give a file with rows")
    _refuse_open_quote(source, data, parsed, rejected)
    columns = {name: parsed.column(place) for place, name in enumerate(dialect.names)}
    spilled: list[Rejected] = []
    if dialect.spare:
        columns, spilled = _without_spare(parsed, dialect, columns)
    before = [Rejected(0, f"{_fields(1)} before the header", text) for text in dialect.before]
    sheet = Sheet(
        source.name, source.sha256, columns, len(next(iter(columns.values()))), False, source.encoding,
        dialect.delimiter, dialect.header, dialect.decimal, [*before, *rejected, *spilled],
        [*source.warnings, *dialect.warnings],
    )  # fmt: skip
    sheet.warnings += _line_breaks(sheet, data, start)
    if sheet.rejected:
        first = sheet.rejected[0]
        sheet.warnings.append(
            f"{source.name}: {len(sheet.rejected)} {'record is' if len(sheet.rejected) == 1 else 'records are'} "
            f"no row of the table; the first: record {first.record}, {first.reason}"
        )
    return sheet


def _parse(source: Source, data: Bytes, start: int, dialect: Dialect) -> tuple[pa.Table, list[Rejected]]:
    """All records as strings. Threads do not number the records, so a file with bad ones is read again on one."""
    rejected: list[Rejected] = []

    def keep_apart(row: pacsv.InvalidRow) -> str:
        if row.text.strip():
            lines = len(row.text.splitlines())
            spread = f", over {lines} lines: is a quote missing?" if lines > 1 else ""
            reason = f"{_fields(row.actual_columns)}, expected {row.expected_columns}{spread}"
            rejected.append(Rejected(row.number or 0, reason, row.text))
        return "skip"

    names = [str(place) for place in range(dialect.width)]
    convert = pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    parse = pacsv.ParseOptions(
        delimiter=dialect.delimiter, newlines_in_values=True, invalid_row_handler=keep_apart, ignore_empty_lines=True
    )
    block, threads = BLOCK, True
    while True:
        rejected.clear()
        options = pacsv.ReadOptions(column_names=names, use_threads=threads, block_size=block)
        try:
            table = pacsv.read_csv(pa.BufferReader(pa.py_buffer(data)[start:]), options, parse, convert)
        except pa.ArrowInvalid as error:
            if "straddling" in str(error) and block < LONGEST:
                block *= 16
                continue
            if "Empty CSV" in str(error):
                return pa.table({name: pa.chunked_array([], pa.string()) for name in names}), []
            raise TableError(f"{source.path} cannot be read as CSV: {error}; mend the file's quotes") from None
        if not rejected or not threads:
            return table, rejected
        threads = False


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"


def _refuse_open_quote(source: Source, data: Bytes, parsed: pa.Table, rejected: list[Rejected]) -> None:
    """Raise when the last record runs to the end of the file inside a quote: it swallowed the rows behind it."""
    tail = bytes(data[-200:]).rstrip()
    last = str(parsed.column(parsed.num_columns - 1)[-1].as_py()).rstrip()
    in_row = ("\n" in last or "\r" in last) and not tail.endswith(b'"')
    beside = rejected[-1].text if rejected else ""
    if in_row or (beside.count('"') % 2 and len(beside.splitlines()) > 1):
        raise TableError(
            f"{source.path}: a quote that opens near record {parsed.num_rows + len(rejected)} is never closed, "
            "all lines below are inside it; add or remove that quote"
        )


def _line_breaks(sheet: Sheet, data: Bytes, start: int) -> list[str]:
    """Warn of values that span lines: rightly so in comments, otherwise the sign of a stray quote."""
    lines = sum(bytes(data[at : at + BLOCK]).count(b"\n") for at in range(start, len(data), BLOCK))
    if lines <= sheet.rows + len(sheet.rejected):
        return []
    found = []
    for name, column in sheet.columns.items():
        count = pc.sum(pc.match_substring_regex(column, r"\S\s*[\r\n]")).as_py() or 0
        if count:
            found.append(f"{sheet.name}: {name} has {count} values with line breaks; if that is wrong, mend its quotes")
    return found


def _without_spare(
    parsed: pa.Table, dialect: Dialect, columns: dict[str, pa.ChunkedArray]
) -> tuple[dict[str, pa.ChunkedArray], list[Rejected]]:
    """Drop the empty last column; a record that does have something there has one field too many."""
    spare = pc.utf8_trim_whitespace(parsed.column(dialect.width - 1))
    empty = pc.equal(spare, "")
    if pc.all(empty).as_py():
        return columns, []
    bad = [place for place, good in enumerate(empty.to_pylist()) if not good]
    rejected = [
        Rejected(place + 1, f"{_fields(dialect.width)}, expected {dialect.width - 1}",
                 dialect.delimiter.join(column[place].as_py() for column in parsed.columns))
        for place in bad
    ]  # fmt: skip
    return {name: column.filter(empty) for name, column in columns.items()}, rejected


def _read_parquet(source: Source) -> Sheet:
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(source.data)))
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{source.path} is a damaged or unknown Parquet file: {error}; write it again") from None
    if not table.num_rows:
        raise TableError(f"{source.path} has no rows; give a file with rows")
    warnings: list[str] = []
    names, renamed = clean(["" if _is_index(n) else n for n in table.column_names], source.name)
    columns = {}
    for name, column in zip(names, table.columns, strict=True):
        plain = _plain(column)
        if plain is None:
            warnings.append(f"{source.name}: {name} holds {column.type}, which is no plain value; it is left out")
        else:
            columns[name] = plain
    return Sheet(source.name, source.sha256, columns, table.num_rows, True, warnings=[*renamed, *warnings])


def _is_index(name: str) -> bool:
    return name.startswith("__index_level_")


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """A Parquet column as string, boolean, number or date; None for nested and binary ones."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(pc.cast(column, kind.value_type))
    as_words = (pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null, pa.types.is_time)
    if any(check(kind) for check in as_words):
        return pc.cast(column, pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_float16(kind):
        return pc.cast(column, pa.float64(), safe=False)
    checks: Iterable[bool] = (
        values.is_text(kind), pa.types.is_boolean(kind), pa.types.is_integer(kind), pa.types.is_floating(kind),
        pa.types.is_timestamp(kind), pa.types.is_date(kind),
    )  # fmt: skip
    return column if any(checks) else None


def read_source(settings: Table) -> list[Sheet]:
    """The files of params.yaml's table section, each with its own way of writing where it differs from the first."""
    told = Told(
        header=settings.header, encoding=settings.encoding, delimiter=settings.delimiter, decimal=settings.decimal
    )
    return read_files([Path(file) for file in (*settings.files, *settings.test)], told)
