"""Which side of the split a row is on.

A side is drawn by hashing the customer's id with the split's seed (a row without id: its feature values), so it depends
on nothing else: neither the order of the rows nor the other rows. Whoever was a test customer stays one when data is
added. Rows without id of which very many are alike are the exception; see `apart`. On a table with a time column, train
and validation customers are seen before the cutoff only, test customers from it on.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from mlops.columns import SECONDS_A_DAY
from mlops.errors import DataError
from mlops.features import Coded, Floats, Values

SIDES = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
TOO_EARLY, TOO_LATE, TIMELESS = range(3, 6)
UNUSED = {
    TOO_EARLY: "test customers before the cutoff",
    TOO_LATE: "train and validation customers from the cutoff on",
    TIMELESS: "rows without time",
}
"""Why a row is on no side."""
TESTED_SHARE = 0.25  # of the rows lie at or after an automatic cutoff, as nearly as the times allow
COPIES, MOST_COPIES = 0.01, 20  # more rows alike than this share, and than this many, are no copies of one row

Hashes = NDArray[np.uint64]
Sides = NDArray[np.int8]


def text_hash(text: str, salt: str) -> int:
    """64 bits of BLAKE2b of a text; another salt gives another, independent hash."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=_key(salt)).digest(), "big")


def _key(salt: str) -> bytes:
    """A key of BLAKE2b, which takes 64 bytes at most."""
    return hashlib.blake2b(salt.encode(), digest_size=32).digest()


def column_hash(values: Values, name: str) -> Hashes:
    """64 bits per row: of its value in one column. Equal values, equal bits; each column has its own hash.

    The hashes of several columns are added up (modulo 2^64) to the hash of a row, in any order.
    """
    if isinstance(values, Coded):
        keyed = hashlib.blake2b(digest_size=8, key=_key(name))
        return _level_hashes(values.levels, keyed)[values.codes]
    exact = np.where(np.isnan(values), np.nan, values + 0.0)  # one NaN and one zero for all
    return mixed(exact.view(np.uint64) ^ np.uint64(text_hash(name, "column")))


def _level_hashes(levels: tuple[str, ...], keyed: hashlib.blake2b) -> Hashes:
    """One hash per level, and a last one for missing (code -1)."""

    def digest(text: bytes) -> bytes:
        hasher = keyed.copy()
        hasher.update(text)
        return hasher.digest()

    # 0xff occurs in no UTF-8 text: the missing value differs from every text, the empty one too.
    joined = b"".join([digest(level.encode()) for level in levels] + [digest(b"\xff")])
    return np.frombuffer(joined, dtype=">u8").astype(np.uint64)


def mixed(bits: Hashes) -> Hashes:
    """Every bit of the input spread over all 64: the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def apart(hashes: Hashes, y: NDArray[np.int8]) -> Hashes:
    """Row hashes in which rows alike by chance are told apart.

    Rows without id that are alike are taken for copies and share a side. Where more than 1 % of all rows are alike (a
    table of few categories), they are many customers: each gets a hash of its own, by its number among those of its
    outcome. The order of rows moves none of them; added rows may, when they take a group over or under that share.
    """
    _, group, count = np.unique(hashes, return_inverse=True, return_counts=True)
    many = count[group] > max(COPIES * len(hashes), MOST_COPIES)
    if not many.any():
        return hashes
    outcome = group[many] * 3 + (y[many] + 1)
    order = np.argsort(outcome, kind="stable")
    starts = np.append(True, np.diff(outcome[order]) != 0)
    first = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0))
    number = np.empty(len(order), dtype=np.uint64)
    number[order] = np.arange(len(order)) - first
    told = hashes.copy()
    told[many] = mixed(hashes[many] + number * np.uint64(3) + (y[many] + 2).astype(np.uint64))
    return told


def draws(ids: Coded | None, row_hashes: Hashes, seed: int) -> Floats:
    """A number in [0, 1) per row, the same for all rows of a customer; rows without id draw by `row_hashes`."""
    salt = f"split {seed}"
    bits = mixed(row_hashes ^ np.uint64(text_hash("rows", salt)))
    if ids is not None:
        by_id = _level_hashes(ids.levels, hashlib.blake2b(digest_size=8, key=_key(salt)))
        bits = np.where(ids.codes >= 0, by_id[ids.codes], bits)
    # 53 bits are all that a float64 in [0, 1) holds; dividing 64 bits could round up to 1.
    return (bits >> np.uint64(11)).astype(np.float64) / 2.0**53


def sides(drawn: Floats, test_share: float, validation_share: float) -> Sides:
    """Each customer's side, by its draw: test below `test_share`, validation in the share above that, else train."""
    found = np.full(len(drawn), TRAIN, dtype=np.int8)
    found[drawn < test_share + validation_share] = VALIDATION
    found[drawn < test_share] = TEST
    return found


def cutoff(times: Floats, setting: str) -> float | None:
    """The time that parts what is learnt from (before) and what is tested (from it on), in days since 1970.

    Args:
        times: of the rows with a target, in days; NaN where missing.
        setting: `none`; `auto`, the time that leaves the share of rows from it on closest to a quarter (None when all
            rows have one time); or a date.

    Raises:
        DataError: a date that leaves nothing before it or nothing from it on.
    """
    distinct, counts = np.unique(times[~np.isnan(times)], return_counts=True)
    if setting == "none" or len(distinct) == 0:
        return None
    if setting == "auto":
        if len(distinct) == 1:
            return None
        from_here = counts[::-1].cumsum()[::-1] / counts.sum()
        return float(distinct[1 + int(np.argmin(np.abs(from_here[1:] - TESTED_SHARE)))])
    day = _date(setting)
    for empty, what in ((day <= distinct[0], "before"), (day > distinct[-1], "from it on")):
        if empty:
            raise DataError(
                f"params.yaml: preprocess.cutoff {setting} leaves no row with a target {what}; they run from"
                f" {iso(distinct[0])} to {iso(distinct[-1])}: set a date between, or auto"
            )
    return day


def _date(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() / SECONDS_A_DAY
    except ValueError:
        raise DataError(f"params.yaml: preprocess.cutoff {text} is no day of the calendar; correct it") from None


def iso(days: float) -> str:
    """Days since 1970 as YYYY-MM-DD, with the time of day when there is one."""
    moment = np.datetime64(round(days * SECONDS_A_DAY), "s")
    return str(moment).removesuffix("T00:00:00")


def place(customer_side: Sides, times: Floats | None, at: float | None) -> Sides:
    """Each row's side, given its customer's: only the past of train and validation, only the present of test customers.

    Args:
        customer_side: as `sides` gives it, one per row.
        times: days per row, NaN where missing; not used without a cutoff.
        at: the cutoff in days, or None: every row is on its customer's side.

    Returns:
        a side, or a key of UNUSED.
    """
    if times is None or at is None:
        return customer_side
    tested = customer_side == TEST
    side = customer_side.copy()
    side[tested & (times < at)] = TOO_EARLY
    side[~tested & (times >= at)] = TOO_LATE
    side[np.isnan(times)] = TIMELESS
    return side
