"""Params of many commits are read in pieces: what comes out is what reading each file whole gives."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mlops.experiments.documents import Reader, flat

LETTERS = st.text("abcXYZ_ '\":#{}[]&*-\n", max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False) | LETTERS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LETTERS, inner, max_size=3), max_leaves=6
)
KEYS = st.from_regex(r"\A[A-Za-z_][A-Za-z_]{0,5}\Z")


def whole(text: str) -> dict[str, Any]:
    """As DVC reads it."""
    document = YAML(typ="safe", pure=True).load(text)
    return flat(document) if isinstance(document, dict) else {}


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=5), min_size=1, max_size=3), st.booleans(), st.data())
def test_pieces_and_wholes_agree(documents: list[dict[str, Any]], flow: bool, data: st.DataObject) -> None:
    reader = Reader()
    for document in documents:
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=flow)
        lines = text.split("\n")
        at = data.draw(st.integers(0, len(lines)))
        if at == 0:  # a comment anywhere else may stand inside a text
            lines.insert(0, "# what people say: {of it")
        assert reader.flat("\n".join(lines).encode()) == flat(document)


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x\n",
        "a: &x {c: 1}\nb:\n  <<: *x\n  d: 2\n",
        'a: "one\n  b: two"\nc: 3\n',
        "a: |\n  b: 1\n\n  c: 2\nd: 4 # last\n",
        "# first\n\na: 1   # one\n# between\nb: 2.50\n\n",
        "a: [1,\n  2]\nb: {c: 1,\n  d: null}\n",
        "{a: 1, b: {c: 2}}\n",
        "---\na: 1\n",
        "a:\n- 1\n- b: 2\n",
        "a: 1\n  2\n",
        "a: -0.5\nb: 1.5e-3\nc: 1e-3\nd: -1e5\n",
        "a: 2026-04-01\nb: 2026-04\n",
        "a: 012abc\nb: 0\nc: -7\n",
        '"a": 1\nb: 2\n',
        "a:\n  b:\n    c: 1\n  d: {}\n",
        "",
        "# nothing\n",
        "- 1\n- 2\n",
        "just words\n",
    ],
)
def test_what_people_write(text: str) -> None:
    expected = whole(text)
    found = Reader().flat(text.encode())
    assert {k: str(v) for k, v in found.items()} == {k: str(v) for k, v in expected.items()}


def test_what_is_no_yaml_is_empty() -> None:
    for content in (b"a: [1\nb: {", b"\xff\xfe\x00", b"a: b: c", b"a: *nobody\n", None):
        assert Reader().flat(content) == {}


def test_what_is_equal_in_many_files_is_read_once() -> None:
    reader = Reader()
    first, second = (reader.flat(f"a: {i}\nb:\n  c: [1, 2]\n".encode()) for i in range(2))
    assert first["b.c"] is second["b.c"]
    assert (first["a"], second["a"]) == (0, 1)
