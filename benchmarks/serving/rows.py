"""The rows that everybody is asked about, as each protocol writes them."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mlops import bundle, columns
from mlops.bundle import Bundle
from mlops.errors import MlopsError
from mlops.features import Coded, Scalar

ROOT = Path(__file__).resolve().parents[2]
SERVING = ROOT / "models" / "serving"
PIPELINE = ROOT / "models" / "model.joblib"
TABLE = ROOT / "data" / "raw" / "table.parquet"
EACH = 500
"""Distinct rows that requests of one row go round."""
BATCH = 1000
ID, TEXT = "customer_id", "comment"

Record = dict[str, Any]


def model() -> Bundle:
    """The workspace's served model."""
    try:
        return bundle.load(SERVING)
    except MlopsError as error:
        raise SystemExit(f"error: {error}") from None


def whole() -> pa.Table:
    """All rows of the simulator."""
    found = columns.read_parquet(TABLE)
    if TEXT not in found.column_names:
        raise SystemExit("error: benchmarks run on the simulator; `mlops data use simulator`, `dvc repro` go back")
    return found


def table(*, commented: bool) -> pa.Table:
    """The simulator's rows that have a comment, or those that have none."""
    every = whole()
    return every.filter(pc.is_valid(every[TEXT]) if commented else pc.is_null(every[TEXT]))


def spread(rows: pa.Table, number: int) -> pa.Table:
    """So many rows, evenly from all months."""
    step = max(1, rows.num_rows // number)
    return rows.take(list(range(0, step * number, step)))


def records(rows: pa.Table, names: Sequence[str]) -> list[Record]:
    """Rows as JSON objects: dates as YYYY-MM-DD, missing values as null."""
    return [{name: _plain(value) for name, value in row.items()} for row in rows.select(list(names)).to_pylist()]


def _plain(value: Any) -> Any:
    return value.date().isoformat() if isinstance(value, datetime.datetime) else value


def scalars(rows: pa.Table, served: Bundle) -> list[dict[str, Scalar]]:
    """Rows as the encoder takes them, one by one."""
    listed: dict[str, list[Scalar]] = {}
    for name, values in columns.raw(rows, served.encoder.plan.inputs).items():
        if isinstance(values, Coded):
            listed[name] = [None if code < 0 else values.levels[code] for code in values.codes]
        else:
            listed[name] = values.tolist()
    return [dict(zip(listed, row, strict=True)) for row in zip(*listed.values(), strict=True)]


def tensor(rows: pa.Table, served: Bundle) -> Mapping[str, Any]:
    """Rows already encoded, as a request of the Open Inference Protocol; missing numbers are null."""
    matrix = served.encoder.columns(columns.raw(rows, served.encoder.plan.inputs))
    data = [None if math.isnan(value) else value for value in matrix.ravel().tolist()]
    return {"inputs": [{"name": "x", "shape": list(matrix.shape), "datatype": "FP32", "data": data}]}


def split(listed: Sequence[Record]) -> Mapping[str, Any]:
    """Records as MLflow's dataframe_split."""
    names = list(listed[0])
    return {"dataframe_split": {"columns": names, "data": [[row[name] for name in names] for row in listed]}}


def body(document: Mapping[str, Any]) -> bytes:
    """JSON without spaces, as clients that care write it."""
    return json.dumps(document, separators=(",", ":")).encode()
