"""Dates as people write them: read by a format, and the format found from the values."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops.errors import SchemaError

ISO = (
    r"^(?P<Y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})(?:[T ](?P<H>\d{2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,]\d+)?)?"
    r" ?(?:Z|UTC|(?P<z>[+-]\d{2}:?\d{2}))?)?$"
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
PARTS = {
    "Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d{2})", "m": r"(?P<m>\d{1,2})", "d": r"(?P<d>\d{1,2})",
    "b": r"(?P<b>[A-Za-z]{3})", "B": r"(?P<b>[A-Za-z]{3})[a-z]*", "H": r"(?P<H>\d{1,2})", "I": r"(?P<I>\d{1,2})",
    "M": r"(?P<M>\d{2})", "S": r"(?P<S>\d{2})", "p": r"(?P<p>[AaPp][Mm])", "z": r"(?P<z>[+-]\d{2}:?\d{2})", "f": r"\d+",
    "T": r"(?P<H>\d{2}):(?P<M>\d{2}):(?P<S>\d{2})", "%": "%",
}  # fmt: skip

DAYS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y", "%d-%b-%y",
    "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%Y-%m", "%b %Y",
)  # fmt: skip
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
COMPACT = {8: "%Y%m%d", 6: "%Y%m"}
ENOUGH = 0.99
YEARS = (1800, 2200)  # outside of these, something else was written like a date


def parse(words: pa.Array, form: str | None) -> pa.Array:
    """Strings as timestamp[s] (UTC); null where a string is no date of that format.

    form: as strptime reads it (%Y %y %m %d %b %B %H %I %M %S %p %z %f %T); None is ISO 8601 with or without a time.

    Raises:
        SchemaError: the format has a directive that is not known.
    """
    found = pc.extract_regex(words, ISO if form is None else _pattern(form))
    groups = {field.name: _numbers(found, field.name) for field in found.type}
    read = ~np.asarray(pc.is_null(found))
    year = groups.get("Y", np.full(len(words), 1970))
    if "y" in groups:
        year = groups["y"] + np.where(groups["y"] < 69, 2000, 1900)
    month = groups.get("m", groups.get("b", np.ones(len(words), dtype=np.int64)))
    day = groups.get("d", np.ones(len(words), dtype=np.int64))
    hour, minute, second = _clock(groups, len(words))
    read &= (year >= 1) & (month >= 1) & (month <= 12) & (hour <= 23) & (minute <= 59) & (second <= 59) & (day >= 1)
    months = (np.where(read, year, 1970) - 1970) * 12 + np.where(read, month, 1) - 1
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    after = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    read &= day <= after - first
    seconds = (first + day - 1) * 86400 + hour * 3600 + minute * 60 + second - groups.get("z", 0)
    return pa.array(seconds, pa.int64(), mask=~read).cast(pa.timestamp("s"))


def _clock(groups: dict[str, npt.NDArray[np.int64]], size: int) -> tuple[npt.NDArray[np.int64], ...]:
    zero = np.zeros(size, dtype=np.int64)
    hour = groups.get("H", zero)
    if "I" in groups:
        valid = (groups["I"] >= 1) & (groups["I"] <= 12)
        hour = np.where(valid, groups["I"] % 12 + 12 * groups.get("p", zero), 99)
    return hour, groups.get("M", zero), groups.get("S", zero)


def _pattern(form: str) -> str:
    pieces = re.split(r"%(.)", form)
    parts = []
    for place, piece in enumerate(pieces):
        if place % 2 and piece not in PARTS:
            known = " ".join("%" + part for part in PARTS)
            raise SchemaError(f"data/schema.yaml: format {form!r}: %{piece} is not known; use {known}")
        parts.append(PARTS[piece] if place % 2 else re.escape(piece).replace("\\ ", " "))
    return "^" + "".join(parts) + "$"


def _numbers(found: pa.StructArray, name: str) -> npt.NDArray[np.int64]:
    """One part of each date as a number: months by name, pm as 1, offsets in seconds; 0 where it was not written."""
    text = pc.fill_null(pc.struct_field(found, name), "")
    if name == "b":
        place = pc.index_in(pc.utf8_lower(text), value_set=pa.array(MONTHS))
        return np.asarray(pc.add(pc.fill_null(place, -1), 1)).astype(np.int64)
    if name == "p":
        return np.asarray(pc.starts_with(pc.utf8_lower(text), "p")).astype(np.int64)
    if name == "z":
        digits = pc.replace_substring(pc.if_else(pc.equal(text, ""), "+0000", text), ":", "")
        hours = np.asarray(pc.cast(pc.utf8_slice_codeunits(digits, 1, 3), pa.int64()))
        minutes = np.asarray(pc.cast(pc.utf8_slice_codeunits(digits, 3, 5), pa.int64()))
        sign = np.where(np.asarray(pc.starts_with(digits, "-")), -1, 1)
        return np.asarray(sign * (hours * 3600 + minutes * 60), dtype=np.int64)
    return np.asarray(pc.cast(pc.if_else(pc.equal(text, ""), "0", text), pa.int64()))


def find(words: pa.Array, counts: pa.Array, compact: bool) -> tuple[str | None, str | None] | None:
    """The format of distinct words that are (nearly) all dates: (format, warning), format None for ISO; else None.

    compact: whether six or eight digits in a row may be a date (the column's name says so).
    """
    head = words.slice(0, 200)
    total = pc.sum(counts).as_py()
    lengths = pc.unique(pc.utf8_length(head)).to_pylist()
    digits = [COMPACT[lengths[0]]] if compact and len(lengths) == 1 and lengths[0] in COMPACT else []
    forms: list[str | None] = [None, *(day + clock for day in DAYS for clock in CLOCKS), *digits]
    shares = {}
    for form in forms:
        if _share(parse(head, form), None, len(head)) >= 0.5:
            shares[form] = _share(parse(words, form), counts, total)
    best = max(shares, key=lambda f: shares[f], default=None)
    if not shares or shares[best] < ENOUGH:
        return None
    twin = best if best is None else _swapped(best)
    if best is not None and twin != best and shares.get(twin) == shares[best]:
        month_first, other = sorted((best, _swapped(best)), reverse=True)  # %m before %d
        return (
            month_first,
            f"day and month cannot be told apart; read as {month_first}: correct `format` if it is {other}",
        )
    return best, None


def _swapped(form: str) -> str:
    return form.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")


def _share(dates: pa.Array, counts: pa.Array | None, total: int) -> float:
    year = pc.year(dates)
    good = pc.fill_null(pc.and_(pc.greater_equal(year, YEARS[0]), pc.less_equal(year, YEARS[1])), False)
    weight = good if counts is None else pc.if_else(good, counts, 0)
    return (pc.sum(weight).as_py() or 0) / total if total else 0.0
