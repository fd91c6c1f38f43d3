"""Which rows a notebook gave: those of the pipeline's features, where they are, else rows that nobody else knows.

Rows of data/features keep their key and customer, so that two models can be compared on the same customers. Rows are
taken for those only when every value and outcome is the same, at the place that the frame's index names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlops import columns
from mlops.errors import ExperimentError, MlopsError
from mlops.experiments import surroundings
from mlops.features import Coded, Floats, Plan, Values
from mlops.metrics import slices

FEATURES = Path("data/features")


@dataclass(frozen=True)
class Known:
    """Rows of data/features. table: these rows with all their columns; plan: how the features are made."""

    table: pa.Table
    plan: Plan


def known(root: Path, side: str, x: Any, y: NDArray[np.int8]) -> Known | None:
    """The rows of data/features that these are; None where they are not, or cannot be told to be.

    Args:
        root: the working tree.
        side: train, validation or test.
        x: a frame of pandas.
        y: outcomes, 0 or 1.
    """
    path, plan_path = root / FEATURES / f"{side}.parquet", root / FEATURES / "plan.json"
    if not hasattr(x, "columns") or not hasattr(x, "index") or not path.exists() or not plan_path.exists():
        return None
    try:
        plan = Plan.from_json(json.loads(plan_path.read_bytes()))
        shared = [str(name) for name in x.columns if str(name) in {f.name for f in plan.features}]
        outcomes = columns.read_parquet(path, ["__y"]).column("__y").to_numpy()
        at = _places(x.index, len(outcomes))
        if at is None or not shared or not np.array_equal(outcomes[at], y):
            return None
        table = columns.read_parquet(path)
        if len(at) < len(table) or (np.diff(at) != 1).any():
            table = table.take(pa.array(at))
        return Known(table, plan) if all(_same(x[name], table.column(name)) for name in shared) else None
    except (MlopsError, OSError, ValueError, TypeError, KeyError, pa.ArrowException):
        return None  # being rewritten, or of another time: then they are not known


def _places(index: Any, rows: int) -> NDArray[np.int64] | None:
    """The row numbers that an index names; None where it names something else."""
    found = np.asarray(index)
    if found.dtype.kind not in "iu" or not len(found) or found.min() < 0 or found.max() >= rows:
        return None
    at = found.astype(np.int64)
    return at if len(np.unique(at)) == len(at) else None


def _same(given: Any, held: pa.ChunkedArray) -> bool:
    if pa.types.is_dictionary(held.type):
        texts = [None if v is None or v != v else str(v) for v in np.asarray(given, dtype=object).tolist()]
        return bool(texts == held.cast(pa.string()).to_pylist())
    mine = np.asarray(given, dtype=np.float64).astype(np.float32)
    return bool(np.array_equal(mine, columns.floats(held).astype(np.float32), equal_nan=True))


def scored(found: Known | None, x: Any, y: NDArray[np.int8], p: Floats, names: Mapping[str, Any]) -> pa.Table:
    """The table that is kept of scored rows: key, customer, y, p, and the columns that groups are made of.

    names: "keys" and "customers" where somebody gave them.
    """
    told: dict[str, Any]
    if found is not None:
        told = {"key": found.table.column("__key"), "customer": found.table.column("__customer")}
        features: Mapping[str, Values] = columns.Stored(found.table, found.plan)
    else:
        features = _features(x)
        keys = _texts("keys", names.get("keys"), len(y)) or _digests(x, len(y))
        told = {"key": keys, "customer": _texts("customers", names.get("customers"), len(y)) or keys}
    kept = {**told, "y": pa.array(y), "p": pa.array(p)}
    if found is not None and "__time" in found.table.column_names:
        kept["time"] = found.table.column("__time")
    groups = slices.choose(features, "auto") if features else {}
    return pa.table({**kept, **{f"slice.{name}": columns.to_arrow(group) for name, group in groups.items()}})


def _features(x: Any) -> dict[str, Values]:
    """The columns of a frame that numbers or texts can be read from."""
    found: dict[str, Values] = {}
    for name in getattr(x, "columns", ()):
        try:
            column = pa.chunked_array([pa.array(x[name])])
        except (pa.ArrowException, TypeError, ValueError, KeyError):  # KeyError: two columns of one name
            continue
        kind = column.type
        if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
            found[str(name)] = columns.floats(column)
        elif pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
            coded = columns.coded(column)
            if len(coded.levels) <= slices.MOST_LEVELS:
                found[str(name)] = Coded(coded.codes, coded.levels)
    return found


def _texts(what: str, given: Any, rows: int) -> list[str]:
    texts = [] if given is None else [str(value) for value in np.asarray(given).tolist()]
    if texts and len(texts) != rows:
        raise ExperimentError(f"there are {len(texts):,} {what} for {rows:,} rows; give one for each")
    if what == "keys" and len(set(texts)) < len(texts):
        raise ExperimentError("two rows have one key: keys= tells rows apart; customers= says whose they are")
    return texts


def _digests(x: Any, rows: int) -> list[str]:
    """A key for each row, made of its values: the same rows have the same keys in every run."""
    import pandas as pd

    try:
        frame = x if hasattr(x, "columns") else pd.DataFrame(np.asarray(x.toarray() if hasattr(x, "toarray") else x))
        hashed = pd.util.hash_pandas_object(frame, index=False).tolist()
    except (TypeError, ValueError):
        same = surroundings.data(x)["sha256"][:16]  # keys of other rows must be other keys
        return [f"row-{same}-{place}" for place in range(rows)]
    seen: dict[int, int] = {}
    keys = []
    for value in hashed:
        seen[value] = seen.get(value, 0) + 1
        keys.append(f"row-{value:016x}" + (f"-{seen[value]}" if seen[value] > 1 else ""))
    return keys


def packed(table: pa.Table) -> bytes:
    """A table as the bytes of a Parquet file: the same rows, the same bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def learnt(root: Path) -> pa.Table:
    """Key and customer of all rows of training and validation: what a model fitted on training rows may have seen."""
    sides = [
        pq.read_table(root / FEATURES / f"{side}.parquet", columns=["__key", "__customer"])
        for side in ("train", "validation")
        if (root / FEATURES / f"{side}.parquet").exists()
    ]
    return pa.concat_tables(sides).rename_columns(["key", "customer"])
