from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlops import schema
from mlops.errors import SchemaError
from mlops.schema import Column, Derived, Schema

TARGET = {"kind": "target", "positive": "Yes", "negative": "No"}

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda n: not n.startswith("__")
)
words = st.lists(names, max_size=3, unique=True).map(tuple)
features = st.builds(
    Column,
    name=names,
    kind=st.sampled_from(schema.FEATURE_KINDS),
    missing=words,
    format=st.sampled_from([None, "%Y-%m-%d", "%d.%m.%Y"]),
    min=st.none() | st.floats(-1e6, 1e6),
    max=st.none() | st.floats(-1e6, 1e6),
    levels=st.none() | words.filter(bool),
    required=st.booleans(),
    why=st.none() | names,
).filter(lambda c: c.min is None or c.max is None or c.min <= c.max)


@given(st.lists(features, max_size=5, unique_by=lambda c: c.name), names, names)
def test_what_is_written_is_read_back(columns: list[Column], positive: str, negative: str) -> None:
    target = Column("the target", "target", positive=positive, negative=negative)
    made = Schema((*(c for c in columns if c.name != target.name), target))
    text = schema.dump(made)
    assert schema.parse(yaml.load(text, schema._Loader)) == made


def test_words_of_yaml_stay_words() -> None:
    text = (
        "columns:\n"
        "  No: {kind: category, levels: [No, off, 2024-01-05, 01]}\n"
        "  t: {kind: target, positive: Yes, negative: No}\n"
    )
    loaded = schema.parse(yaml.load(text, schema._Loader))
    assert loaded.columns[0].name == "No"
    assert loaded.columns[0].levels == ("No", "off", "2024-01-05", "01")
    assert (loaded.target.positive, loaded.target.negative) == ("Yes", "No")


def test_derived_features_survive() -> None:
    made = Schema(
        (Column("a", "number"), Column("b", "number"), Column("t", "target", positive="1", negative="0")),
        (Derived("a_per_b", "ratio", ("a", "b")),),
    )
    assert schema.parse(yaml.load(schema.dump(made), schema._Loader)) == made


A = {"kind": "number"}


@pytest.mark.parametrize(
    ("columns", "derived", "message"),
    [
        ({}, {}, "no column is kind: target"),
        ({"a": {"kind": "numbr"}, "t": TARGET}, {}, "a: kind 'numbr' is none of .*; did you mean number?"),
        ({"a": {"kind": "number", "mn": 0}, "t": TARGET}, {}, "a: mn is not a known key; did you mean min?"),
        ({"a": {"kind": "number", "min": "low"}, "t": TARGET}, {}, "a: min must be a number, got 'low'"),
        ({"a": {"kind": "category", "levels": "x"}, "t": TARGET}, {}, "a: levels: expected a list, got 'x'"),
        ({"a": {"kind": "date", "format": ["%Y"]}, "t": TARGET}, {}, "a: format must be a str, got"),
        ({"a": {"kind": "number", "required": "perhaps"}, "t": TARGET}, {}, "a: required must be true or false"),
        ({"a": 3, "t": TARGET}, {}, "a: expected {kind: …}"),
        ({"__a": {"kind": "number"}, "t": TARGET}, {}, "__a: names that start with __ are reserved"),
        ({"t": {"kind": "target", "positive": "1"}}, {}, "t: a target needs positive: and negative:"),
        ({"t": TARGET, "u": TARGET}, {}, "t, u are all kind: target"),
        ({"a": {"kind": "number", "min": 3, "max": 1}, "t": TARGET}, {}, "a: min 3 is above max 1"),
        ({"t": TARGET}, {"r": {"ratio": ["a", "t"]}}, "derived r: no column 'a'"),
        ({"t": TARGET, "a": A}, {"r": {"ratio": ["a", "t"]}}, "ratio takes number or boolean columns, t is a target"),
        ({"t": TARGET, "a": A}, {"r": {"rato": ["a", "a"]}}, "rato is none of .*; did you mean ratio?"),
        ({"t": TARGET, "a": A}, {"a": {"ratio": ["a", "a"]}}, "already has a column of that name"),
        ({"t": TARGET, "a": A}, {"r": {"ratio": ["a"]}}, "ratio takes two columns"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(columns: dict[str, Any], derived: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        schema.parse({"columns": columns, "derived": derived})
    assert "\n" not in str(caught.value)
    assert re.match(r"data[/\\]schema.yaml", str(caught.value))


def test_unknown_top_level_key_is_named() -> None:
    with pytest.raises(SchemaError, match=r"colums is not a known key; did you mean columns\?"):
        schema.parse({"columns": {"t": TARGET}, "colums": {}})


def test_a_column_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text("columns:\n  a: {kind: number}\n  a: {kind: text}\n  t: {kind: target, positive: 1, negative: 0}\n")
    with pytest.raises(SchemaError, match=r"a stands there twice\s+in .*, line 3"):
        schema.load(path)


def test_a_key_that_is_a_list_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text("? [a, b]\n: 1\n")
    with pytest.raises(SchemaError, match="is not valid YAML"):
        schema.load(path)
