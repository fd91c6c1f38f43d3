"""One column as its kind: what is a number, a date, a missing word; and that nothing unreadable is nulled."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.errors import SchemaError
from mlops.schema import Column
from mlops.table import dates, numbers
from mlops.table.values import encoded, read_column, unreadable


def read(values: list, kind: str, decimal: str = ".", **more: object) -> pa.ChunkedArray:
    column = Column("c", kind, **more)  # type: ignore[arg-type]
    half = len(values) // 2
    return read_column(pa.chunked_array([values[:half], values[half:]], pa.string()), column, decimal)


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("1,234.5", ".", 1234.5), ("$1,234.50", ".", 1234.5), ("-$5", ".", -5), ("12%", ".", 12), ("1 234", ".", 1234),
        ("1'234", ".", 1234), ("1,234", ".", 1234),
        ("+5", ".", 5), (".5", ".", 0.5), ("5.", ".", 5), ("1e3", ".", 1000),
        ("1.234,5", ",", 1234.5), ("0,5", ",", 0.5), ("12 €", ",", 12), ("1\u00a0234,5", ",", 1234.5), ("7", ",", 7),
        ("1,23", ".", None), ("1,2345", ".", None), ("12,34,567", ".", None), ("inf", ".", None), ("1e400", ".", None),
        ("0x10", ".", None), ("1_000", ".", None), ("1.5", ",", None), ("--5", ".", None), ("%", ".", None),
        ("٣", ".", None), ("1 2 3", ".", None), ("12-31", ".", None),
    ],
)  # fmt: skip
def test_numbers(text: str, decimal: str, value: float | None) -> None:
    assert numbers.parse(pa.array([text]), decimal).to_pylist() == [value]


def test_whole_numbers_become_integers_only_when_none_is_missing() -> None:
    assert read(["34.0", " 5 ", "6"], "number").type == pa.int64()
    assert read(["34.0", "", "6"], "number").to_pylist() == [34.0, None, 6.0]
    assert read(["34.5", "5"], "number").type == pa.float64()
    assert read(["9007199254740993", "1"], "number").type == pa.float64()


def test_missing_words() -> None:
    absent = ["", "  ", "NA", "?", "null", "#N/A", "NaN"]
    assert read([*absent, "None", "-", "."], "number").null_count == 10
    assert read([*absent, "None", "-", "."], "category").to_pylist()[7:] == ["None", "-", "."]
    assert read(["1", "unknown"], "number", missing=("unknown",)).to_pylist() == [1.0, None]


def test_an_unreadable_value_leaves_the_column_as_text() -> None:
    found = read(["$1,200", "abc", "", "inf", "3.50", "4"], "number")
    assert found.to_pylist() == ["1200", "abc", None, "inf", "3.5", "4"]
    assert unreadable(found, Column("c", "number")) == 2
    found = read(["31.01.2025", "30.02.2025"], "date", format="%d.%m.%Y")
    assert found.to_pylist() == ["2025-01-31 00:00:00", "30.02.2025"]
    assert read(["true", "maybe"], "boolean").to_pylist() == ["true", "maybe"]


def test_booleans() -> None:
    assert read(["TRUE", "f", "", "False", "T"], "boolean").to_pylist() == [True, False, None, False, True]


def test_target_is_spelled_as_the_schema_does() -> None:
    found = read([">50K.", ">50k", " <=50K", "?", "other"], "target", positive=">50K", negative="<=50K")
    assert found.to_pylist() == [">50K", ">50K", "<=50K", None, "other"]
    assert read(["1.0", "0", "TRUE"], "target", positive="1", negative="0").to_pylist() == ["1", "0", "TRUE"]
    flags = pa.chunked_array([[True, None, False]])
    column = Column("c", "target", positive="TRUE", negative="FALSE")
    assert read_column(flags, column).to_pylist() == ["TRUE", None, "FALSE"]


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("2024-02-29", None, "2024-02-29T00:00:00"), ("2024-02-30", None, None), ("2023-02-29", None, None),
        ("2024-01-05T10:11:12.5Z", None, "2024-01-05T10:11:12"), ("2024-01-05 10:11", None, "2024-01-05T10:11:00"),
        ("2024-01-05T00:30:00+02:00", None, "2024-01-04T22:30:00"), ("2024-13-01", None, None),
        ("5/1/2024", "%d/%m/%Y", "2024-01-05T00:00:00"), ("1969-12-31", None, "1969-12-31T00:00:00"),
        ("05-Jan-24", "%d-%b-%y", "2024-01-05T00:00:00"), ("January 5, 2024", "%B %d, %Y", "2024-01-05T00:00:00"),
        ("1/5/2024 12:30 AM", "%m/%d/%Y %I:%M %p", "2024-01-05T00:30:00"), ("2024-07", "%Y-%m", "2024-07-01T00:00:00"),
        ("1/5/2024 13:30 AM", "%m/%d/%Y %I:%M %p", None), ("20240105", "%Y%m%d", "2024-01-05T00:00:00"),
        ("24:00", "%H:%M", None), ("05-Xyz-24", "%d-%b-%y", None),
    ],
)  # fmt: skip
def test_dates(text: str, form: str | None, expected: str | None) -> None:
    (found,) = dates.parse(pa.array([text]), form).to_pylist()
    assert (found and found.isoformat()) == expected


def test_an_unknown_directive_is_named() -> None:
    with pytest.raises(SchemaError, match="%Q is not known"):
        read(["x"], "date", format="%Q")


@settings(deadline=None)
@given(st.lists(st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)), min_size=1), st.sampled_from(dates.DAYS))
def test_every_date_reads_as_it_was_written(days: list[dt.date], form: str) -> None:
    if "y" in form:
        days = [day.replace(year=2000 + day.year % 60, day=min(day.day, 28)) for day in days]
    if "d" not in form:
        days = [day.replace(day=1) for day in days]
    written = pa.array([day.strftime(form) for day in days])
    assert [found.date() for found in dates.parse(written, form).to_pylist()] == days


@settings(deadline=None)
@given(st.lists(st.one_of(st.floats(allow_nan=False), st.integers(-(10**18), 10**18)), min_size=1))
def test_the_fast_and_the_thorough_way_agree(values: list[float]) -> None:
    words = pa.array([repr(value) for value in values])
    fast = numbers.plain(pa.chunked_array([words]))
    slow = numbers.parse(words, ".")
    if fast is None:
        assert not np.isfinite([float(v) for v in values]).all() or slow.null_count
    else:
        assert fast.combine_chunks().equals(slow)
        assert slow.to_pylist() == [float(v) for v in values]


def test_codes_of_all_chunks_mean_the_same_words() -> None:
    chunks, words = encoded(pa.chunked_array([["a", None], ["b", "a"], ["c"]]))
    assert [words.take(chunk).to_pylist() for chunk in chunks] == [["a", None], ["b", "a"], ["c"]]
    assert words.to_pylist() == ["a", "b", "c"]


def test_typed_columns_need_no_text() -> None:
    when = pa.chunked_array([pa.array([-1500, 1500, None], pa.timestamp("ms", tz="Europe/Berlin"))])
    seconds = pc.cast(read_column(when, Column("c", "date")), pa.int64()).to_pylist()
    assert seconds == [-2, 1, None]
    number = pa.chunked_array([pa.array([1.0, float("nan")])])
    assert read_column(number, Column("c", "number")).to_pylist() == [1.0, None]
    endless = pa.chunked_array([pa.array([1.0, float("inf")])])
    assert read_column(endless, Column("c", "number")).to_pylist() == ["1", "inf"]
    assert read_column(number, Column("c", "id")).to_pylist() == ["1", None]
    assert read_column(pa.chunked_array([pa.array([1, 2], pa.int8())]), Column("c", "number")).type == pa.int64()


def test_a_number_that_means_no_value_is_found_among_numbers() -> None:
    column = Column("x", "number", missing=("-999",))
    read = read_column(pa.chunked_array([pa.array([1, -999, 3])]), column)
    assert read.to_pylist() == [1, None, 3]
