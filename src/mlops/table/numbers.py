"""Numbers as people write them, and the words that mean there is none."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MISSING = frozenset(
    {"", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "Null", "<NA>", "#N/A", "#NULL!", "#DIV/0!", "?"}
)
"""Words that mean "no value" in any column."""

MISSING_VALUE = MISSING | {"None", "none", "NONE", "-", "--", ".", "na"}
"""Words that mean "no value" where a number, a date, or true or false is expected."""

GROUPS = {".": r"[, \x{00a0}\x{202f}']", ",": r"[. \x{00a0}\x{202f}']"}
_PLAIN = re.compile(
    r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?|[+-]?\d{1,3}([ ,.]\d{3})+([.,]\d+)?|[$€£¥]\s?[\d.,]+|[\d.,]+\s?[%€]"
)


def looks_numeric(cell: str) -> bool:
    """Whether a cell of a sample is a number under any decimal sign."""
    return _PLAIN.fullmatch(cell) is not None


def parse(words: pa.Array, decimal: str) -> pa.Array:
    """Strings as float64; null where a string is no finite number.

    Besides plain and scientific notation this reads thousands separators (1,234.5, 1 234), a currency sign ($1,234.50,
    12 €) and a percent sign (12% is 12). decimal: "." or ",".
    """
    text = pc.replace_substring_regex(words, r"^([+-]?)\s*[$€£¥]\s*", r"\1")
    text = pc.replace_substring_regex(text, r"\s*[$€£¥%]$", "")
    point = re.escape(decimal)
    grouped = rf"^[+-]?\d{{1,3}}(?:{GROUPS[decimal]}\d{{3}})+(?:{point}\d*)?$"
    has_groups = pc.match_substring_regex(text, grouped)
    text = pc.if_else(has_groups, pc.replace_substring_regex(text, GROUPS[decimal], ""), text)
    plain = rf"^[+-]?(?:\d+(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?$"
    text = pc.if_else(pc.match_substring_regex(text, plain), text, pa.scalar(None, pa.string()))
    if decimal == ",":
        text = pc.replace_substring(text, ",", ".")
    numbers = pc.cast(text, pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


def plain(words: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Strings that are all plain finite numbers or null as float64, fast; None when some are not."""
    try:
        numbers = pc.cast(words, pa.float64())
    except pa.ArrowInvalid:
        return None
    return numbers if pc.all(pc.is_finite(numbers), min_count=0).as_py() else None


def narrowed(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """int64 when no value is missing and each is a whole number that float64 holds exactly; otherwise unchanged."""
    if numbers.null_count or not len(numbers):
        return numbers
    for chunk in numbers.chunks:
        values = np.asarray(chunk)
        if not (np.abs(values) < 2**53).all() or (values != np.floor(values)).any():
            return numbers
    return pc.cast(numbers, pa.int64())
