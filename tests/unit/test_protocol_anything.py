"""Whatever comes, a protocol reads it as rows or refuses it in words; nothing else may happen."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.contract import Table
from api.door.messages import Invalid, Refused
from api.protocols import columns, forms, frames, inference
from tests.unit.protocol_model import INPUTS, contract

CONTRACT = contract()
EXAMPLE = {i["name"]: i["example"] for i in INPUTS}
OUTPUTS = ("churn_probability", "prediction")

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([10**400, ""])
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))

TABLES: list[Any] = [
    {"dataframe_split": {"columns": list(EXAMPLE), "index": [0], "data": [list(EXAMPLE.values())]}},
    {"dataframe_records": [EXAMPLE, EXAMPLE], "params": {"output": "record"}},
    {"instances": [EXAMPLE]},
    {"inputs": {name: [value] for name, value in EXAMPLE.items()}},
]
TENSORS = {
    "id": "1",
    "parameters": {"binary_data_output": True},
    "inputs": [
        {
            "name": f.name,
            "shape": [1, 1],
            "datatype": columns.datatype(f),
            "parameters": {"content_type": "pd"},
            "data": [f.example],
        }
        for f in CONTRACT.fields
    ],
    "outputs": [{"name": "prediction", "parameters": {"binary_data": False}}],
}


@st.composite
def spoiled(draw: st.DrawFn, documents: list[Any]) -> bytes:
    """A good document with one of its parts, at any depth, replaced by anything or left out."""
    document = copy.deepcopy(draw(st.sampled_from(documents)))
    place, key = document, None
    while isinstance(place, (dict, list)) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        holder, key = place, draw(st.sampled_from(keys))
        place = holder[key]
        if draw(st.booleans()):
            break
    if draw(st.booleans()):
        holder[key] = draw(ANYTHING)
    else:
        del holder[key]
    return json.dumps(document).encode()


def outcome(read: Callable[[], Table]) -> Table | Refused:
    try:
        return read()
    except Refused as refused:
        return refused


def checked(read: Callable[[], Table]) -> None:
    """A table, or a refusal that its protocol can say."""
    found = outcome(read)
    if isinstance(found, Table):
        assert len(found.inputs()) == found.n
        for inputs in found.inputs():
            assert msgspec.json.decode(inputs).keys() == EXAMPLE.keys()
        return
    assert found.message
    assert found.status in (400, 413, 422)
    assert isinstance(found, Invalid) == (found.status == 422)
    for form in (forms.error, forms.mlflow):
        assert msgspec.json.decode(form(found).body)


def infer(body: bytes, header: str | None) -> Table:
    return columns.table(CONTRACT, inference.read(body, header, OUTPUTS)[1])


@given(body=spoiled(TABLES) | ANYTHING.map(lambda a: json.dumps(a).encode()) | st.binary())
@settings(deadline=None, max_examples=200)
def test_any_json_for_mlflow(body: bytes) -> None:
    checked(lambda: frames.from_json(CONTRACT, body)[0])


@given(body=spoiled([TENSORS]) | st.binary(), header=st.none() | st.text(max_size=6) | st.integers(0, 2000).map(str))
@settings(deadline=None, max_examples=200)
def test_any_tensors(body: bytes, header: str | None) -> None:
    checked(lambda: infer(body, header))


@given(data=st.data())
@settings(deadline=None, max_examples=200)
def test_any_bytes_behind_the_json(data: st.DataObject) -> None:
    sizes = [data.draw(st.integers(0, 12)) for _ in INPUTS]
    described = [
        {"name": f.name, "shape": [1], "datatype": columns.datatype(f), "parameters": {"binary_data_size": size}}
        for f, size in zip(CONTRACT.fields, sizes, strict=True)
    ]
    text = json.dumps({"inputs": described}).encode()
    body = text + data.draw(st.binary(min_size=sum(sizes), max_size=sum(sizes)))
    checked(lambda: infer(body, str(len(text))))


@given(body=st.text(st.sampled_from('minutes,sessions"\n\r1.5é\0'), max_size=60).map(str.encode) | st.binary())
@settings(deadline=None)
def test_any_csv_and_parquet(body: bytes) -> None:
    checked(lambda: frames.from_csv(CONTRACT, body))
    checked(lambda: frames.from_parquet(CONTRACT, body, 100, 1 << 20))
    checked(lambda: frames.from_parquet(CONTRACT, b"PAR1" + body + b"\x04\0\0\0PAR1", 100, 1 << 20))


def test_long_names_are_not_sent_back_whole() -> None:
    long = "x" * 10_000
    tensor = {**TENSORS["inputs"][0], "name": long}  # type: ignore[index,dict-item]
    for change in ({"shape": [1, 1, 1]}, {"shape": [10**30]}, {"datatype": long}, {"data": [long]}):
        with pytest.raises(Refused) as refused:
            infer(json.dumps({"inputs": [{**tensor, **change}]}).encode(), None)
        assert len(refused.value.message) < 500
