"""Folders of models and tables for the tests of batch scoring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlops import bundle, production
from mlops.batch.request import Request
from mlops.features import Plan
from tests.unit.models import Fitted, saved, simulated

COMMIT = "c0ffee" * 6 + "beef"


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
