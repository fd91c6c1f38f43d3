"""Models that several modules of tests look at; fitted once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops import features
from mlops.batch import delimited, parquet, records, stream
from mlops.bundle import Bundle
from mlops.features import Plan
from mlops.params import VIEWS, Params, View, parse
from mlops.schema import Schema
from tests.unit import gate_sides
from tests.unit.batches import workspace
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


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Many pieces in a small file of a batch; no data/schema.yaml in sight."""
    monkeypatch.setattr(parquet, "BATCH", 37)
    monkeypatch.setattr(delimited, "SAMPLE_BYTES", 3000)
    monkeypatch.setattr(stream, "STEP", 500)
    monkeypatch.setattr(records, "BLOCK", 2000)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def models(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> Path:
    """models/serving/ with a model that knows its rows by the column `customer`."""
    return workspace("xgboost", fitted, plan, tmp_path / "models", id="customer")


@pytest.fixture(scope="session")
def bundle(fitted: dict[str, Fitted], plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A version to judge."""
    return gate_sides.model(fitted["xgboost"], plan, tmp_path_factory.mktemp("gate") / "model")


@pytest.fixture(scope="session")
def narrow(params: Callable[..., View], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model that reads neither region nor minutes."""
    kept = tuple(c for c in SCHEMA.columns if c.name not in ("region", "minutes"))
    plan = features.plan(Schema(kept, ()), {}, with_sentiment=True)
    train, validation = (rows_of(plan, *simulated(n, seed)) for n, seed in ((1500, 1), (700, 2)))
    return gate_sides.model(
        fitted_on(train, validation, plan, params()), plan, tmp_path_factory.mktemp("gate") / "narrow"
    )
