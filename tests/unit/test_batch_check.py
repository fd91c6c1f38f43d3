"""Which cells are taken, as what, and that a file's own types and its texts mean the same."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.batch.check import Rule, accepts, read, rules, unseen, without
from mlops.features import FLOAT32_MAX, Coded
from mlops.schema import Kind

NUMBER = Rule("x", "number", nullable=True)
DAY = 20_269.0  # 2025-06-30


def cells(column: pa.Array, rule: Rule, decimal: str = ".") -> tuple[list[Any], dict[int, str]]:
    """The values as scalars, and row → reason of the bad ones."""
    values, bad = read(pa.chunked_array([column]), rule, decimal)
    told = {int(row): b.reason for b in bad for row in b.rows}
    if isinstance(values, Coded):
        return [None if c < 0 else values.levels[c] for c in values.codes], told
    return [None if math.isnan(v) else v for v in values.tolist()], told


def one(cell: object, rule: Rule, kind: pa.DataType | None = None, decimal: str = ".") -> Any:
    """The value of one cell, or the reason why it is not taken."""
    held = pa.array([cell], kind)
    if isinstance(cell, dt.datetime) and cell.tzinfo is not None:
        # Where an earlier test kept pandas from pyarrow, pyarrow forgets the zones of Python's own datetimes.
        held = pa.array([round(cell.timestamp() * 1e6)], pa.timestamp("us", tz="+02:00"))
    values, bad = cells(held, rule, decimal)
    return bad.get(0, values[0])


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1.0), (" 2.5 ", 2.5), ("+3", 3.0), ("-1e3", -1000.0), (".5", 0.5), ("1,234.5", 1234.5), ("€ 12", 12.0),
        ("12 %", 12.0), ("", None), ("  ", None), ("NA", None), ("null", None), ("-", None), ("none", None),
        ("abc", "is not a finite number"), ("1.2.3", "is not a finite number"), ("inf", "is not a finite number"),
        ("-Infinity", "is not a finite number"), ("1e999", "is not a finite number"), ("0x1", "is not a finite number"),
        ("3.5e38", "is beyond ±3.4e+38, the largest that the model reads"), ("3.4e38", 3.4e38),
    ],
)  # fmt: skip
def test_texts_of_numbers(cell: str, value: object) -> None:
    assert one(cell, NUMBER) == value


def test_a_decimal_comma_is_read_where_the_file_has_it() -> None:
    assert one("1.234,5", NUMBER, decimal=",") == 1234.5
    assert one("2,5", NUMBER, decimal=",") == 2.5


@pytest.mark.parametrize(
    ("cell", "kind", "value"),
    [
        (3, pa.int8(), 3.0), (2**53, pa.uint64(), 2.0**53), (2.5, pa.float32(), 2.5), (None, pa.int64(), None),
        (math.nan, pa.float64(), None), (math.inf, pa.float64(), "is not a finite number"),
        (-1e39, pa.float64(), "is beyond ±3.4e+38, the largest that the model reads"),
        (FLOAT32_MAX, pa.float64(), FLOAT32_MAX), (None, pa.null(), None), ("7", pa.large_string(), 7.0),
    ],
)  # fmt: skip
def test_numbers_of_a_file_s_own_type(cell: object, kind: pa.DataType, value: object) -> None:
    assert accepts("number", kind)
    assert one(cell, NUMBER, kind) == value


def test_whole_numbers_only_where_training_saw_no_others() -> None:
    whole = Rule("x", "number", nullable=True, whole=True)
    for cell in ("1.5", 1.5):
        assert one(cell, whole) == "is not a whole number, training saw no others"
        assert one(cell, NUMBER) == 1.5
    assert one("2.0", whole) == 2.0
    assert one("inf", whole) == "is not a finite number"


@pytest.mark.parametrize("cell", ["true", "TRUE", "t", "yes", "Yes", "1", True, 1, 1.0])
def test_spellings_of_true(cell: object) -> None:
    assert one(cell, Rule("b", "boolean", nullable=False)) == 1.0


@pytest.mark.parametrize(
    ("cell", "value"),
    [("no", 0.0), (False, 0.0), ("2", "is not true or false"), (2, "is not true or false"), ("", None), (None, None)],
)
def test_spellings_of_false_and_of_neither(cell: object, value: object) -> None:
    assert one(cell, Rule("b", "boolean", nullable=True)) == value


@pytest.mark.parametrize(
    ("cell", "form", "value"),
    [
        ("2025-06-30", None, DAY), ("2025-06-30 12:00:00", None, DAY + 0.5), ("2025-06-30T12:00:00Z", None, DAY + 0.5),
        ("2025-06-30T02:00:00+02:00", None, DAY), ("30.06.2025", "%d.%m.%Y", DAY), ("2025-06-30", "%d.%m.%Y", DAY),
        ("30.06.2025", None, "is not a date"), ("2025-02-30", None, "is not a date"), ("", None, None),
        (dt.date(2025, 6, 30), None, DAY), (dt.datetime(2025, 6, 30, 12, 0, 0, 999_999), None, DAY + 0.5),
        (dt.datetime(2025, 6, 30, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), None, DAY),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 1), None, -1 / 86400), (20250630, "%Y%m%d", DAY),
    ],
)  # fmt: skip
def test_dates(cell: object, form: str | None, value: object) -> None:
    assert one(cell, Rule("d", "date", nullable=True, format=form)) == value


@given(
    st.lists(
        st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)).map(lambda t: t.replace(microsecond=0))
        | st.sampled_from(
            ["", "2025-02-29", "2025-06-30 24:00:00", "2025-06-30 12", "30.06.2025", "2025-6-30", "x" * 19]
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["T", " "]),
)
def test_dates_read_the_same_alone_and_among_others(values: list[dt.datetime | str], sep: str) -> None:
    rule = Rule("d", "date", nullable=True)
    texts = [v if isinstance(v, str) else v.date().isoformat() if v.minute % 2 else v.isoformat(sep) for v in values]
    found, bad = cells(pa.array(texts), rule)
    assert [bad.get(i, v) for i, v in enumerate(found)] == [one(text, rule) for text in texts]
    for value, text, days in zip(values, texts, found, strict=True):
        if isinstance(value, dt.datetime):
            moment = dt.datetime.fromisoformat(text)
            assert days == (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(seconds=1) / 86400


@pytest.mark.parametrize(
    ("cell", "value"), [(" basic ", "basic"), ("", None), ("?", None), ("-", "-"), (3, "3"), (3.0, "3"), (True, "true")]
)
def test_levels_are_spelled_as_training_spelled_them(cell: object, value: object) -> None:
    assert one(cell, Rule("c", "category", nullable=True)) == value


def test_a_missing_value_is_bad_only_where_training_saw_none() -> None:
    for kind, cell in (("number", "NA"), ("boolean", ""), ("date", " "), ("category", ""), ("text", "null")):
        wanted: Kind = kind  # type: ignore[assignment]
        assert one(cell, Rule("x", wanted, nullable=True)) is None
        assert one(cell, Rule("x", wanted, nullable=False)) == "is missing, which training never saw"
    assert one("abc", Rule("x", "number", nullable=False)) == "is not a finite number"  # not missing as well


def test_a_column_s_own_words_for_no_value() -> None:
    rule = Rule("x", "number", nullable=True, missing=("-999", "unknown"))
    assert cells(pa.array(["-999", "unknown", "-99"]), rule)[0] == [None, None, -99.0]
    assert cells(pa.array([-999, 5]), rule)[0] == [None, 5.0]
    assert cells(pa.array([-999.0, 5.5]), rule)[0] == [None, 5.5]
    assert one("-999", Rule("c", "category", nullable=True, missing=("-999",))) is None


def test_bad_values_are_told_as_they_were_written() -> None:
    column = pa.chunked_array([["1", "x"], [" 1e999", "2", ""]])
    _, bad = read(column, Rule("x", "number", nullable=False), ".")
    assert [(b.reason, b.rows.tolist(), b.values) for b in bad] == [
        ("is not a finite number", [1, 2], ["x", " 1e999"]),
        ("is missing, which training never saw", [4], [""]),
    ]
    _, (parquet,) = read(pa.chunked_array([pa.array([1.0, math.inf])]), NUMBER, ".")
    assert parquet.values == ["inf"]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64) | st.none(), min_size=1, max_size=20))
def test_a_number_and_its_text_are_the_same(values: list[float | None]) -> None:
    rule = Rule("x", "number", nullable=True, whole=True)
    own, own_bad = cells(pa.array(values, pa.float64()), rule)
    told, told_bad = cells(pa.array(["" if v is None else repr(v) for v in values]), rule)
    assert own == told
    assert own_bad == told_bad


def test_types_that_hold_no_values_of_the_kind() -> None:
    for kind, held in (
        ("number", pa.bool_()), ("number", pa.timestamp("s")), ("number", pa.list_(pa.int64())), ("date", pa.float64()),
        ("category", pa.binary()), ("text", pa.struct([])), ("boolean", pa.date32()),
    ):  # fmt: skip
        wanted: Kind = kind  # type: ignore[assignment]
        assert not accepts(wanted, held)
    assert accepts("category", pa.dictionary(pa.int8(), pa.string()))
    assert accepts("number", pa.dictionary(pa.int8(), pa.int64()))
    assert one(5, NUMBER) == 5.0
    coded = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), pa.array([7, 9]))
    assert cells(coded, NUMBER)[0] == [9.0, None, 7.0]


def test_unseen_levels_are_counted_by_rows() -> None:
    rule = Rule("c", "category", nullable=True, levels=frozenset({"a", "b"}))
    values, bad = read(pa.chunked_array([["a", "new", None, "new", "b"]]), rule, ".")
    assert not bad
    assert unseen(values, rule) == 2
    assert unseen(without(values, np.array([True, True, True, False, True])), rule) == 1


def test_rules_come_from_the_signature() -> None:
    inputs = [
        {"name": "n", "kind": "number", "nullable": False, "whole": True, "min": 1, "max": 2, "example": 1},
        {"name": "c", "kind": "category", "nullable": True, "levels": ["a"], "example": "a"},
        {"name": "d", "kind": "date", "nullable": True, "format": "%Y%m%d", "example": None},
    ]
    assert rules({"inputs": inputs}, {"n": ("-1",)}) == [
        Rule("n", "number", nullable=False, whole=True, missing=("-1",)),
        Rule("c", "category", nullable=True, levels=frozenset({"a"})),
        Rule("d", "date", nullable=True, format="%Y%m%d"),
    ]
