"""What one column of all files holds: its distinct words, how often each occurs, how many rows have none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops.schema import Column
from mlops.table.typed import chained, texts
from mlops.table.values import encoded, present

PERSON = re.compile(r"customer|user|client|account|subscriber|member|person|kunde|phone|telefon|msisdn|email|policy")
IDENTIFIER = re.compile(rf"({PERSON.pattern}|row|record|contract)n?(id|no|nr|num|number|nummer|key)")
ID_WORDS = {"id", "ids", "uuid", "guid", "rownames", "rownumber", "msisdn", "unnamed"}
ALONE = {"index", "idx", "phone"}  # identifiers as the whole name; price_index and phone_minutes are amounts


@dataclass(frozen=True)
class Distinct:
    """words: distinct strings without missing ones; counts: rows of each; type: the files' own (string for CSV)."""

    name: str
    words: pa.Array
    counts: npt.NDArray[np.int64]
    missing: int
    type: pa.DataType

    @property
    def rows(self) -> int:
        """Rows that have a value."""
        return int(self.counts.sum())

    def without(self, words: Sequence[str]) -> Distinct:
        """The same column with some more words taken as missing."""
        gone = np.asarray(pc.is_in(self.words, value_set=pa.array(sorted(words), pa.string())), dtype=bool)
        kept = self.words.filter(pa.array(~gone))
        return Distinct(self.name, kept, self.counts[~gone], self.missing + int(self.counts[gone].sum()), self.type)

    def most_frequent(self, limit: int) -> list[tuple[str, int]]:
        """The most frequent words with their counts, ties in alphabetical order."""
        if len(self.words) > 10_000:
            top = np.argpartition(-self.counts, limit)[: limit * 20]
        else:
            top = np.arange(len(self.words))
        pairs = [(self.words[int(i)].as_py(), int(self.counts[i])) for i in top]
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:limit]


def distinct(name: str, parts: Sequence[pa.ChunkedArray]) -> Distinct:
    """Count one column's words over all files."""
    values = chained(parts)
    own = values.type
    codes, words = encoded(texts([values])[0])
    counts = np.zeros(len(words), dtype=np.int64)
    total = 0
    for chunk in codes:
        total += len(chunk)
        counts += np.bincount(np.asarray(pc.drop_null(chunk)), minlength=len(words))
    words = present(words, Column(name, "category"))
    valid = np.asarray(pc.is_valid(words), dtype=bool)
    # Blanks around a word make two entries of it: count them together.
    grouped = pa.table({"w": words.filter(pa.array(valid)), "n": counts[valid]}).group_by("w", use_threads=False)
    summed = grouped.aggregate([("n", "sum")])
    found = summed.column("w").combine_chunks()
    tally = np.asarray(summed.column("n_sum").combine_chunks(), dtype=np.int64)
    if isinstance(found, pa.ChunkedArray):
        found = pa.array([], pa.string())
    return Distinct(name, found, tally, total - int(tally.sum()), own)


def named_like_id(name: str) -> bool:
    """Whether a name says identifier: customerID, user_id, uuid, rownames; not paid, valid, width."""
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    words = re.split(r"[^A-Za-z0-9]+", split.casefold())
    if len(words) == 1 and words[0] in ALONE:
        return True
    return bool(ID_WORDS.intersection(words)) or IDENTIFIER.fullmatch("".join(words)) is not None


def names_somebody(name: str) -> bool:
    """Whether an identifier's name says that it is the customer's, or does not say whose: customer_id, msisdn, id."""
    words = re.findall(r"[^\W_]+", re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name).casefold())
    return len(words) == 1 or PERSON.search("".join(words)) is not None


def is_counter(parts: Sequence[pa.ChunkedArray]) -> bool:
    """Whether a column counts its rows, one by one from anywhere, in each file or through all of them."""
    return all(_counts(part) for part in parts) or _counts(chained(parts))


def _counts(part: pa.ChunkedArray) -> bool:
    try:
        values = np.asarray(pc.cast(part, pa.int64(), safe=True).combine_chunks())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError, ValueError):
        return False
    if part.null_count or len(values) < 3:
        return False
    return bool((np.diff(values) == 1).all())


def duplicates(columns: Sequence[Sequence[pa.ChunkedArray]]) -> int:
    """How many rows repeat an earlier row in all columns (each given as its parts, file by file)."""
    mixed: npt.NDArray[np.uint64] | None = None
    for place, parts in enumerate(columns):
        codes, _ = encoded(chained(parts))
        flat = np.concatenate([np.asarray(pc.fill_null(chunk, -1)) for chunk in codes]).astype(np.int64)
        mixed = _mix(flat.astype(np.uint64) + np.uint64(place), mixed)
    return 0 if mixed is None else len(mixed) - len(np.unique(mixed))


def _mix(values: npt.NDArray[np.uint64], before: npt.NDArray[np.uint64] | None) -> npt.NDArray[np.uint64]:
    """splitmix64's finaliser over the codes so far: rows that differ anywhere get different 64-bit words."""
    word = values if before is None else values + before * np.uint64(0x9E3779B97F4A7C15)
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = word ^ (word >> np.uint64(31))
    return mixed
