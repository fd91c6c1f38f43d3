"""What the tests of `mlops data diff` share: two tables as it reads them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlops import schema as schemas
from mlops.datadiff.diff import compare
from mlops.datadiff.raw import Raw
from mlops.datadiff.result import Column, Compared

TARGET = {"kind": "target", "positive": "1", "negative": "0"}


Kinds = Mapping[str, Any] | None


def compared(was: pa.Table, now: pa.Table, kinds: Kinds, later: Kinds = None) -> Compared:
    """Compare two tables. kinds: column → kind, or what data/schema.yaml says of it; later: of the second table."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("was.parquet", "now.parquet")]
        for path, table in zip(paths, (was, now), strict=True):
            pq.write_table(table, path, row_group_size=7, store_schema=False)
        with Raw(paths[:1], schema(kinds)) as old, Raw(paths[1:], schema(later or kinds)) as new:
            return compare(old, new)


def schema(kinds: Kinds) -> schemas.Schema | None:
    if kinds is None:
        return None
    return schemas.parse({"columns": {n: {"kind": k} if isinstance(k, str) else k for n, k in kinds.items()}})


def column(found: Compared, name: str) -> Column:
    (one,) = [column for column in found.columns if column.name == name]
    return one
