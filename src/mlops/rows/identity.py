"""Who each row is about: its key, customer, outcome, and the side of the split that follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops import columns
from mlops.errors import DataError
from mlops.features import Coded, Floats
from mlops.params import Preprocess
from mlops.rows import split
from mlops.schema import Schema

UNLABELLED = -1


@dataclass(frozen=True)
class Rows:
    """Who each row is about, when and with which outcome, and where the split puts it; one entry per row in each.

    hashes: of the whole row but its target; drawn: the customer's number in [0, 1); y: 1, 0 or UNLABELLED.
    """

    key: pa.Array
    customer: pa.Array
    time: pa.ChunkedArray | None
    truth: pa.ChunkedArray | None
    y: NDArray[np.int8]
    hashes: split.Hashes
    drawn: Floats
    side: split.Sides
    cutoff: float | None

    def on(self, side: int) -> NDArray[np.bool_]:
        """Which rows with a target are on a side."""
        return np.asarray((self.side == side) & (self.y != UNLABELLED))

    def repeated(self) -> int:
        """How many rows are exact copies of another, its target included; the first of each is not counted."""
        whole = np.sort(self.hashes ^ (self.y + 1).astype(np.uint64))
        return int(np.count_nonzero(whole[1:] == whole[:-1]))

    def unused(self) -> dict[str, int]:
        """Rows with a target that are on no side, by why; reasons that no row has are left out."""
        found = {why: int(self.on(code).sum()) for code, why in split.UNUSED.items()}
        return {why: number for why, number in found.items() if number}

    def counts(self, side: int) -> dict[str, int]:
        """Rows with a target on a side, how many of them are positive, and of how many customers they are."""
        on = self.on(side)
        customers = pc.count_distinct(self.customer.filter(pa.array(on))).as_py()
        return {"rows": int(on.sum()), "positives": int(self.y[on].sum()), "customers": customers}


def identify(table: pa.Table, schema: Schema, tested: NDArray[np.bool_] | None, settings: Preprocess) -> Rows:
    """Give each row its key, customer, outcome and side.

    Args:
        table: checked rows. tested: which of them came in a test file, None when there is none.

    Raises:
        DataError: a cutoff that cannot be.
    """
    id_, time, truth = (_role(table, schema, kind) for kind in ("id", "time", "truth"))
    ids = None if id_ is None else columns.coded(id_)
    by_features = _hashes(table, [(c.name, c.kind) for c in schema.features])
    roles = [(c.name, {"id": "category"}.get(c.kind, c.kind)) for c in schema.of_kind("id") + schema.of_kind("time")]
    hashes = split.mixed(by_features + _hashes(table, roles))
    y = labels(table.column(schema.target.name), schema)
    drawn = split.draws(ids, by_features if ids is not None else split.apart(by_features, y), settings.split_seed)
    days = None if time is None else columns.floats(pc.cast(time, pa.int64())) / columns.SECONDS_A_DAY
    if tested is None:
        at = _cutoff(days, y, settings.cutoff)
        side = split.place(split.sides(drawn, settings.test_share, settings.validation_share), days, at)
    else:
        at = None
        side = split.sides(drawn, 0.0, settings.validation_share / (1 - settings.test_share))
        side[tested] = split.TEST
    key = keys(ids, None if time is None else time.combine_chunks(), hashes, y)
    customer = key if ids is None else pc.coalesce(texts_of(ids), key)
    return Rows(key, customer, time, truth, y, hashes, drawn, side, at)


def _role(table: pa.Table, schema: Schema, kind: str) -> pa.ChunkedArray | None:
    column = schema.role(kind)
    return None if column is None else table.column(column.name)


def _hashes(table: pa.Table, named: list[tuple[str, str]]) -> split.Hashes:
    total = np.zeros(table.num_rows, dtype=np.uint64)
    for name, kind in named:
        total += split.column_hash(columns.values(table.column(name), kind), name)
    return total


def labels(target: pa.ChunkedArray, schema: Schema) -> NDArray[np.int8]:
    """1 where the target is its positive value, 0 where negative, UNLABELLED where missing."""
    positive = pc.cast(pc.equal(pc.cast(target, pa.string()), schema.target.positive), pa.int8())
    return np.asarray(pc.fill_null(positive, UNLABELLED).to_numpy(), dtype=np.int8)


def _cutoff(days: Floats | None, y: NDArray[np.int8], setting: str) -> float | None:
    if days is not None:
        return split.cutoff(days[y != UNLABELLED], setting)
    if setting in ("auto", "none"):
        return None
    raise DataError(
        f"params.yaml: preprocess.cutoff {setting} needs a time column, the table has none; name it with"
        " `mlops data use … --time COLUMN`, or set auto"
    )


def keys(ids: Coded | None, times: pa.Array | None, hashes: split.Hashes, tie: NDArray[np.int8]) -> pa.Array:
    """A name for each row that other versions of the table know it by as well: string, distinct.

    The id where ids are unique; `id|YYYY-MM-DD` where that is; else the row's hash, also for rows without id or time.
    Repeats of a hash get -2, -3 … in the order of `tie` (rows that still tie are copies, and any order is the same).

    Args:
        ids: one per row; times: timestamp per row or null; hashes: of whole rows; tie: one number per row.
    """
    names = None if ids is None else _names(ids, times)
    if names is None:
        return _hash_keys(hashes, tie)
    if not names.null_count:
        return names
    nameless = pc.is_null(names)
    rows = nameless.to_numpy(zero_copy_only=False)
    return pc.replace_with_mask(names, nameless, _hash_keys(hashes[rows], tie[rows]))


def _names(ids: Coded, times: pa.Array | None) -> pa.Array | None:
    """The ids, or ids with days, whichever names no two rows alike; null where a part is missing."""
    texts = texts_of(ids)
    if _distinct(ids.codes[ids.codes >= 0]):
        return texts
    if times is None:
        return None
    # Tables have few distinct times: each is written once.
    encoded = pc.dictionary_encode(times)
    days = pc.dictionary_encode(pc.strftime(encoded.dictionary, format="%Y-%m-%d"))
    day = days.indices.take(encoded.indices)
    known = (ids.codes >= 0) & pc.is_valid(day).to_numpy(zero_copy_only=False)
    pairs = ids.codes.astype(np.int64) * (len(days.dictionary) + 1) + pc.fill_null(day, 0).to_numpy()
    return pc.binary_join_element_wise(texts, days.dictionary.take(day), "|") if _distinct(pairs[known]) else None


def texts_of(ids: Coded) -> pa.Array:
    """One string per row, null where missing."""
    return pa.array(ids.levels, pa.string()).take(pa.array(ids.codes, mask=ids.codes < 0))


def _distinct(numbers: NDArray[np.integer[Any]]) -> bool:
    ordered = np.sort(numbers)
    return not (ordered[1:] == ordered[:-1]).any()


def hexadecimal(hashes: split.Hashes) -> pa.Array:
    """Hashes as strings of 16 hexadecimal digits."""
    digits = hashes.astype(">u8").tobytes().hex().encode()
    offsets = np.arange(len(hashes) + 1, dtype=np.int64) * 16
    wide = pa.LargeStringArray.from_buffers(len(hashes), pa.py_buffer(offsets), pa.py_buffer(digits))
    return pc.cast(wide, pa.string())


def _hash_keys(hashes: split.Hashes, tie: NDArray[np.int8]) -> pa.Array:
    names = hexadecimal(hashes)
    if _distinct(hashes.view(np.int64)):
        return names
    order = np.lexsort((tie, hashes))
    first = np.flatnonzero(np.append(True, hashes[order][1:] != hashes[order][:-1]))
    rank = np.empty(len(hashes), dtype=np.int64)
    rank[order] = np.arange(len(hashes)) - np.repeat(first, np.diff(first, append=len(hashes)))
    numbers = pc.cast(pa.array(rank + 1), pa.string())
    return pc.if_else(pa.array(rank > 0), pc.binary_join_element_wise(names, numbers, "-"), names)
