"""What a pipeline's commit consists of, written without running one: predictions, features, metrics, dvc.lock."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlops.bundle import to_json
from mlops.metrics import bootstrap
from mlops.metrics.measure import Decision, Scored

MONEY = (100.0, 10.0)


def predictions(rows: int = 600, customers: int = 300, seed: int = 0, strength: float = 0.8) -> pa.Table:
    """Scored test rows. The seed decides who they are and who leaves; strength (0 … 1) how well p tells them apart.

    So two tables of one seed and different strengths are two models on the same rows.
    """
    rng = np.random.default_rng(seed)
    risk, noise = rng.normal(size=rows), rng.normal(size=rows)
    plan = rng.choice(np.array(["Basic", "Standard", "Premium"], dtype=object), rows)
    y = (rng.random(rows) < _sigmoid(-1.5 + 1.2 * risk)).astype(np.int8)
    seen = strength * risk + np.sqrt(1 - strength**2) * noise
    month = np.arange(rows) // customers
    customer = [f"C{seed:02d}{i % customers:06d}" for i in range(rows)]
    when = np.datetime64("2026-02") + month
    return pa.table(
        {
            "key": [f"{c}|{m}-01" for c, m in zip(customer, when, strict=True)],
            "customer": customer,
            "y": y,
            "p": np.round(_sigmoid(-1.5 + 1.2 * strength * seen), 6),
            "time": pa.array(when.astype("datetime64[ms]")),
            "slice.plan": pa.array(plan, pa.string()).dictionary_encode(),
        }
    )


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def features_of(scored: pa.Table) -> dict[str, pa.Table]:
    """Feature tables by side: the scored rows as test, other customers as train and validation; one feature, plan."""

    def side(table: pa.Table, letter: str) -> pa.Table:
        return pa.table(
            {
                "__key": [f"{letter}{key}" for key in table.column("key").to_pylist()],
                "__customer": [f"{letter}{customer}" for customer in table.column("customer").to_pylist()],
                "__time": table.column("time"),
                "__y": table.column("y"),
                "plan": table.column("slice.plan"),
            }
        )

    return {"train": side(scored, "T"), "validation": side(scored, "V"), "test": side(scored, "")}


def metrics_of(scored: pa.Table, threshold: float) -> dict[str, bytes]:
    """The files of metrics/evaluate for scored rows."""
    _, customers = np.unique(scored.column("customer").to_numpy(zero_copy_only=False), return_inverse=True)
    y, p = scored.column("y").to_numpy(), scored.column("p").to_numpy()
    measured = Scored(y, p, Decision(threshold, *MONEY))
    ranges = bootstrap.intervals(bootstrap.replicates(measured, customers.astype(np.int32), 100, 0), 0.95)
    values = {name: round(value, 6) for name, value in measured.metrics().items()}
    told = {
        n: {"value": v, "low": round(ranges[n].low, 6), "high": round(ranges[n].high, 6)} for n, v in values.items()
    }
    counts = {"rows": len(y), "churned": int(y.sum()), "customers": int(customers.max()) + 1}
    return {
        "metrics.json": to_json(values),
        "intervals.json": to_json({**counts, "confidence": 0.95, "threshold": threshold, "metrics": told}),
        "slices.json": to_json([]),
    }


def write_features(folder: Path, tables: Mapping[str, pa.Table], bundle: Path) -> None:
    """data/features: the tables and the plan that the model's encoder holds."""
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    encoder = json.loads((bundle / "encoder.json").read_bytes())
    (folder / "plan.json").write_bytes(to_json({key: encoder[key] for key in ("inputs", "features")}))


class Hashed:
    """A file or folder of a working tree as dvc.lock names it; `store` puts its bytes into a cache."""

    def __init__(self, root: Path, path: str) -> None:
        self.path, self.place = path, root / path
        files = sorted(p for p in self.place.rglob("*") if p.is_file()) if self.place.is_dir() else [self.place]
        self.files = {p: hashlib.md5(p.read_bytes()).hexdigest() for p in files}
        self.size = sum(p.stat().st_size for p in files)

    @property
    def listing(self) -> bytes:
        names = {p.relative_to(self.place).as_posix(): md5 for p, md5 in self.files.items()}
        return json.dumps([{"md5": names[name], "relpath": name} for name in sorted(names)]).encode()

    @property
    def md5(self) -> str:
        if self.place.is_dir():
            return hashlib.md5(self.listing).hexdigest() + ".dir"
        return self.files[self.place]

    def entry(self) -> dict[str, Any]:
        told = {"path": self.path, "hash": "md5", "md5": self.md5, "size": self.size}
        return {**told, "nfiles": len(self.files)} if self.place.is_dir() else told

    def store(self, cache: Path) -> None:
        for path, md5 in self.files.items():
            _put(cache, md5, path.read_bytes())
        if self.place.is_dir():
            _put(cache, self.md5, self.listing)


def _put(cache: Path, md5: str, content: bytes) -> None:
    place = cache / "files" / "md5" / md5[:2] / md5[2:]
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o444)


def lock_of(root: Path, pipeline: Mapping[str, Any], params: Mapping[str, Any], cache: Path) -> dict[str, Any]:
    """dvc.lock of a dvc.yaml for the files as they lie in the working tree; outputs go into the cache."""
    stages = {}
    for name, stage in pipeline["stages"].items():
        listed: list[tuple[str, Mapping[str, Any]]] = []
        for out in stage["outs"]:
            listed += out.items() if isinstance(out, dict) else [(out, {})]
        outs = [Hashed(root, path) for path, _ in listed]
        for out, (_, options) in zip(outs, listed, strict=True):
            if options.get("cache", True):
                out.store(cache)
        stages[name] = {
            "cmd": stage["cmd"],
            "deps": [Hashed(root, path).entry() for path in sorted(stage["deps"])],
            "params": {"params.yaml": {key: dotted(params, key) for key in sorted(stage["params"])}},
            "outs": [out.entry() for out in sorted(outs, key=lambda o: o.path)],
        }
    return {"schema": "2.0", "stages": stages}


def dotted(document: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key."""
    value: Any = document
    for part in key.split("."):
        value = value[part]
    return value


def set_dotted(document: dict[str, Any], key: str, value: Any) -> None:
    """Change the value at a dotted key."""
    *parents, last = key.split(".")
    for parent in parents:
        document = document[parent]
    document[last] = value


def put_folder(source: Path, target: Path) -> None:
    """Replace a folder by a copy of another."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
