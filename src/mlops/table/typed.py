"""All files of a table as one typed table, as data/schema.yaml describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from mlops.errors import SchemaError, nearest
from mlops.schema import PATH, Column, Schema
from mlops.table import spellings
from mlops.table.names import match
from mlops.table.read import Sheet
from mlops.table.values import as_text, is_text, read_column


@dataclass(frozen=True)
class Typed:
    """The rows of all files in the order given, typed. merged: column → spelling → {as, rows}."""

    table: pa.Table
    merged: dict[str, dict[str, dict[str, str | int]]]


def read_table(sheets: Sequence[Sheet], schema: Schema, decimal: str) -> Typed:
    """Match the files' columns to the schema by name and read each as its kind; ignored columns are left out.

    The sheets' columns are taken out one by one, so that strings and typed values are never all in memory together.

    Raises:
        SchemaError: a file lacks a column of the schema; file and column are named.
    """
    names = [found_in(sheet, schema) for sheet in sheets]
    for sheet, found in zip(sheets, names, strict=True):
        sheet.columns = {name: column for name, column in sheet.columns.items() if name in found.values()}
    columns: dict[str, pa.ChunkedArray] = {}
    merged: dict[str, dict[str, dict[str, str | int]]] = {}
    for column in (c for c in schema.columns if c.kind != "ignore"):
        parts = [sheet.columns.pop(found[column.name]) for sheet, found in zip(sheets, names, strict=True)]
        values = read_column(chained(parts), column, decimal)
        if column.kind == "category" and len(parts) > 1:
            compared = spellings.compare([spellings.count(part, column) for part in texts(parts)], column.levels or ())
            values = spellings.merge(values, compared.merged)
            if compared.merged:
                merged[column.name] = {o: {"as": n, "rows": compared.rows[o]} for o, n in compared.merged.items()}
        columns[column.name] = values
    return Typed(pa.table(columns), merged)


def chained(parts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Columns of several files behind each other, not copied; as strings when their types differ."""
    if len({part.type for part in parts}) > 1:
        parts = texts(parts)
    return pa.chunked_array([chunk for part in parts for chunk in part.chunks], parts[0].type)


def texts(parts: Sequence[pa.ChunkedArray]) -> list[pa.ChunkedArray]:
    """Columns of any plain types as strings."""
    return [part if is_text(part.type) else as_text(part) for part in parts]


def found_in(sheet: Sheet, schema: Schema) -> dict[str, str]:
    """The file's name of each column of the schema; columns that the schema does not know are warned about."""
    wanted: list[Column] = list(schema.columns)
    found = match([c.name for c in wanted], list(sheet.columns))
    for column in wanted:
        if column.kind != "ignore" and column.name not in found:
            raise SchemaError(
                f"{sheet.name}: no column {column.name!r}{nearest(column.name, sheet.columns)}; "
                f"mend the file, or correct {PATH} with `mlops data use`"
            )
    respelled = [f"{theirs} as {ours}" for ours, theirs in found.items() if ours != theirs]
    if respelled:
        sheet.warnings.append(f"{sheet.name}: column names differ in case: {', '.join(respelled)}")
    return {c.name: found[c.name] for c in wanted if c.kind != "ignore"}


def unknown_in(sheet: Sheet, known: Sequence[str]) -> list[str]:
    """Columns of the file that the schema does not know."""
    matched = set(match(known, list(sheet.columns)).values())
    return [name for name in sheet.columns if name not in matched]
