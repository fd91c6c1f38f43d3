"""Stage `ingest`: the simulator, or a user's table, as typed Parquet in data/raw/.

Writes table.parquet, test.parquet (only when test files are named), rejected.csv (records that are no row of the
table), metadata.json (what was read: files, digests, rows, columns, time range, merged spellings).
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlops import schema as schemas
from mlops import stage
from mlops.params import Data, Table, View
from mlops.schema import Schema
from mlops.table.read import Sheet, read_source
from mlops.table.typed import read_table, unknown_in

RAW = Path("data/raw")
SOURCE = Path("data/source")
ROW_GROUP = 131_072
SHOWN = 500  # characters of a rejected record


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stage as params.yaml says; takes no arguments. Returns the exit code."""
    del argv
    stage.without_pandas()
    return stage.run("ingest", work)


def work(params: View) -> None:
    """Read the source that params.yaml names and write data/raw/."""
    data: Data = params.get("data")
    with stage.replaced(RAW) as (folder,):
        if data.table is not None and data.source == "table":
            write_table(folder, data.table, schemas.load())
        else:
            write_simulated(folder, data)


def write_simulated(folder: Path, data: Data) -> None:
    """Simulate the embedded business and write it."""
    from mlops.simulator import simulate

    table = simulate(data.simulator)
    file = {"name": "simulator", "role": "table", "rows": table.num_rows, "rejected": 0, "sha256": None}
    _write_parquet(folder / "table.parquet", table)
    _write_rejected(folder, [])
    _write_metadata(folder, {"source": "simulator", "files": [file], **described(table), "normalised": {}})
    print(f"simulated {table.num_rows:,} rows, {table.num_columns} columns")


def write_table(folder: Path, settings: Table, schema: Schema) -> None:
    """Read the user's files, typed by the schema, and write them; warnings go to stderr, one line each."""
    sheets = read_source(settings)
    roles = ["table"] * len(settings.files) + ["test"] * len(settings.test)
    files = [_file(sheet, role, schema) for sheet, role in zip(sheets, roles, strict=True)]
    typed = read_table(sheets, schema, settings.decimal)
    for sheet in sheets:
        for warning in sheet.warnings:
            print(f"warning: {warning}", file=sys.stderr)
    split = sum(sheet.rows for sheet, role in zip(sheets, roles, strict=True) if role == "table")
    _write_parquet(folder / "table.parquet", typed.table.slice(0, split))
    if settings.test:
        _write_parquet(folder / "test.parquet", typed.table.slice(split))
    _write_rejected(folder, sheets)
    spelled = {"spellings": typed.merged} if typed.merged else {}
    _write_metadata(folder, {"source": "table", "files": files, **described(typed.table), "normalised": spelled})
    rejected = sum(len(sheet.rejected) for sheet in sheets)
    print(f"read {typed.table.num_rows:,} rows, {typed.table.num_columns} columns; rejected {rejected:,} records")


def described(table: pa.Table) -> dict[str, Any]:
    """Rows, columns with their types, and the range of each date column."""
    ranges = {}
    for name in table.column_names:
        if pa.types.is_timestamp(table.column(name).type):
            span = pc.min_max(table.column(name)).as_py()
            if span["min"] is not None:
                ranges[name] = {end: value.isoformat(sep=" ") for end, value in span.items()}
    return {
        "rows": table.num_rows,
        "columns": {name: str(table.column(name).type) for name in table.column_names},
        "time_range": ranges,
    }


def _file(sheet: Sheet, role: str, schema: Schema) -> dict[str, Any]:
    unknown = unknown_in(sheet, [c.name for c in schema.columns])
    if unknown:
        shown = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        what = f"{len(unknown)} columns that data/schema.yaml does not know are left out"
        sheet.warnings.append(f"{sheet.name}: {what}: {shown}")
    return {
        "name": sheet.name, "role": role, "rows": sheet.rows, "rejected": len(sheet.rejected), "sha256": sheet.sha256,
        "unknown_columns": unknown,
    }  # fmt: skip


def _write_parquet(path: Path, table: pa.Table) -> None:
    pq.write_table(
        table.replace_schema_metadata(None),
        path,
        compression="zstd",
        row_group_size=ROW_GROUP,
        use_dictionary=True,
        store_schema=False,  # plain Parquet types: every reader, not Arrow's alone, sees the same columns
    )


def _write_rejected(folder: Path, sheets: Sequence[Sheet]) -> None:
    with (folder / "rejected.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "record", "reason", "text"])
        for sheet in sheets:
            writer.writerows([sheet.name, r.record, r.reason, r.text[:SHOWN]] for r in sheet.rejected)


def _write_metadata(folder: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (folder / "metadata.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
