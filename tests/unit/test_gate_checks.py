"""What is asked of a model besides its metrics: clients, time, size."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mlops.features import Plan
from mlops.policy import Gate
from mlops.report import checks, gate
from mlops.report.checks import incompatible
from tests.unit import gate_sides
from tests.unit.models import Fitted

OLD: dict[str, Any] = {
    "id": "customer_id",
    "inputs": [
        {"name": "plan", "kind": "category", "nullable": True, "levels": ["a"], "example": "a"},
        {"name": "price", "kind": "number", "nullable": False, "whole": False, "example": 1.5},
        {"name": "since", "kind": "date", "nullable": False, "format": "%d/%m/%Y", "example": "2025-06-30"},
    ],
}


def changed(name: str, **facts: Any) -> dict[str, Any]:
    new = copy.deepcopy(OLD)
    for column in new["inputs"]:
        if column["name"] == name:
            column.update(facts)
    return new


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (OLD, []),
        (changed("price", nullable=True), []),
        (changed("plan", kind="text"), []),
        (changed("plan", levels=["b"]), []),
        (changed("plan", nullable=False), ["plan may not be missing any more"]),
        (changed("price", whole=True), ["price must be a whole number now"]),
        (changed("price", kind="category"), ["price was a number and is a category"]),
        (changed("since", format=None), ["since is not read as %d/%m/%Y any more"]),
        ({**OLD, "inputs": OLD["inputs"][1:]}, ["plan is not read any more"]),
        ({**OLD, "inputs": [*OLD["inputs"], {**OLD["inputs"][0], "name": "age"}]}, ["age is a new column"]),
        ({**OLD, "id": None}, ["the id customer_id is not taken any more"]),
    ],
)
def test_clients_of_the_old_version_must_be_taken(new: dict[str, Any], expected: list[str]) -> None:
    assert list(incompatible(OLD, new)) == expected


def test_an_id_may_come_and_numbers_may_get_fractions() -> None:
    assert list(incompatible({**OLD, "id": None}, OLD)) == []
    assert list(incompatible(changed("price", whole=True), OLD)) == []


def test_limits_of_the_policy(fitted: dict[str, Fitted], plan: Plan, tmp_path: Any) -> None:
    bundle = gate_sides.model(fitted["xgboost"], plan, tmp_path / "model")
    other = gate_sides.model(fitted["xgboost"], plan, tmp_path / "other")
    other.signature = copy.deepcopy(other.signature)
    for column in other.signature["inputs"]:
        column["nullable"] = False
    new, old = gate_sides.side("v2", other, None), gate_sides.side("v1", bundle, None)
    tight = Gate(max_latency_ms=1e-6, max_size_mb=0.3)
    found = {c.name: c for c in checks.of_models(new, old, tight)}
    assert {name: c.passed for name, c in found.items()} == {"signature": False, "latency": False, "size": False}
    assert "gate.signature: any allows it" in found["signature"].words
    assert "; and " in found["signature"].words
    assert "limit 1e-06 ms" in found["latency"].words
    assert found["size"].words == "the served model has 0.4 MB, limit 0.3 MB"
    wide = checks.of_models(new, old, Gate(max_latency_ms=1e6))
    assert [c.passed for c in wide] == [False, True, True]
    assert checks.of_models(new, old, Gate(signature="any", max_latency_ms=None, max_size_mb=None)) == []
    assert not gate.judge(new, old, tight).passed


@pytest.mark.parametrize("kind", ["xgboost", "logistic_regression"])
def test_the_time_of_a_row_is_measured_on_every_kind_of_model(
    fitted: dict[str, Fitted], plan: Plan, tmp_path: Any, kind: str
) -> None:
    bundle = gate_sides.model(fitted[kind], plan, tmp_path / "model", kind=kind)
    one, other = checks.milliseconds([bundle, bundle])
    assert 0 < one < 1000
    assert 0 < other < 1000
