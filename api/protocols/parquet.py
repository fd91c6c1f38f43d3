"""Parquet bodies; the one module of the service that needs pyarrow, imported when such a body comes.

A small file may stand for a huge table: repeated values cost next to nothing in it. So only flat columns of known types
are read, texts stay dictionaries until their size is known, and limits are looked at before anything is unpacked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from api.door.messages import Refused
from api.protocols.document import malformed, named

PLAIN = (types.is_boolean, types.is_integer, types.is_floating, types.is_null)
TEXTS = (types.is_string, types.is_large_string)
DAYS = (types.is_date, types.is_timestamp)


def read(body: bytes, wanted: Collection[str], most_rows: int, most_bytes: int) -> dict[str, list[Any]]:
    """The wanted columns that the file has, with values as JSON would give them; others are not even unpacked.

    Raises:
        Refused: 400, it is not Parquet, or a column is of a type that JSON does not have; 413, larger than the limits.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        _limit(file.metadata, most_rows, most_bytes)
        kinds = _kinds(file.schema_arrow, wanted)
        texts = [name for name, kind in kinds.items() if _is(_values_of(kind), TEXTS)]
        table = pq.ParquetFile(pa.BufferReader(body), read_dictionary=texts).read(list(kinds), use_threads=False)
        return {name: _listed(table.column(name), most_bytes) for name in kinds}
    except (pa.ArrowException, OSError, KeyError, ValueError, OverflowError) as error:
        raise malformed(f"the body is not Parquet that can be read ({named(str(error))})") from None


def _kinds(schema: pa.Schema, wanted: Collection[str]) -> dict[str, pa.DataType]:
    kinds: dict[str, pa.DataType] = {}
    for field in schema:
        if field.name in kinds:
            raise malformed(f"column {field.name} is there twice")
        if field.name in wanted:
            kind = _values_of(field.type)
            if not _is(kind, (*PLAIN, *TEXTS, *DAYS, types.is_decimal)):
                raise malformed(f"column {field.name}: {field.type} is not read; write it as a text or a number")
            kinds[field.name] = field.type
    return kinds


def _values_of(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if types.is_dictionary(kind) else kind


def _is(kind: pa.DataType, tests: Collection[Any]) -> bool:
    return any(test(kind) for test in tests)


def _limit(metadata: pq.FileMetaData, most_rows: int, most_bytes: int) -> None:
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if metadata.num_rows > most_rows:
        raise Refused(413, "rows", f"the file has {metadata.num_rows} rows; at most {most_rows} are taken at once")
    if size > most_bytes:
        raise _too_large(size, most_bytes)


def _too_large(size: int, most: int) -> Refused:
    return Refused(413, "too_large", f"the file unpacks to {size} bytes or more; at most {most} are taken")


def _listed(column: pa.ChunkedArray, most_bytes: int) -> list[Any]:
    if types.is_decimal(column.type):
        column = column.cast(pa.float64())
    values: list[Any] = []
    for chunk in column.chunks:
        if types.is_dictionary(chunk.type):
            values += _from_dictionary(chunk, most_bytes)
        else:
            values += chunk.to_pylist()
    if _is(_values_of(column.type), DAYS):
        return [None if value is None else value.isoformat() for value in values]
    return values


def _from_dictionary(chunk: pa.DictionaryArray, most_bytes: int) -> list[Any]:
    """Rows that share a text share one object of it."""
    levels = chunk.dictionary.to_pylist()
    codes = chunk.indices.to_pylist()
    size = sum(len(levels[code]) for code in codes if code is not None and isinstance(levels[code], str))
    if size > most_bytes:
        raise _too_large(size, most_bytes)
    return [None if code is None else levels[code] for code in codes]
