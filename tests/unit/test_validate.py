"""Rules of the schema: what arrives as text is read value by value, and every broken rule names its rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlops import schema as schemas
from mlops.errors import SchemaError
from mlops.rows import validate
from mlops.schema import Column, Schema


def schema(columns: str) -> Schema:
    return schemas.parse(
        yaml.safe_load(f"columns: {{churned: {{kind: target, positive: 'Yes', negative: 'No'}}, {columns}}}")
    )


def broken(columns: str, target: list[str | None] | None = None, **values: pa.Array) -> dict[str, list[int]]:
    size = len(next(iter(values.values())))
    table = pa.table({"churned": pa.array(target or ["Yes"] * size, pa.string()), **values})
    checked = validate.check(table, schema(columns))
    return {f"{f.column} {f.rule}": f.rows.tolist() for f in checked.failures}


def test_limits_of_numbers() -> None:
    nps = pa.array([0, 10, None, 11, -1])
    assert broken("nps: {kind: number, min: 0, max: 10}", nps=nps) == {
        "nps is above max 10": [3],
        "nps is below min 0": [4],
    }


def test_numbers_that_models_cannot_calculate_with() -> None:
    found = broken("x: {kind: number}", x=pa.array([1.0, float("inf"), -1e39, float("nan"), None, 3e38]))
    assert list(found.values()) == [[1, 2]]
    assert "beyond the numbers that models calculate with" in next(iter(found))


def test_levels_required_and_target() -> None:
    plan = pa.array(["a", "b", None, "c"])
    rules = "plan: {kind: category, levels: [a, b], required: true}"
    expected = {
        "plan is missing": [2],
        "plan is none of the levels": [3],
        "churned is neither 'Yes' nor 'No'": [1],
    }
    target = ["Yes", "Maybe", None, "No"]
    assert broken(rules, target, plan=plan) == expected
    assert broken(rules, target, plan=plan.dictionary_encode()) == expected


@pytest.mark.parametrize("kind", ["boolean", "date", "text"])
def test_any_kind_can_be_required(kind: str) -> None:
    values = {
        "boolean": pa.array([True, None]),
        "date": pa.array([0, None], pa.timestamp("ms")),
        "text": pa.array(["", None]),
    }
    assert broken(f"x: {{kind: {kind}, required: true}}", x=values[kind]) == {"x is missing": [1]}


def test_numbers_among_text() -> None:
    texts = ["1", " 2.5 ", "abc", None, "1e3", "-.5", "0x1", "inf", "1,5", "٣"]
    values, cells = validate.read_text(pa.chunked_array([texts]), Column("x", "number"))
    assert values.to_pylist() == [1.0, 2.5, None, None, 1000.0, -0.5, None, None, None, None]
    assert cells.rows.tolist() == [2, 6, 7, 8, 9]
    assert cells.texts.to_pylist() == ["abc", "0x1", "inf", "1,5", "٣"]


def test_booleans_among_text() -> None:
    values, cells = validate.read_text(pa.chunked_array([["TRUE", "f", "maybe", None]]), Column("x", "boolean"))
    assert values.to_pylist() == [True, False, None, None]
    assert cells.rows.tolist() == [2]


@pytest.mark.parametrize(
    ("form", "texts", "unread"),
    [
        (None, ["2024-02-28 00:00:00", "2024-02-31 00:00:00", "soon", "2024-02-28"], [1, 2, 3]),
        ("%d.%m.%Y", ["28.2.2024", "31.02.2024", "01.03.2024", "2024-02-28"], [1, 3]),
    ],
)
def test_dates_among_text(form: str | None, texts: list[str], unread: list[int]) -> None:
    values, cells = validate.read_text(pa.chunked_array([texts]), Column("x", "date", format=form))
    assert cells.rows.tolist() == unread
    assert str(values[0].as_py())[:10] == "2024-02-28"


def test_an_unreadable_value_is_not_also_missing() -> None:
    found = broken("x: {kind: number, required: true, max: 5}", x=pa.array(["1", "abc", None, "9"]))
    assert found == {"x is not a number": [1], "x is missing": [2], "x is above max 5": [3]}


def test_times_come_back_in_seconds() -> None:
    table = pa.table({"churned": ["Yes"], "at": pa.array([86_400_000], pa.timestamp("ms"))})
    checked = validate.check(table, schema("at: {kind: time}"))
    assert checked.table.schema.field("at").type == pa.timestamp("s")


def test_a_target_of_numbers_is_compared_as_text() -> None:
    document = {"columns": {"churned": {"kind": "target", "positive": "1", "negative": "0"}}}
    table = pa.table({"churned": pa.array([1, 0, 2, None], pa.int8())})
    (failure,) = validate.check(table, schemas.parse(document)).failures
    assert failure.rows.tolist() == [2]


@pytest.mark.parametrize(
    ("column", "complaint"),
    [
        ("x: {kind: category, max: 3}", "x: min and max are for kind: number, this is a category"),
        ("x: {kind: number, levels: ['1']}", "x: levels are for category, text, id, this is a number"),
    ],
)
def test_rules_that_a_kind_cannot_have(column: str, complaint: str) -> None:
    with pytest.raises(SchemaError, match=complaint):
        validate.pandera_schema(schema(column))


def test_rows_are_checked_even_when_pandera_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from pandera.config import CONFIG

    monkeypatch.setattr(CONFIG, "validation_enabled", False)
    assert broken("nps: {kind: number, max: 10}", nps=pa.array([11])) == {"nps is above max 10": [0]}


@given(
    st.lists(
        st.one_of(st.none(), st.integers(-3, 13).map(str), st.sampled_from(["abc", "1.5.2"])), min_size=1, max_size=60
    ),
    st.integers(1, 7),
)
def test_slices_find_what_one_look_at_each_row_finds(texts: list[str | None], size: int) -> None:
    whole = validate.SLICE
    validate.SLICE = size
    try:
        found = broken("x: {kind: number, min: 0, max: 10}", x=pa.array(texts, pa.string()))
    finally:
        validate.SLICE = whole
    rules = {
        "x is not a number": lambda t: not t.lstrip("-").isdigit(),
        "x is below min 0": lambda t: t.startswith("-"),
        "x is above max 10": lambda t: t.isdigit() and int(t) > 10,
    }
    one_by_one = {
        rule: [i for i, t in enumerate(texts) if t is not None and breaks(t)] for rule, breaks in rules.items()
    }
    assert found == {rule: rows for rule, rows in one_by_one.items() if rows}


def test_bad_rows_are_counted_once() -> None:
    table = pa.table({"churned": ["Maybe", "Yes"], "x": [11, 3]})
    checked = validate.check(table, schema("x: {kind: number, max: 10}"))
    assert checked.bad_rows.tolist() == [0]
    assert checked.bad_rows.dtype == np.int64


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        ("boolean", pa.array([1.5, 2.0])),
        ("date", pa.array([1.5, 2.0])),
        ("date", pa.array([True, False])),
        ("number", pa.array([True, False])),
        ("number", pa.array([0, 1], pa.timestamp("s"))),
    ],
)
def test_a_kind_that_is_not_what_the_table_holds_is_refused(kind: str, held: pa.Array) -> None:
    with pytest.raises(SchemaError, match=f"x is kind: {kind}, but data/raw holds .* there; correct the kind"):
        broken(f"x: {{kind: {kind}}}", x=held)
