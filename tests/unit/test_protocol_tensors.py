"""Tensors: JSON and raw bytes say the same, and whatever does not belong together is refused by name."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.contract import Table
from api.door.messages import Invalid, Refused
from api.protocols import columns, inference, tensors
from tests.unit.protocol_model import INPUTS, NUMBERS, ROWS, TEXTS, VALUES, contract, numbers, same

OUTPUTS = ("churn_probability", "prediction")
CONTRACT = contract()

Row = dict[str, Any]


def tensor(name: str, datatype: str, values: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(values)], "data": values, **more}


def table_of(inputs: list[dict[str, Any]]) -> Table:
    _, read = inference.read(json.dumps({"inputs": inputs}).encode(), None, OUTPUTS)
    return columns.table(CONTRACT, read)


def as_json(rows: list[Row], flat: bool) -> list[dict[str, Any]]:
    """One tensor for each column, with null where a value is missing."""
    made = []
    for field in CONTRACT.fields:
        values = [row[field.name] for row in rows]
        shape = [len(rows)] if flat else [len(rows), 1]
        data = values if flat else [[value] for value in values]
        made.append({"name": field.name, "datatype": columns.datatype(field), "shape": shape, "data": data})
    ids = [row["customer_id"] for row in rows]
    return [*made, tensor("customer_id", "BYTES", ids)]


def as_bytes(rows: list[Row]) -> tuple[bytes, int]:
    """A body with every column but the ids as raw bytes: NaN and the empty text are what is missing."""
    described, behind = [], []
    for field in CONTRACT.fields:
        values = [row[field.name] for row in rows]
        datatype = "FP32" if field.kind in ("number", "boolean") and field.nullable else columns.datatype(field)
        given = numbers(values) if datatype == "FP32" else ["" if v is None else v for v in values]
        raw = tensors.to_bytes(datatype, given)
        size = {"binary_data_size": len(raw)}
        described.append({"name": field.name, "datatype": datatype, "shape": [len(rows), 1], "parameters": size})
        behind.append(raw)
    described.append(tensor("customer_id", "BYTES", [row["customer_id"] for row in rows]))
    text = json.dumps({"inputs": described}).encode()
    return text + b"".join(behind), len(text)


@given(rows=ROWS, flat=st.booleans())
@settings(deadline=None)
def test_json_and_raw_bytes_give_the_same_rows(rows: list[Row], flat: bool) -> None:
    from_json = table_of(as_json(rows, flat))
    body, length = as_bytes(rows)
    _, read = inference.read(body, str(length), OUTPUTS)
    assert same(columns.table(CONTRACT, read), from_json)
    assert same(from_json, CONTRACT.from_columns({n: [_as_sent(n, r[n]) for r in rows] for n in rows[0]}))


def _as_sent(name: str, value: Any) -> Any:
    return float(value) if name == "minutes" and value is not None else value


@given(data=st.data(), datatype=st.sampled_from(tensors.DATATYPES))
def test_bytes_are_read_back(data: st.DataObject, datatype: str) -> None:
    values: st.SearchStrategy[Any] = TEXTS
    if datatype == "BOOL":
        values = st.booleans()
    elif datatype in tensors.INTEGERS:
        limits = np.iinfo(tensors.INTEGERS[datatype])
        values = st.integers(int(limits.min), int(limits.max))
    elif datatype in tensors.FLOATS:
        values = st.floats(width=int(datatype[2:]), allow_nan=False)  # type: ignore[arg-type]
    drawn = data.draw(st.lists(values, max_size=5))
    raw = tensors.to_bytes(datatype, drawn)
    assert tensors.from_bytes("t", datatype, (len(drawn),), raw) == drawn


def test_floats_are_rounded_as_their_datatype_holds_them() -> None:
    assert tensors.from_json("t", "FP64", (1,), [0.1]) == [0.1]
    rounded = tensors.from_json("t", "FP32", (1,), [0.1])
    assert rounded == tensors.from_bytes("t", "FP32", (1,), struct.pack("<f", 0.1)) != [0.1]
    assert tensors.from_json("t", "FP16", (2,), [70000, None])[0] == math.inf  # the column then refuses it


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": [3]}, r"tensor minutes: shape \[3\] asks for 3 values, flat or nested like the shape"),
        ({"shape": [2, 2]}, r"shape \[2, 2\] asks for 4 values"),
        ({"shape": [2, 1], "data": [[1.0, 2.0]]}, r"shape \[2, 1\] asks for 2 values"),
        ({"shape": [2], "data": [[1.0], [2.0]]}, r"tensor minutes: value 0 is \[1.0\], which is no FP64"),
        ({"shape": []}, r"shape \[\] is not one of"),
        ({"shape": [2, 1, 1]}, r"shape \[2, 1, 1\] is not one of"),
        ({"shape": [-1]}, r"shape \[-1\] is not one of"),
        ({"shape": [1, 2]}, r"tensor minutes: shape \[1, 2\]; \[rows\] or \[rows, 1\] is needed"),
        ({"datatype": "FLOAT"}, "datatype 'FLOAT' is none; one of BOOL, INT8"),
        (
            {"datatype": "BYTES", "data": ["1", "2"]},
            "tensor minutes: BYTES, but the column is a number; send it as FP64",
        ),
        ({"datatype": "INT8", "data": [1, 200]}, "tensor minutes: value 1 is 200, which is no INT8"),
        ({"datatype": "INT8", "data": [1, 2.5]}, "value 1 is 2.5, which is no INT8"),
        ({"data": [1.0, True]}, "value 1 is True, which is no FP64"),
        ({"data": ["1", 2.0]}, "value 0 is '1', which is no FP64"),
        ({"data": [10**400, 2.0]}, "tensor minutes: a value is too large for FP64"),
        ({"data": [1e300, 2.0], "datatype": "FP32"}, r"inputs.minutes\[0\]: is inf"),
        (
            {"data": {"a": 1}},
            r"the body does not fit: Expected `array \| null`, got `object` - at `\$.inputs\[0\].data`",
        ),
        ({"name": 7}, r"Expected `str`, got `int` - at `\$.inputs\[0\].name`"),
        ({"parameters": {"content_type": "base64"}}, "content_type 'base64' is not read here"),
        ({"parameters": {"binary_data_size": 16}}, "either data or parameters.binary_data_size is needed"),
        ({"data": None}, "either data or parameters.binary_data_size is needed"),
        ({"data": None, "parameters": {"binary_data_size": 16}}, "needs the header Inference-Header-Content-Length"),
        ({"name": "mintes"}, "inputs.minutes: is missing"),
        ({"name": "mintes", "shape": [2, 1]}, r"inputs.minutes: is missing.*inputs.mintes: is no column of this model"),
        (
            {"name": "x", "shape": [1, 2]},
            r"tensor x is no column of this model. One matrix .* plan \[a,b\] is a category",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    rows: list[Row] = [{i["name"]: i["example"] for i in INPUTS} | {"customer_id": None}] * 2
    good = as_json(rows, flat=True)
    assert table_of(good).n == 2
    with pytest.raises(Refused, match=said) as refused:
        table_of([good[0] | change, *good[1:]])
    assert refused.value.status in (400, 422)


def test_unknown_missing_repeated_and_no_tensors_are_refused() -> None:
    rows: list[Row] = [{i["name"]: i["example"] for i in INPUTS} | {"customer_id": None}]
    good = as_json(rows, flat=True)
    with pytest.raises(Invalid, match=r"inputs.extra: is no column of this model"):
        table_of([*good, tensor("extra", "FP64", [1.0])])
    with pytest.raises(Invalid, match=r"inputs.comment: is missing"):
        table_of([t for t in good if t["name"] != "comment"])
    with pytest.raises(Refused, match=r"column minutes is there twice"):
        table_of([*good, good[0]])
    with pytest.raises(Refused, match=r"inputs is empty"):
        table_of([])
    with pytest.raises(Invalid, match=r"inputs.sessions\[0\]: is 1.5; training saw whole numbers only"):
        table_of([t if t["name"] != "sessions" else tensor("sessions", "FP64", [1.5]) for t in good])
    with pytest.raises(Invalid, match=r"inputs.sessions\[0\]: is null"):
        table_of([t if t["name"] != "sessions" else tensor("sessions", "FP64", [math.nan]) for t in good])


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("x", "is 'x'; the length in bytes of the JSON is needed"),
        ("-1", "is '-1'"),
        ("99999", "is '99999'"),
        ("9" * 5000, "is '99999999999999999999'"),
        ("5", "the body is not JSON"),
    ],
)
def test_a_wrong_length_of_the_json_is_refused(header: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        inference.read(b'{"inputs": []}', header, OUTPUTS)


def test_bytes_that_are_too_many_too_few_or_no_text_are_refused() -> None:
    def read(datatype: str, rows: int, raw: bytes, size: Any = None) -> Any:
        size = len(raw) if size is None else size
        given = {"name": "t", "datatype": datatype, "shape": [rows], "parameters": {"binary_data_size": size}}
        text = json.dumps({"inputs": [given]}).encode()
        return inference.read(text + raw, str(len(text)), OUTPUTS)[1][0].values

    assert read("BYTES", 2, b"\x01\0\0\0a\0\0\0\0") == ["a", ""]
    for datatype, rows, raw, size, said in [
        ("FP64", 2, b"\0" * 12, None, "asks for 2 values of FP64, its bytes hold 1.5"),
        ("BYTES", 1, b"\x01\0\0\0a" * 2, None, "asks for 1 values of BYTES, its bytes hold 2"),
        ("BYTES", 1, b"\x09\0\0\0a", None, "its bytes end inside value 0"),
        ("BYTES", 1, b"\x01\0", None, "its bytes end inside value 0"),
        ("BYTES", 1, b"\x01\0\0\0\xff", None, "value 0 is not UTF-8"),
        ("BOOL", 2, b"\x01\x02", None, "value 1 is byte 2; a BOOL is 0 or 1"),
        ("FP64", 1, b"\0" * 8, 9, "binary_data_size is 9, but only 8 bytes are left"),
        ("FP64", 1, b"\0" * 9, 8, "1 bytes behind the JSON belong to no tensor"),
        ("FP64", 1, b"\0" * 8, "8", "binary_data_size is no number of bytes"),
        ("FP64", 1, b"\0" * 8, -1, "binary_data_size is no number of bytes"),
    ]:
        with pytest.raises(Refused, match=said):
            read(datatype, rows, raw, size)


@given(rows=st.lists(st.fixed_dictionaries({i["name"]: VALUES[i["name"]] for i in NUMBERS}), min_size=1, max_size=4))
def test_one_matrix_is_taken_where_all_columns_are_numbers(rows: list[Row]) -> None:
    model = contract(NUMBERS)
    flat = [None if v is None else float(v) for row in rows for v in (row[name] for name in model.names)]
    matrix = inference.Tensor("anything", "FP64", (len(rows), 3), flat)
    expected = model.from_columns({n: [_as_sent(n, row[n]) for row in rows] for n in rows[0]})
    taken = columns.table(model, [matrix])
    assert all(np.array_equal(taken.columns[n], expected.columns[n], equal_nan=True) for n in expected.columns)  # type: ignore[arg-type]
    with pytest.raises(Refused, match=r"shape \[1, 2\]; numbers of shape \[rows, 3\] are needed"):
        columns.table(model, [inference.Tensor("x", "FP64", (1, 2), [1.0, 2.0])])
    with pytest.raises(Refused, match=r"column sessions is there twice"):
        columns.table(model, [inference.Tensor("sessions", "FP64", (len(rows),), flat[: len(rows)]), matrix])
    with pytest.raises(Refused, match=r"BYTES of shape \[1, 3\]"):
        columns.table(model, [inference.Tensor("x", "BYTES", (1, 3), ["1", "2", "3"])])


def test_an_empty_text_is_missing_only_where_no_level_is_empty() -> None:
    levels = [{**INPUTS[3], "levels": ["", "a"]}, {**INPUTS[5], "nullable": False}]
    given = [inference.Tensor(i["name"], "BYTES", (1,), [""]) for i in levels]
    assert columns.table(contract(levels), given).given == {"plan [a,b]": [""], "comment": [""]}
    nullable = columns.table(contract([INPUTS[3], INPUTS[5]]), given)
    assert nullable.given == {"plan [a,b]": [None], "comment": [None]}


def test_outputs_are_selected_and_written_raw_where_that_is_asked() -> None:
    made = {
        "p": inference.Tensor("p", "FP64", (2,), [0.25, 0.5]),
        "v": inference.Tensor("v", "BYTES", (2,), ["é", ""]),
    }

    def asked(**more: Any) -> inference.Asked:
        return inference.read(json.dumps({"inputs": [], **more}).encode(), None, made)[0]

    plain = inference.write({"id": "1"}, made, asked())
    assert plain.json_length is None
    assert json.loads(plain.body) == {
        "id": "1",
        "outputs": [
            {"name": "p", "datatype": "FP64", "shape": [2], "data": [0.25, 0.5]},
            {"name": "v", "datatype": "BYTES", "shape": [2], "data": ["é", ""]},
        ],
    }
    only = json.loads(inference.write({}, made, asked(outputs=[{"name": "v"}])).body)
    assert [output["name"] for output in only["outputs"]] == ["v"]
    raw = inference.write({}, made, asked(parameters={"binary_data_output": True}))
    assert raw.json_length is not None
    text, behind = raw.body[: raw.json_length], raw.body[raw.json_length :]
    assert [output["parameters"] for output in json.loads(text)["outputs"]] == [
        {"binary_data_size": 16},
        {"binary_data_size": 10},
    ]
    assert behind == struct.pack("<dd", 0.25, 0.5) + b"\x02\0\0\0\xc3\xa9\0\0\0\0"
    outputs = [{"name": "p", "parameters": {"binary_data": True}}, {"name": "v"}]
    mixed = inference.write({}, made, asked(outputs=outputs))
    assert mixed.body[mixed.json_length :] == struct.pack("<dd", 0.25, 0.5)
    with pytest.raises(Refused, match=r"output q is none; there are p, v"):
        asked(outputs=[{"name": "q"}])
    with pytest.raises(Refused, match=r"output p is asked for twice"):
        asked(outputs=[{"name": "p"}, {"name": "v"}] + [{"name": "p"}] * 100_000)
