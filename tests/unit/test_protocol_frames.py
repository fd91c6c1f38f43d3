"""MLflow's tables: four forms of JSON, CSV and Parquet hold the same rows, and what is wrong is named."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

import api.protocols
from api.contract import Table
from api.door.messages import Invalid, Refused
from api.protocols import frames
from tests.unit.protocol_model import INPUTS, ROWS, contract, same

CONTRACT = contract()
EXAMPLE = {i["name"]: i["example"] for i in INPUTS}
MOST_ROWS, MOST_BYTES = 1000, 1 << 20

Row = dict[str, Any]


def read(document: Any) -> Table:
    return frames.from_json(CONTRACT, json.dumps(document).encode())[0]


def split(rows: list[Row], **more: Any) -> dict[str, Any]:
    return {"columns": list(rows[0]), "data": [list(row.values()) for row in rows], **more}


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


@given(rows=ROWS)
@settings(deadline=None)
def test_all_forms_of_json_give_the_rows_that_records_give(rows: list[Row]) -> None:
    expected = CONTRACT.from_records(rows)
    more = [{**row, "unread": [i]} for i, row in enumerate(rows)]
    assert same(read({"dataframe_split": split(more, index=[9] * len(rows))}), expected)
    assert same(read({"dataframe_records": more, "another key": 1}), expected)
    assert same(read({"instances": more}), expected)
    assert same(read({"inputs": {name: [row[name] for row in more] for name in more[0]}}), expected)
    assert same(read({"inputs": more}), expected)
    plain = CONTRACT.from_records([{name: row[name] for name in CONTRACT.names} for row in rows])
    values = [[row[name] for name in CONTRACT.names] for row in rows]
    assert same(read({"instances": values}), plain)
    assert same(read({"dataframe_split": {"data": values}}), plain)


@given(rows=ROWS)
@settings(deadline=None)
def test_nan_is_missing_whatever_the_kind_of_its_column(rows: list[Row]) -> None:
    written = [{k: math.nan if v is None else v for k, v in row.items()} for row in rows]
    assert same(read({"dataframe_split": split(written)}), CONTRACT.from_records(rows))


@given(rows=ROWS)
@settings(deadline=None)
def test_csv_and_parquet_hold_the_same_rows(rows: list[Row]) -> None:
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet)
    writer.writerow(rows[0])
    writer.writerows(["" if value is None else value for value in row.values()] for row in rows)
    from_csv = frames.from_csv(CONTRACT, sheet.getvalue().encode())
    expected = CONTRACT.from_records(rows)
    ids = [row["customer_id"] or None for row in rows]  # an empty cell is no id
    assert from_csv.n == expected.n
    assert [c or None for c in from_csv.customers] == ids
    assert {n: list(v) for n, v in from_csv.given.items()} == {n: list(v) for n, v in expected.given.items()}
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    assert same(frames.from_parquet(CONTRACT, parquet(pa.table(columns)), MOST_ROWS, MOST_BYTES), expected)


def test_pandas_missing_date_is_missing_in_date_columns_only() -> None:
    rows = [{**EXAMPLE, "since": "NaT", "comment": "NaT"}]
    expected = read({"instances": [{**rows[0], "since": None}]})
    assert read({"dataframe_split": split(rows)}).inputs() == expected.inputs()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([EXAMPLE], "the body is a list; an object with exactly one of dataframe_split, dataframe_records, instances"),
        ({}, "the body has no table; an object with exactly one of"),
        ({"dataframe_record": []}, "the body has no table"),
        ({"instances": [EXAMPLE], "inputs": {}}, "the body has instances and inputs; an object with exactly one of"),
        ({"instances": [EXAMPLE], "params": []}, "params is a list; an object is needed"),
        ({"dataframe_split": [EXAMPLE]}, "dataframe_split: {"),
        ({"dataframe_split": {"columns": ["minutes"]}}, "dataframe_split: {"),
        ({"dataframe_split": {"data": [], "dtypes": []}}, "dataframe_split.dtypes is none of columns, index and data"),
        ({"dataframe_split": {"data": [[1]], "columns": [1]}}, "dataframe_split.columns: a list of column names"),
        ({"dataframe_split": {"data": [[1]]}}, r"dataframe_split\[0\]: has 1 values; 6 are needed"),
        ({"dataframe_split": {"data": []}}, "dataframe_split: is empty; at least one row is needed"),
        ({"dataframe_split": {"columns": ["minutes"] * 2, "data": [[1, 2]]}}, "column minutes is there twice"),
        ({"dataframe_records": EXAMPLE}, "dataframe_records: a list of objects is needed"),
        ({"dataframe_records": []}, "dataframe_records: is empty"),
        ({"dataframe_records": [EXAMPLE, 7]}, r"dataframe_records\[1\]: is 7; an object of column: value is needed"),
        ({"instances": {"a": [1]}}, "instances: a list is needed"),
        ({"instances": [[1.0, 2]]}, r"instances\[0\]: has 2 values; 6 are needed"),
        ({"inputs": [[1, 90.0]]}, "inputs: an object of column: "),
        ({"inputs": {"minutes": 7}}, "inputs.minutes is 7; a list of one value per row is needed"),
        ({"inputs": {n: [v] * (1 + (n == "auto")) for n, v in EXAMPLE.items()}}, r"inputs.minutes: has 1 rows, others"),
        ({"instances": [{**EXAMPLE, "sessions": 1.5}]}, r"instances\[0\].sessions: is 1.5; training saw whole numbers"),
        ({"instances": [{**EXAMPLE, "sessions": None}]}, r"instances\[0\].sessions: is null"),
        ({"instances": [{**EXAMPLE, "minutes": math.inf}]}, r"instances\[0\].minutes: is inf"),
        ({"instances": [{**EXAMPLE, "minutes": "1"}]}, r"instances\[0\].minutes: is '1'; a number or null is needed"),
        ({"instances": [EXAMPLE, {"minutes": 1}]}, r"instances\[1\].sessions: is missing"),
    ],
)
def test_what_is_no_such_table_is_refused_with_its_place(document: Any, said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        read(document)
    assert refused.value.status == (422 if isinstance(refused.value, Invalid) else 400)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is not JSON"),
        (b'{"instances": ', "the body is not JSON"),
        (b'{"instances": [NaN, }', "the body is not JSON"),
        (b'{"instances": "\xff"}', "the body is not JSON"),
        (b'{"instances": ["\xff", NaN]}', "the body is not JSON"),
        (b'{"instances": ["\\ud800", NaN]}', "the body is not JSON"),
        (json.dumps({"instances": [EXAMPLE]}).replace("12.5", "1e999").encode(), r"instances\[0\].minutes: is inf"),
        (b'{"instances": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"instances": [NaN, ' + b"[" * 100_000, "nested too deeply"),
        (b'{"instances": [NaN, ' + b"9" * 5000 + b"]}", "the body"),
    ],
)
def test_what_is_no_json_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        frames.from_json(CONTRACT, body)
    assert refused.value.status == (422 if isinstance(refused.value, Invalid) else 400)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "csv: is empty|is missing"),
        (b"minutes,minutes\n1,2\n", "column minutes is there twice"),
        (b"minutes,sessions\n1\n", "row 0 of the CSV has 1 cells; the header names 2 columns"),
        (b"minutes\n\xff\n", "the body is not CSV in UTF-8"),
        (b'minutes\n"1\n', "the body is not CSV in UTF-8"),
        (b"minutes\n" + b"1" * 200_000, "the body is not CSV in UTF-8"),
        (b"minutes,sessions,auto,plan,since\n1,2,true,a,2025-06-30", r"csv.plan \[a,b\]: is missing"),
        (b'minutes,sessions,auto,"plan [a,b]",since,comment\n', "csv: is empty"),
        (
            b'minutes,sessions,auto,"plan [a,b]",since,comment\n1,2.5,true,a,2025-06-30,x\n',
            r"csv.sessions\[0\]: is 2.5",
        ),
        (b'minutes,sessions,auto,"plan [a,b]",since,comment\nx,2,true,a,2025-06-30,x\n', r"csv.minutes\[0\]: is 'x'"),
        (b'minutes,sessions,auto,"plan [a,b]",since,comment\n1,2,ja,a,2025-06-30,x\n', r"csv.auto\[0\]: is 'ja'"),
        (b'minutes,sessions,auto,"plan [a,b]",since,comment\ninf,2,yes,a,2025-06-30,x\n', r"csv.minutes\[0\]: is inf"),
    ],
)
def test_what_is_no_such_csv_is_refused_with_its_place(body: bytes, said: str) -> None:
    before = csv.field_size_limit(131_072)  # Python's own, as in the service; reading people's tables lifts it
    try:
        with pytest.raises(Refused, match=said):
            frames.from_csv(CONTRACT, body)
    finally:
        csv.field_size_limit(before)


def test_csv_takes_a_byte_order_mark_and_empty_lines() -> None:
    header = 'minutes,sessions,auto,"plan [a,b]",since,comment,unread'
    body = f"\ufeff{header}\r\n\r\n1.5,2,yes,a,2025-06-30,,x\r\n".encode()
    assert json.loads(frames.from_csv(CONTRACT, body).inputs()[0]) == {
        "minutes": 1.5, "sessions": 2.0, "auto": True, "plan [a,b]": "a", "since": "2025-06-30", "comment": None,
    }  # fmt: skip


def test_parquet_columns_are_read_as_json_would_say_them() -> None:
    import datetime
    import decimal

    columns = {
        "minutes": pa.array([decimal.Decimal("12.50")]),
        "sessions": pa.array([3], pa.uint16()),
        "auto": pa.array([None], pa.bool_()),
        "plan [a,b]": pa.array(["<5"]).dictionary_encode(),
        "since": pa.array([datetime.datetime(2025, 6, 30, 12)], pa.timestamp("us")),
        "comment": pa.array(["x"], pa.large_string()),
        "unread": pa.array([{"a": 1}]),
    }
    table = frames.from_parquet(CONTRACT, parquet(pa.table(columns)), MOST_ROWS, MOST_BYTES)
    assert json.loads(table.inputs()[0]) == {
        "minutes": 12.5, "sessions": 3, "auto": None, "plan [a,b]": "<5", "since": "2025-06-30T12:00:00",
        "comment": "x",
    }  # fmt: skip
    days = pa.table({**columns, "since": pa.array([datetime.date(2025, 6, 30)])})
    assert table.columns["since"] - 0.5 == frames.from_parquet(CONTRACT, parquet(days), 9, MOST_BYTES).columns["since"]


def test_parquet_that_cannot_be_read_is_refused() -> None:
    columns = {name: [value] for name, value in EXAMPLE.items()}
    good = parquet(pa.table(columns))

    def refused(body: bytes, rows: int = MOST_ROWS, size: int = MOST_BYTES) -> Refused:
        with pytest.raises(Refused) as found:
            frames.from_parquet(CONTRACT, body, rows, size)
        return found.value

    for body in (b"", b"PAR1", good[:-20], good[:40] + b"\0" * 40 + good[80:]):
        assert (refused(body).status, refused(body).message[:32]) == (400, "the body is not Parquet that can")
    time = parquet(pa.table({**columns, "comment": pa.array([1], pa.time32("ms"))}))
    assert "column comment: time32[ms] is not read" in refused(time).message
    lists = parquet(pa.table({**columns, "comment": [[1]]}))
    assert "column comment: list<element: int64> is not read" in refused(lists).message
    assert "parquet.comment: is missing" in refused(parquet(pa.table(columns).drop_columns(["comment"]))).message
    assert refused(good, rows=0).status == 413
    assert "unpacks to" in refused(good, size=10).message
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["minutes", "minutes"])
    assert "column minutes is there twice" in refused(parquet(twice)).message


def test_a_small_parquet_file_cannot_become_a_huge_table() -> None:
    rows = 20_000
    columns = {name: pa.repeat(value, rows) for name, value in EXAMPLE.items()}
    columns["comment"] = pa.repeat("x" * 500_000, 1).dictionary_encode().take(pa.array([0] * rows))  # 10 GB of text
    body = parquet(pa.table(columns))
    assert len(body) < 200_000
    before = pa.total_allocated_bytes()
    with pytest.raises(Refused, match="unpacks to 10000000000 bytes or more") as refused:
        frames.from_parquet(CONTRACT, body, rows, 10 << 20)
    assert refused.value.status == 413
    assert pa.total_allocated_bytes() - before < 10 << 20


def test_without_pyarrow_parquet_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.delitem(sys.modules, "api.protocols.parquet", raising=False)
    monkeypatch.delattr(api.protocols, "parquet", raising=False)
    with pytest.raises(Refused, match=r"install api/requirements-parquet.txt \(the extra api\[parquet\]\)") as refused:
        frames.from_parquet(CONTRACT, b"", MOST_ROWS, MOST_BYTES)
    assert refused.value.status == 415
