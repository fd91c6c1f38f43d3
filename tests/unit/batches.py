"""Folders of models and tables for the tests of batch scoring."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from mlops import bundle, production
from mlops.batch.request import Request
from mlops.features import Plan
from tests.unit.models import Fitted, saved, simulated

COMMIT = "c0ffee" * 6 + "beef"
COLUMNS = ["churn_probability", "prediction", "version", "commit", "stage", "predicted_at"]


def workspace(kind: str, fitted: dict[str, Fitted], plan: Plan, models: Path, **signature: Any) -> Path:
    """models/serving/ with a model of that kind; `signature` is laid over its own. Returns the folder of models."""
    serving = models / "serving"
    serving.mkdir(parents=True)
    made = saved(kind, fitted[kind], plan, serving)
    files = {name: (serving / name).read_bytes() for name in made.manifest["files"]}
    files["signature.json"] = bundle.to_json({**json.loads(files["signature.json"]), **signature})
    bundle.save(serving, files, {"threshold": made.threshold, "model": kind, "name": "churn"})
    return models


def promoted(models: Path, stage: str, version: str) -> Path:
    """The workspace's model promoted to a stage, beside what is promoted already."""
    root = models / "production"
    place = production.install(models / "serving", root, {"stage": stage, "version": version, "commit": COMMIT})
    state = production.read_state(root)
    production.write_state(root, {**(state.stages if state else {}), stage: version})
    return place


def customers(rows: int, seed: int = 5) -> pa.Table:
    """Simulated rows with an id, and a column that no model reads."""
    table, _ = simulated(rows, seed)
    ids = pa.array([f"c{i:05d}" for i in range(rows)])
    note = pa.array([None if i % 3 else f'said "{i}", then left' for i in range(rows)])
    return table.add_column(2, "customer", ids).append_column("note", note)


def request(models: Path, given: Path, output: Path, **options: Any) -> Request:
    """A request with its quarantine file beside the output."""
    return Request(given, output, output.with_name("rejected.csv"), models, **options)


def written(folder: Path, table: pa.Table, name: str) -> Path:
    path = folder / name
    if name.endswith(".parquet"):
        pq.write_table(table, path)
    else:
        pacsv.write_csv(table, path)
    return path


def read(path: Path) -> pa.Table:
    if path.name.endswith(".parquet"):
        return pq.read_table(path)
    types = {"customer": pa.string(), "churn_probability": pa.float64(), "stage": pa.string(), "commit": pa.string(),
             "predicted_at": pa.string()}  # fmt: skip
    return pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(column_types=types, strings_can_be_null=True))


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def spoiled(folder: Path, name: str) -> Path:
    """Rows 10, 60, 61 and 200 (from 1) have cells that cannot be read; row 150 is no row in CSV."""
    frame = customers(250).to_pandas().astype({"minutes": object, "sessions": object, "since": object})
    frame["since"] = frame["since"].astype(str)
    frame.loc[9, "minutes"] = "a lot"
    frame.loc[59, ["sessions", "since"]] = ["1.5", "yesterday"]
    frame.loc[60, "sessions"] = ""
    frame.loc[199, "minutes"] = "1e999"
    if name.endswith(".parquet"):
        written(
            folder, pa.Table.from_pandas(frame.astype({"minutes": str, "sessions": str}), preserve_index=False), name
        )
        return folder / name
    lines = frame.to_csv(index=False).splitlines(keepends=True)
    lines[150] = "only,three,fields\n"
    lines.insert(20, "\n")
    (folder / name).write_text("".join(lines))
    return folder / name
