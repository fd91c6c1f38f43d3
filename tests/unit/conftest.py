"""Models that several modules of tests look at; fitted once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops import features
from mlops.features import Plan
from mlops.params import VIEWS, Params, View, parse
from tests.unit.models import (
    KINDS,
    SCHEMA,
    Fitted,
    fitted_on,
    rows_of,
    simulated,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def params() -> Callable[..., View]:
    import yaml

    def view(**changes: Any) -> View:
        document = yaml.safe_load((ROOT / "tests" / "params.yaml").read_text())
        loaded: Params = parse({**document, "n_estimators": 40, **changes})
        return View(loaded, VIEWS["train"])

    return view


@pytest.fixture(scope="session")
def plan() -> Plan:
    return features.plan(SCHEMA, {"sessions": False}, with_sentiment=True)


@pytest.fixture(scope="session")
def fitted(params: Callable[..., View], plan: Plan) -> dict[str, Fitted]:
    train, validation = (rows_of(plan, *simulated(n, seed)) for n, seed in ((1500, 1), (700, 2)))
    changes: dict[str, dict[str, Any]] = {kind: {"model": kind} for kind in KINDS}
    changes["logistic_regression"]["n_estimators"] = None
    return {kind: fitted_on(train, validation, plan, params(**change)) for kind, change in changes.items()}
