"""One column as its kind. Nothing is ever nulled because it could not be read: such a column stays text, whole."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from mlops.schema import Column
from mlops.table import dates, numbers

TRUE = ("true", "t")
FALSE = ("false", "f")
VALUE_KINDS = ("number", "boolean", "date", "time", "truth")


def read_column(values: pa.ChunkedArray, column: Column, decimal: str = ".") -> pa.ChunkedArray:
    """A column of strings (or of a Parquet file's own type) as its kind.

    number → float64, or int64 when all values are whole and none is missing; boolean → bool; date, time →
    timestamp[s], UTC; category, text, id → string, blanks around taken off; target → `column.positive` and
    `column.negative` however they were spelled. Missing words become null. Where some value does not read as the kind
    the whole column is returned as string: unreadable values as written, numbers in plain notation, dates as
    YYYY-MM-DD HH:MM:SS.
    """
    if not is_text(values.type):
        # A word that means "no value" is compared as text, so -999 is found in a column of numbers as well.
        direct = None if column.missing else _own_type(values, column)
        if direct is not None:
            return direct
        values = as_text(values)
    if column.kind in ("number", "truth") and decimal == ".":
        fast = numbers.plain(present(values, column))
        if fast is not None:
            return fast if column.kind == "truth" else numbers.narrowed(fast)
    codes, words = encoded(values)
    words = present(words, column)
    parsed = _parsed(words, column, decimal)
    result = pa.chunked_array([parsed.take(chunk) for chunk in codes], parsed.type)
    return numbers.narrowed(result) if column.kind == "number" and pa.types.is_floating(parsed.type) else result


def unreadable(values: pa.ChunkedArray, column: Column) -> int:
    """How many values of a column that `read_column` returned do not read as its kind."""
    if column.kind not in VALUE_KINDS or not is_text(values.type):
        return 0
    codes, words = encoded(values)
    bad = pc.and_(pc.is_valid(words), pc.is_null(_attempt(words, column, ".")))
    return sum(pc.sum(bad.take(chunk)).as_py() or 0 for chunk in codes)


def present(words: pa.Array | pa.ChunkedArray, column: Column) -> pa.Array | pa.ChunkedArray:
    """Strings without the blanks around them; null for words that mean "no value"."""
    trimmed = pc.utf8_trim_whitespace(words)
    common = numbers.MISSING_VALUE if column.kind in VALUE_KINDS else numbers.MISSING
    absent = pc.is_in(trimmed, value_set=pa.array(sorted(common | set(column.missing)), pa.string()))
    return pc.if_else(absent, pa.scalar(None, pa.string()), trimmed)


def encoded(values: pa.ChunkedArray) -> tuple[list[pa.Array], pa.Array]:
    """Codes per chunk (null where missing) and the distinct strings they stand for."""
    given = pa.types.is_dictionary(values.type)
    # Arrow encodes all chunks against one dictionary; unifying it again would cost chunks × distinct values.
    chunks = values.unify_dictionaries().chunks if given else pc.dictionary_encode(values).chunks
    if not chunks:
        return [], pa.array([], pa.string())
    return [chunk.indices for chunk in chunks], chunks[0].dictionary


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is string."""
    return bool(pa.types.is_string(kind))


def as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values of any plain type as a person would write them: whole numbers without a point, true and false."""
    kind = values.type
    if pa.types.is_floating(kind):
        values = pc.cast(values, pa.float64())
        text = pc.cast(pc.if_else(pc.is_nan(values), None, values), pa.string())
        return pc.replace_substring_regex(text, r"\.0$", "")
    return pc.cast(values, pa.string())


def canonical(words: pa.Array) -> pa.Array:
    """A target's words reduced to what tells them apart: case, a last point and a trailing .0 do not."""
    text = pc.utf8_lower(tidy_word(words))
    text = pc.replace_substring_regex(text, r"^\+?0*(\d+)(?:\.0*)?$", r"\1")
    text = pc.if_else(pc.is_in(text, value_set=pa.array(TRUE)), "true", text)
    return pc.if_else(pc.is_in(text, value_set=pa.array(FALSE)), "false", text)


def tidy_word(words: pa.Array) -> pa.Array:
    """A target's words as they are stored: no blanks around, no last point, whole numbers without .0."""
    text = pc.replace_substring_regex(pc.utf8_trim_whitespace(words), r"^(-?\d+)\.0*$", r"\1")
    return pc.replace_substring_regex(text, r"\s*\.$", "")


def _own_type(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray | None:
    """A typed column as its kind without a detour through text; None when only text can do it."""
    kind = values.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if column.kind in ("number", "truth") and numeric and not column.missing:
        if pa.types.is_integer(kind) and not values.null_count and column.kind == "number" and kind != pa.uint64():
            return pc.cast(values, pa.int64())
        plain = pc.cast(values, pa.float64(), safe=False)
        plain = pc.if_else(pc.is_nan(plain), pa.scalar(None, pa.float64()), plain)
        if not pc.all(pc.is_finite(plain), min_count=0).as_py():
            return None
        return plain if column.kind == "truth" else numbers.narrowed(plain)
    if column.kind == "boolean" and pa.types.is_boolean(kind):
        return values
    if column.kind in ("date", "time") and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        wide = pc.cast(values, pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False)
        return pc.cast(pc.floor_temporal(pc.cast(wide, pa.timestamp("us")), unit="second"), pa.timestamp("s"))
    return None


def _parsed(words: pa.Array, column: Column, decimal: str) -> pa.Array:
    """Distinct words as their kind; as strings when one of them does not read."""
    parsed = _attempt(words, column, decimal)
    if parsed.null_count == words.null_count:
        return parsed
    if column.kind in ("number", "truth"):
        # The next stage reads plain notation only: `$1,200` must not fall with the one value that nobody can read.
        return pc.coalesce(pc.cast(parsed, pa.string()), words)
    if column.kind in ("date", "time"):
        return pc.coalesce(pc.strftime(parsed, format="%Y-%m-%d %H:%M:%S"), words)
    return words


def _attempt(words: pa.Array, column: Column, decimal: str) -> pa.Array:
    if column.kind in ("number", "truth"):
        return numbers.parse(words, decimal)
    if column.kind in ("date", "time"):
        return dates.parse(words, column.format)
    if column.kind == "boolean":
        lower = pc.utf8_lower(words)
        true, false = (pc.is_in(lower, value_set=pa.array(w)) for w in (TRUE, FALSE))
        return pc.if_else(true, True, pc.if_else(false, False, pa.scalar(None, pa.bool_())))
    if column.kind == "target":
        return _target(words, column)
    return words


def _target(words: pa.Array, column: Column) -> pa.Array:
    """Words of the target as the two that the schema names; any other stays as written."""
    result = words
    for value in (column.positive, column.negative):
        assert value is not None
        alike = pc.equal(canonical(words), canonical(pa.array([value]))[0])
        result = pc.if_else(alike, value, result)
    return result
