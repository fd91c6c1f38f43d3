import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.contract.fields import TOO_LARGE, Field, Wrong
from api.contract.record import Unfit
from api.contract.table import Table
from api.door.messages import Invalid, Problem
from mlops.features import Coded
from tests.unit.protocol_model import INPUTS, ROWS, VALUES, contract, same

CONTRACT = contract()
GOOD = {"minutes": 12.5, "sessions": 3, "auto": True, "plan [a,b]": "<5", "since": "2025-06-30", "comment": None}
IDS = st.none() | st.text(max_size=5) | st.integers()
ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["2025-06-30", "2025-02-30", "2025-06-30T12:00:00Z", 10**400, 3.0, 1e39, -0.0, [], {}])
)


def refused(record: Any, **options: Any) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(Invalid) as info:
        CONTRACT.from_records([record], **options)
    return [(p.loc, p.type) for p in info.value.problems]


def quick(body: bytes) -> tuple[dict[str, Any], str | None] | None:
    try:
        row, customer, _ = CONTRACT.record.read(body)
    except Unfit:
        return None
    return row, customer


def slow(body: bytes) -> tuple[dict[str, Any], str | None] | None:
    try:
        table = CONTRACT.from_records([json.loads(body)], at=None)
    except Invalid:
        return None
    row: dict[str, Any] = {}
    for name, column in table.columns.items():
        if isinstance(column, Coded):
            row[name] = None if column.codes[0] < 0 else column.levels[column.codes[0]]
        else:
            row[name] = float(column[0])
    return row, table.customers[0]


def alike(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return a[1] == b[1] and all(
        x == b[0][k] or (isinstance(x, float) and math.isnan(x) and math.isnan(b[0][k])) for k, x in a[0].items()
    )


@given(
    st.fixed_dictionaries(
        {name: values | ANYTHING for name, values in VALUES.items()},
        optional={"customer_id": ANYTHING, "customer_no": ANYTHING, "more": ANYTHING},
    )
)
def test_the_quick_way_takes_what_the_slow_way_takes_and_reads_it_alike(record: dict[str, Any]) -> None:
    body = json.dumps(record).encode()
    # Numbers that the encoder checks itself pass the quick way; it refuses them one step later.
    large = any(isinstance(record[n], (int, float)) and abs(record[n]) >= TOO_LARGE for n in ("minutes", "sessions"))
    if large and slow(body) is None:
        return
    assert alike(quick(body), slow(body))


RECORD = st.fixed_dictionaries(VALUES, optional={"customer_id": IDS, "customer_no": IDS})
ODD = st.fixed_dictionaries(
    {name: values | ANYTHING for name, values in VALUES.items()},
    optional={"customer_id": ANYTHING, "customer_no": ANYTHING, "more": ANYTHING},
)


def told(read: Callable[[], Table]) -> Table | tuple[Problem, ...]:
    try:
        return read()
    except Invalid as refusal:
        return refusal.problems


@given(st.lists(RECORD | RECORD | RECORD | ODD, min_size=1, max_size=4), st.data())
def test_many_records_are_read_alike_by_type_and_by_words(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    rows = [dict(data.draw(st.permutations(list(row.items())))) for row in rows]
    body = json.dumps({"records": rows}).encode()
    expected = told(lambda: CONTRACT.from_records(json.loads(body)["records"]))
    found = told(lambda: CONTRACT.from_body(body, len(rows)) or CONTRACT.from_records(json.loads(body)["records"]))
    if isinstance(expected, Table):
        assert isinstance(found, Table)
        assert same(found, expected)
    else:
        assert found == expected


@given(ROWS)
def test_rows_that_fit_are_read_by_type(rows: list[dict[str, Any]]) -> None:
    body = json.dumps({"records": rows}).encode()
    found = CONTRACT.from_body(body, len(rows))
    assert found is not None
    assert same(found, CONTRACT.from_records(rows))
    assert CONTRACT.from_body(body, len(rows) - 1) is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"records": []}', b'{"records": {}}', b'{"records": [], "a": 1}'])
def test_other_bodies_are_left_to_the_slow_way(body: bytes) -> None:
    assert CONTRACT.from_body(body, 10) is None


@given(ROWS)
def test_records_columns_and_lists_are_the_same_rows(rows: list[dict[str, Any]]) -> None:
    names = [*CONTRACT.names, "customer_id"]
    records = CONTRACT.from_records(rows)
    assert same(records, CONTRACT.from_columns({name: [row[name] for row in rows] for name in names}))
    assert same(records, CONTRACT.from_lists([[row[name] for name in names] for row in rows], names))
    assert records.n == len(rows)


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("minutes", "12", "type"),
        ("minutes", True, "type"),
        ("minutes", float("nan"), "not_finite"),
        ("minutes", float("inf"), "not_finite"),
        ("minutes", 3.5e38, "range"),
        ("minutes", 10**400, "range"),
        ("sessions", 1.5, "whole"),
        ("sessions", None, "null"),
        ("auto", 1, "type"),
        ("plan [a,b]", 5, "type"),
        ("since", "30.06.2025", "date"),
        ("since", "2025-02-30", "date"),
        ("since", 20_000, "type"),
        ("comment", ["a"], "type"),
        ("customer_id", 1.5, "type"),
        ("customer_id", "x" * 257, "range"),
    ],
)
def test_a_wrong_value_is_named(column: str, value: object, kind: str) -> None:
    assert refused({**GOOD, column: value}) == [(("records", 0, "customer_id" if "id" in column else column), kind)]


def test_missing_and_unknown_columns_are_named_together() -> None:
    record = {k: v for k, v in GOOD.items() if k != "sessions"} | {"session": 3}
    assert refused(record) == [(("records", 0, "sessions"), "missing"), (("records", 0, "session"), "extra")]
    assert refused(record, extra=True) == [(("records", 0, "sessions"), "missing")]


def test_the_nearest_name_is_said() -> None:
    with pytest.raises(Invalid, match="was it meant by session"):
        CONTRACT.from_records([{k: v for k, v in GOOD.items() if k != "sessions"} | {"session": 3}])


def test_many_problems_are_told_up_to_a_number() -> None:
    with pytest.raises(Invalid) as info:
        CONTRACT.from_records([{**GOOD, "minutes": "x"}] * 50)
    assert len(info.value.problems) == 21
    assert info.value.problems[-1].msg == "and more"


def test_whole_numbers_may_be_written_with_a_point() -> None:
    table = CONTRACT.from_records([{**GOOD, "sessions": 3.0}])
    assert table.columns["sessions"].tolist() == [3.0]  # type: ignore[union-attr]


def test_ids_come_under_either_name_and_as_whole_numbers() -> None:
    rows = [{**GOOD, "customer_id": "a"}, {**GOOD, "customer_no": 7}, GOOD, {**GOOD, "customer_id": None}]
    assert CONTRACT.from_records(rows).customers == ["a", "7", None, None]


def test_nan_is_no_number() -> None:
    columns = {name: [value, None if name == "minutes" else value] for name, value in GOOD.items()}
    with pytest.raises(Invalid, match="nan"):
        CONTRACT.from_columns(columns | {"minutes": [math.nan, None]})


def test_columns_of_other_lengths_are_refused() -> None:
    columns: dict[str, list[Any]] = {name: [value, value] for name, value in GOOD.items()} | {"comment": [None]}
    with pytest.raises(Invalid, match="comment: has 1 rows, others have 2"):
        CONTRACT.from_columns(columns)


def test_cells_of_texts_are_read_by_kind() -> None:
    texts = {
        "minutes": "12.5",
        "sessions": "3",
        "auto": "Yes",
        "plan [a,b]": "<5",
        "since": "2025-06-30",
        "comment": "",
    }
    table = CONTRACT.from_texts({name: [text] for name, text in texts.items()})
    same_row = CONTRACT.from_records([GOOD])
    for name, column in same_row.columns.items():
        assert np.array_equal(np.asarray(column, object), np.asarray(table.columns[name], object))
    for wrong in ("1_000", "nan", "inf", "twelve"):
        with pytest.raises(Invalid, match="minutes"):
            CONTRACT.from_texts({name: [text] for name, text in (texts | {"minutes": wrong}).items()})


def test_dates_have_times_and_formats() -> None:
    iso = Field("since", "date", nullable=False)
    assert iso.days("1970-01-02") == 1
    assert iso.days("1970-01-02T12:00:00Z") == 1.5
    assert iso.days("1970-01-02T01:00:00+02:00") == 1 - 1 / 24
    own = Field("since", "date", nullable=False, format="%d/%m/%Y")
    assert own.days("02/01/1970") == own.days("1970-01-02") == 1
    for wrong in ("20250630", "2025-W01-1", "0000-01-01", "", "2025-06-30T25:00"):
        with pytest.raises(Wrong):
            iso.days(wrong)


def test_names_that_json_escapes_go_the_slow_way() -> None:
    names = ['say "hi"', "back\\slash", "tab\t", "class", "records", "customer_id", "zoë"]
    awkward = contract([{**INPUTS[0], "name": name} for name in names])
    record = dict.fromkeys(names, 1.5)
    with pytest.raises(Unfit):
        awkward.record.read(json.dumps(record).encode())
    assert awkward.from_body(json.dumps({"records": [record]}).encode(), 10) is None
    table = awkward.from_records([record, record])
    assert list(table.columns) == names
    assert [json.loads(inputs) for inputs in table.inputs()] == [record, record]


def test_a_column_may_be_called_records() -> None:
    odd = contract([{**INPUTS[0], "name": "records"}])
    assert odd.from_body(b'{"records": [1.5]}', 10) is None
    assert odd.record.read(b'{"records": 1.5}')[0] == {"records": 1.5}


def test_the_log_keeps_what_came() -> None:
    table = CONTRACT.from_records([GOOD])
    assert json.loads(table.inputs()[0]) == GOOD
    body = json.dumps({**GOOD, "customer_id": "a", "customer_no": 7}, indent=3).encode()
    _, customer, inputs = CONTRACT.record.read(body)
    assert (json.loads(inputs), customer) == (GOOD, "a")
    assert b'": ' not in inputs
    assert CONTRACT.example().keys() == {i["name"] for i in INPUTS}
