"""A contract of every kind of column, and rows for it, for the tests of the protocols. No model stands behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from hypothesis import strategies as st

from api.contract import Contract, Table
from mlops import features
from mlops.bundle import Bundle
from mlops.features import Coded
from mlops.schema import Column, Schema

INPUTS: list[dict[str, Any]] = [
    {"name": "minutes", "kind": "number", "nullable": True, "whole": False, "example": 12.5},
    {"name": "sessions", "kind": "number", "nullable": False, "whole": True, "example": 3},
    {"name": "auto", "kind": "boolean", "nullable": True, "example": True},
    {"name": "plan [a,b]", "kind": "category", "nullable": True, "levels": ["<5", "a,b", "newé"], "example": "a,b"},
    {"name": "since", "kind": "date", "nullable": True, "format": None, "example": "2025-06-30"},
    {"name": "comment", "kind": "text", "nullable": True, "example": "fine"},
]
NUMBERS = INPUTS[:3]


def contract(inputs: Sequence[dict[str, Any]] = INPUTS) -> Contract:
    target = Column("churned", "target", positive="1", negative="0")
    schema = Schema((*(Column(i["name"], i["kind"]) for i in inputs), target), ())
    plan = features.plan(schema, {}, with_sentiment=False)
    signature = {"inputs": list(inputs), "id": "customer_no"}
    return Contract(cast(Bundle, SimpleNamespace(signature=signature, encoder=SimpleNamespace(plan=plan))))


def same(a: Table, b: Table) -> bool:
    """Equal in what the model reads, whose rows they are, and what the log keeps."""
    return (
        a.n == b.n
        and list(a.customers) == list(b.customers)
        and a.columns.keys() == b.columns.keys()
        and all(_equal(a.columns[name], b.columns[name]) for name in a.columns)
        and a.inputs() == b.inputs()
    )


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Coded):
        return isinstance(b, Coded) and a.levels == b.levels and np.array_equal(a.codes, b.codes)
    return np.array_equal(a, b, equal_nan=True)


def _optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DATES = st.dates().map(str)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "minutes": _optional(st.floats(-1e6, 1e6, width=32)),
    "sessions": st.integers(-(2**31), 2**31 - 1),
    "auto": _optional(st.booleans()),
    "plan [a,b]": _optional(st.sampled_from(["<5", "a,b", "newé"]) | TEXTS.filter(bool)),
    "since": _optional(DATES),
    "comment": _optional(TEXTS.filter(bool)),
}
ROW = st.tuples(*VALUES.values(), _optional(TEXTS)).map(
    lambda row: dict(zip((*VALUES, "customer_id"), row, strict=True))
)
ROWS = st.lists(ROW, min_size=1, max_size=6)


def numbers(values: Sequence[Any]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]
