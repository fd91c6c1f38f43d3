"""Test rows as the models of commits scored them, out of DVC's cache, without loading a model or asking a network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from numpy.typing import NDArray

from mlops import columns
from mlops.errors import MlopsError, StoreError
from mlops.experiments.documents import Reader, mapping
from mlops.features import Floats
from mlops.git import Git
from mlops.metrics.measure import Decision
from mlops.report.paired import cores
from mlops.report.ranked import Outcomes
from mlops.store import settings
from mlops.store.lock import MD5, Out
from mlops.store.objects import Store
from mlops.store.settings import Settings

PIPELINE, NOTEBOOK = "data/predictions", "data/notebook"
ABOVE_HALF = 0.5000005
"""What `predict` of an estimator takes for yes, p > 0.5, of probabilities with six decimals."""
_LOCKED = re.compile(rf"^ *- path: {PIPELINE}\n(?: +(?!- ).+\n)*? +md5: ([0-9a-f]{{32}}\.dir)$", re.MULTILINE)
_FILES = ("dvc.lock", f"{NOTEBOOK}.dvc", "metrics/evaluate/intervals.json", "params.yaml")


@dataclass(frozen=True, eq=False)
class Rows:
    """The scored rows of a commit, arrays of shape (rows,).

    Args:
        keys: tell rows apart; customers: whose they are.
        y: outcomes, 0 or 1; p: probabilities.
        decision: who counts as contacted, and what that is worth.
    """

    keys: pa.Array
    customers: pa.Array
    y: Outcomes
    p: Floats
    decision: Decision


class Asked(NamedTuple):
    """Whose rows are asked for. notebook: whether a notebook made it; value: of the metric, as the commit says."""

    commit: str
    notebook: bool
    value: float


def read(git: Git, asked: Sequence[Asked]) -> Iterator[Rows | None]:
    """The scored rows of commits, one after the other; None where they are not in the cache, or are none."""
    contents = iter(git.contents([f"{each.commit}:{path}" for each in asked for path in _FILES]))
    held = list(zip(*[contents] * len(_FILES), strict=True))
    outs = [_pointed(p) if each.notebook else _locked(lock) for each, (lock, p, *_) in zip(asked, held, strict=True)]
    store, reader = _store(git.folder, [out for out in outs if out]), Reader()
    decisions = [_decision(intervals, reader.flat(params)) for *_, intervals, params in held]

    def rows(out: Out | None, decision: Decision) -> Rows | None:
        return _rows(store, out, decision) if store and out else None

    with ThreadPoolExecutor(cores()) as pool:
        yield from pool.map(rows, outs, decisions)


def _store(root: Path, outs: Iterable[Out]) -> Store | None:
    """DVC's cache of a working tree alone, for a look at a table must not wait for remote storage.

    Where some of the outputs lie at the usual place DVC is not asked for its configuration, which takes longer than to
    read them all.
    """
    usual = root / ".dvc" / "cache"
    if any((usual / "files" / "md5" / out.md5[:2] / out.md5[2:]).exists() for out in outs):
        return Store(root, Settings(usual, (), {"core": {}}))
    try:
        return Store(root, replace(settings.of(root), config={"core": {}}))
    except StoreError:  # no repository of DVC's
        return None


def _rows(store: Store, out: Out, decision: Decision) -> Rows | None:
    """The rows of an output; None where they are not here, or not what they should be: others say so who need them."""
    try:
        path = store.file(store.listing(out)["test.parquet"])
        return _checked(columns.read_parquet(path, ["key", "customer", "y", "p"]), decision)
    except (MlopsError, OSError, KeyError, pa.ArrowException):
        return None


def _checked(table: pa.Table, decision: Decision) -> Rows | None:
    """A table as rows; None for one that lacks something."""
    held = {name: table.column(name) for name in table.column_names}
    if not {"key", "y", "p"} <= held.keys() or any(column.null_count for column in held.values()):
        return None
    keys = pc.cast(held["key"], pa.string()).combine_chunks()
    customers = pc.cast(held.get("customer", held["key"]), pa.string()).combine_chunks()
    y: Outcomes = _array(held["y"], pa.int8())
    p: Floats = _array(held["p"], pa.float64())
    good = 0 < np.count_nonzero(y) == np.count_nonzero(y == 1) < len(y) and ((p >= 0) & (p <= 1)).all()
    return Rows(keys, customers, y, p, decision) if good and pc.count_distinct(keys).as_py() == len(y) else None


def _array(column: pa.ChunkedArray, kind: pa.DataType) -> NDArray[Any]:
    """By DLPack, for any other way to NumPy imports pandas."""
    return np.from_dlpack(pc.cast(column, kind).combine_chunks())


def _pointed(content: bytes | None) -> Out | None:
    """What a .dvc file names."""
    try:
        (entry,) = yaml.safe_load(content or b"")["outs"]
        return Out(NOTEBOOK, entry["md5"], 0, None) if MD5.fullmatch(entry["md5"]) else None
    except (yaml.YAMLError, ValueError, TypeError, KeyError):
        return None


def _locked(content: bytes | None) -> Out | None:
    """The predictions that a dvc.lock names: its line alone, for reading all of it takes as long as all else."""
    found = _LOCKED.search((content or b"").decode("utf-8", "replace"))
    return Out(PIPELINE, found[1], 0, None) if found else None


def _decision(intervals: bytes | None, params: Mapping[str, Any]) -> Decision:
    threshold = mapping(intervals).get("threshold")
    money = (params.get(f"decision.{name}") for name in ("value_saved", "cost_contact"))
    value, cost = (float(m) if isinstance(m, (int, float)) else 1.0 for m in money)
    return Decision(float(threshold) if isinstance(threshold, (int, float)) else ABOVE_HALF, value, cost)
