from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops import columns, features
from mlops.encode import Block, Encoder, Number, OneHot, TargetMean
from mlops.errors import DataError, SchemaError
from mlops.features import Coded, Scalar, Values
from mlops.schema import Column, Derived, Schema

TARGET = Column("churned", "target", positive="1", negative="0")
SCHEMA = Schema(
    (
        Column("a", "number"),
        Column("b", "number"),
        Column("flag", "boolean"),
        Column("plan", "category"),
        Column("since", "date"),
        Column("comment", "text"),
        Column("seen", "time"),
        TARGET,
    ),
    (
        Derived("a_per_b", "ratio", ("a", "b")),
        Derived("a_less_b", "difference", ("a", "b")),
        Derived("a_times_b", "product", ("a", "b")),
        Derived("waited", "days", ("seen", "since")),
    ),
)
PLAN = features.plan(SCHEMA, {}, with_sentiment=True)
CATEGORIES: list[Block] = [
    OneHot("plan", ("I love it", "b")),
    OneHot("plan", ()),
    TargetMean("plan", ("", "b"), (0.25, 1 / 3), 0.1, math.nan),
]

numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-100, 100).map(float)
texts = st.none() | st.text(max_size=30) | st.sampled_from(["I love it", "terrible, never again!", ""])
days = st.none() | st.floats(-200_000, 400_000)
rows = st.lists(st.tuples(numbers, numbers, st.sampled_from([None, 0.0, 1.0]), texts, days, texts, days), min_size=1)


def to_scalars(row: tuple[object, ...]) -> dict[str, Scalar]:
    kinds = {i.name: i.kind for i in PLAN.inputs}
    names = ["a", "b", "flag", "plan", "since", "comment", "seen"]
    texty = ("category", "text")
    return {
        n: v if kinds[n] in texty or v is not None else math.nan  # type: ignore[misc]
        for n, v in zip(names, row, strict=True)
    }


def to_columns(table: list[dict[str, Scalar]]) -> dict[str, Values]:
    result: dict[str, Values] = {}
    for i in PLAN.inputs:
        values = [row[i.name] for row in table]
        if i.kind in ("category", "text"):
            result[i.name] = columns.coded(pa.chunked_array([pa.array(values, pa.string())]))
        else:
            result[i.name] = np.array(values, dtype=np.float64)
    return result


@settings(max_examples=150, deadline=None)
@given(rows)
def test_row_path_and_column_path_agree_bit_for_bit(drawn: list[tuple[object, ...]]) -> None:
    table = [to_scalars(row) for row in drawn]
    whole = PLAN.columns(to_columns(table))
    for position, row in enumerate(table):
        for name, value in PLAN.row(row).items():
            column = whole[name]
            if isinstance(column, Coded):
                code = column.codes[position]
                assert (None if code < 0 else column.levels[code]) == value
            else:
                assert np.float64(value).tobytes() == column[position].tobytes() or (  # type: ignore[arg-type]
                    math.isnan(value) and math.isnan(column[position])  # type: ignore[arg-type]
                ), name


def encoded(encode: Callable[[], np.ndarray[Any, Any]]) -> bytes | str:
    """The matrix's bytes, every NaN the same one; or what was refused."""
    try:
        matrix = encode()
    except DataError as error:
        return str(error)
    return np.where(np.isnan(matrix), np.float32(math.nan), matrix).tobytes()


LARGEST = features.FLOAT32_MAX
beyond = st.sampled_from([math.inf, -math.inf, LARGEST, LARGEST * (1 + 1e-9), LARGEST * 1.001, -1e300, 1e-50])


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(CATEGORIES), st.tuples(numbers | beyond, numbers, *[st.just(None)] * 5) | rows.map(lambda r: r[0])
)
def test_a_row_is_encoded_as_its_columns_are(block: Block, drawn: tuple[object, ...]) -> None:
    blocks = [block if f.kind == "category" else Number(f.name) for f in PLAN.features]
    encoder = Encoder(PLAN, tuple(blocks))
    row = to_scalars(drawn)
    as_row, as_column = encoded(lambda: encoder.row(row)), encoded(lambda: encoder.columns(to_columns([row])))
    assert as_row == as_column


def test_rows_of_one_feature_and_numbers_of_other_types() -> None:
    plan = features.plan(Schema((Column("a", "number"), TARGET)), {}, with_sentiment=False)
    encoder = Encoder(plan, (Number("a"),))
    for value in (2, 2.0, np.float64(2), np.float32(2), np.int64(2)):
        assert encoder.row({"a": value}).tolist() == [[2.0]]
    assert encoder.row({"a": True}).tolist() == [[1.0]]
    assert math.isnan(encoder.row({"a": None})[0, 0])
    with pytest.raises(DataError, match=r"^a: a value is beyond ±3.4e\+38"):
        encoder.row({"a": 1e39})


@given(st.integers(-100_000, 100_000), st.floats(0, 0.999))
def test_month_and_weekday_are_the_calendars(day: int, fraction: float) -> None:
    date = datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
    assert features.OPS["month"][0](day + fraction) == date.month
    assert features.OPS["weekday"][0](day + fraction) == date.weekday()


def test_every_kind_of_column_becomes_features() -> None:
    assert [f.name for f in PLAN.features] == [
        "a", "b", "flag", "plan", "since_days", "since_month", "since_weekday",
        "comment_length", "comment_words", "comment_sentiment", "a_per_b", "a_less_b", "a_times_b", "waited",
    ]  # fmt: skip
    assert [i.name for i in PLAN.inputs] == ["a", "b", "flag", "plan", "since", "comment", "seen"]
    without = features.plan(SCHEMA, {}, with_sentiment=False)
    assert "comment_sentiment" not in [f.name for f in without.features]


def test_a_date_counts_to_the_observation_where_rows_have_a_time() -> None:
    row = to_scalars((1.0, 2.0, None, None, 100.0, None, 130.5))
    assert PLAN.row(row)["since_days"] == 30.5
    plan = features.plan(Schema((Column("since", "date"), TARGET)), {}, with_sentiment=False)
    assert plan.row({"since": 100.0})["since_days"] == 100.0


def test_undefined_is_missing_not_infinite() -> None:
    assert math.isnan(PLAN.row(to_scalars((1.0, 0.0, None, None, None, None, None)))["a_per_b"])  # type: ignore[arg-type]
    assert math.isnan(PLAN.row(to_scalars((1e300, 1e300, None, None, None, None, None)))["a_times_b"])  # type: ignore[arg-type]


def test_sentiment_tells_glad_from_angry() -> None:
    assert features.sentiment("I love this service, great support!") > 0.5
    assert features.sentiment("Terrible. I hate the constant crashes.") < -0.5
    assert features.sentiment("The invoice arrived on Monday.") == 0


def test_two_features_of_one_name_are_refused() -> None:
    clash = Schema((Column("comment", "text"), Column("comment_words", "number"), TARGET))
    with pytest.raises(SchemaError, match="two features would be called 'comment_words'"):
        features.plan(clash, {}, with_sentiment=False)


def test_plan_survives_json() -> None:
    assert features.Plan.from_json(PLAN.to_json()) == PLAN


@pytest.mark.parametrize("chunks", [[], [[]], [["a", None], ["b", "a"]], [[None]]])
def test_codes_tell_the_texts(chunks: list[list[str | None]]) -> None:
    column = pa.chunked_array(chunks, pa.string())
    coded = columns.coded(column)
    assert [None if c < 0 else coded.levels[c] for c in coded.codes] == column.to_pylist()
    back = columns.to_arrow(coded)
    assert back.to_pylist() == column.to_pylist()


def test_dates_are_days() -> None:
    column = pa.chunked_array([pa.array(["1970-01-02T12:00:00", None])]).cast(pa.timestamp("s"))
    found = columns.values(column, "date")
    assert isinstance(found, np.ndarray)
    assert found[0] == 1.5
    assert math.isnan(found[1])
