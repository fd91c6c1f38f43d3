"""Other values in YAML files of people: the document changes, the comments do not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mlops.experiments import splice

ROOT = Path(__file__).resolve().parents[2]
PARAMS = (ROOT / "params.yaml").read_text()
PIPELINE = (ROOT / "dvc.yaml").read_text()
SMALL = """# what is tried
a: null   # nothing yet
b: [1, 2] # a list
c:
  d: 0.5  # deep
  e: {f: x, g: "y"}  # deeper
h:
  - 1     # the first
  - 2
"""
KEYS = ["a", "b", "c.d", "c.e.f", "c.e.g", "h"]
TEXTS = st.text(st.characters(codec="utf-8"))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False),
    TEXTS,
)
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(TEXTS, scalars, max_size=3))


def comments(text: str) -> list[str]:
    return re.findall(r"#.*", text)


def dotted(document: Any, key: str) -> Any:
    for part in key.split("."):
        document = document[part]
    return document


@given(st.dictionaries(st.sampled_from(KEYS), values))
def test_values_are_read_back_by_both_readers_of_yaml(given_values: dict[str, Any]) -> None:
    text = splice.with_values(SMALL, given_values)
    kept = [c for c in comments(SMALL) if c != "# the first" or "h" not in given_values]
    assert all(comment in text for comment in kept)
    for document in (yaml.safe_load(text), YAML(typ="safe").load(text)):
        for key in KEYS:
            expected = given_values[key] if key in given_values else dotted(yaml.safe_load(SMALL), key)
            assert dotted(document, key) == expected


def test_only_the_values_own_line_changes_and_its_comment_keeps_its_column() -> None:
    text = splice.with_values(PARAMS, {"max_depth": 10, "data.simulator.seed": 8})
    pairs = [(a, b) for a, b in zip(PARAMS.splitlines(), text.splitlines(), strict=True) if a != b]
    assert [b.split("#")[0].strip() for _, b in pairs] == ["seed: 8", "max_depth: 10"]
    assert all(a.find("#") == b.find("#") for a, b in pairs)


def test_lists_in_blocks_and_keys_without_a_value() -> None:
    text = "a:\n  - 1\n  - 2  # two\n\nb:\nc: {d: 1}\n"
    assert splice.with_values(text, {"a": [3], "b": "x", "c.d": 2}) == "a:\n  [3]  # two\n\nb: x\nc: {d: 2}\n"
    assert splice.has(text, "c.d")
    assert not splice.has(text, "c")


@pytest.mark.parametrize("text", [PIPELINE, "", "plots: []\n", "plots:\n", "plots: [a.csv]\n", "stages: {}\n"])
def test_entries_are_added_to_what_there_is(text: str) -> None:
    before = (yaml.safe_load(text) or {}).get("plots") or []
    item = 'metrics/notebook: {"x": "step"}'
    made = yaml.safe_load(splice.with_items(text, "plots", [item] * 2))
    assert made["plots"] == [{"metrics/notebook": {"x": "step"}}] * 2 + before
    assert {k: v for k, v in made.items() if k != "plots"} == {
        k: v for k, v in (yaml.safe_load(text) or {}).items() if k != "plots"
    }


def test_entries_that_nobody_wants() -> None:
    text = splice.without_items(PIPELINE, "plots", lambda entry: "roc.csv" in entry or "importance.csv" in entry)
    before, after = yaml.safe_load(PIPELINE), yaml.safe_load(text)
    gone = ("ROC", "importance")
    assert after == {**before, "plots": [p for p in before["plots"] if not any(name in p for name in gone)]}
    assert [c for c in comments(PIPELINE) if c not in text] == []
    none = splice.without_items(PIPELINE, "plots", lambda entry: True)
    assert yaml.safe_load(none) == {**before, "plots": []}
    assert splice.without_items("a: 1\n", "plots", lambda entry: True) == "a: 1\n"
    assert yaml.safe_load(splice.without_items("plots:\n- a\n- b", "plots", lambda entry: "b" in entry)) == {
        "plots": ["a"]
    }


def test_entries_of_mappings() -> None:
    made = yaml.safe_load(splice.with_items(PIPELINE, "artifacts", ["other: {path: x}"], listed=False))
    assert list(made["artifacts"]) == ["other", "churn"]
    assert yaml.safe_load(splice.with_items("a: 1\n", "artifacts", ["b: {path: x}"], listed=False)) == {
        "a": 1,
        "artifacts": {"b": {"path": "x"}},
    }
