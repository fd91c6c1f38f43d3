"""Which rows changed the side of the split: a row that was trained on and is tested on now, or the other way round."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlops.datadiff import pair
from mlops.datadiff.recorded import FEATURES, Recorded
from mlops.datadiff.result import Sides
from mlops.errors import StoreError
from mlops.rows.split import SIDES
from mlops.store.objects import Store

KEY = "__key"
Side = NDArray[np.int8]


def sides(store: Store, was: Recorded, now: Recorded) -> Sides | None:
    """Rows by side, and those that both have on another one. Only the rows' keys are read.

    None where the sides are the same files, or a commit has none. A row's key is its id, with the time where ids are
    not one row's alone, or a hash of its features.
    """
    if was.features is None or now.features is None or was.features.md5 == now.features.md5:
        return None
    try:
        files = [store.listing(side.features) for side in (was, now) if side.features]
        if all(files[0].get(f"{name}.parquet") == files[1].get(f"{name}.parquet") for name in SIDES):
            return None
        tables = [[_keys(store, listed, name) for name in SIDES] for listed in files]
    except StoreError as error:
        return Sides({}, {}, {}, str(error))
    counts = [{name: len(keys) for name, keys in zip(SIDES, table, strict=True)} for table in tables]
    return Sides(counts[0], counts[1], _moved(*tables))


def _keys(store: Store, files: dict[str, str], side: str) -> pa.ChunkedArray:
    name = f"{side}.parquet"
    if name not in files:
        raise StoreError(f"{FEATURES} has no {name}; `dvc repro preprocess` writes it")
    try:
        return pq.ParquetFile(store.file(files[name])).read([KEY]).column(KEY).cast(pa.string())
    except (pa.ArrowException, KeyError, OSError) as error:
        raise StoreError(f"{FEATURES}/{name} cannot be read ({error}); `dvc repro preprocess` writes it") from None


def _moved(was: list[pa.ChunkedArray], now: list[pa.ChunkedArray]) -> dict[str, int]:
    keys = [pa.chunked_array([chunk for side in table for chunk in side.chunks], pa.string()) for table in (was, now)]
    coded = pair.codes(*keys)
    assert coded.levels is not None
    placed = []
    for table, codes in ((was, coded.before), (now, coded.after)):
        place: Side = np.full(len(coded.levels), -1, np.int8)
        place[codes] = np.repeat(np.arange(len(SIDES), dtype=np.int8), [len(side) for side in table])
        placed.append(place)
    before, after = placed
    other = (before >= 0) & (after >= 0) & (before != after)
    ways = np.bincount(before[other].astype(np.int64) * len(SIDES) + after[other], minlength=len(SIDES) ** 2)
    return {
        f"{SIDES[way // len(SIDES)]} → {SIDES[way % len(SIDES)]}": int(ways[way])
        for way in np.argsort(-ways, kind="stable")
        if ways[way]
    }
