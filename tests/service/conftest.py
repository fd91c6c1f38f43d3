"""Small models as the pipeline writes them, and the service with one of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops import bundle, features, production
from mlops.model import export
from mlops.params import VIEWS, View, parse
from mlops.schema import Schema
from tests.service.server import ROOT, Server
from tests.unit.models import SCHEMA, fitted_on, rows_of, simulated

COMMIT = "0123456789abcdef0123456789abcdef01234567"
EXAMPLE = {
    "minutes": 42.5,
    "sessions": 3,
    "auto": True,
    "plan [a,b]": "<5",
    "region": "r1",
    "since": "2015-06-30",
    "comment": "hate the crashes",
}
Versions = dict[str, Path]


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    """Versions of 10, 20 and 30 trees, which score the same row otherwise; v4.0.0 does not read the region."""
    narrow = Schema(tuple(c for c in SCHEMA.columns if c.name != "region"), SCHEMA.derived)
    schemas = {"v1.0.0": SCHEMA, "v2.0.0": SCHEMA, "v3.0.0": SCHEMA, "v4.0.0": narrow}
    made = {}
    for trees, (version, schema) in zip((10, 20, 30, 10), schemas.items(), strict=True):
        made[version] = tmp_path_factory.mktemp(version)
        fit_into(made[version], schema, trees)
    return made


def fit_into(folder: Path, schema: Schema, trees: int) -> None:
    """Write a model as the pipeline does."""
    document = yaml.safe_load((ROOT / "tests" / "params.yaml").read_text())
    view = View(parse({**document, "n_estimators": trees}), VIEWS["train"])
    plan = features.plan(schema, {"sessions": False}, with_sentiment=True)
    train, validation = (rows_of(plan, *simulated(n, seed)) for n, seed in ((1200, 1), (600, 2)))
    fitted = fitted_on(train, validation, plan, view)
    files = export.files("xgboost", fitted.model.estimator, fitted.encoder, fitted.model.calibrator, fitted.described)
    facts = {
        "name": "churn",
        "model": "xgboost",
        "score": "log_odds",
        "threshold": fitted.model.threshold,
        "seed": 42,
        "hyperparameters": {"n_estimators": trees},
        "trained_on": {"rows": 1200, "churned": 400, "sha256": "00" * 32},
    }
    bundle.save(folder, files, facts)


@pytest.fixture
def project(tmp_path: Path, versions: Versions) -> Path:
    """A folder with an unpromoted model in models/serving/."""
    shutil.copytree(versions["v1.0.0"], tmp_path / "models" / "serving")
    return tmp_path


def promote(project: Path, versions: Versions, weights: dict[str, float] | None = None, **stages: str) -> None:
    """Make models/production/ serve these versions."""
    root = project / "models" / "production"
    for stage, version in stages.items():
        release: dict[str, Any] = {"name": "churn", "version": version, "stage": stage, "commit": COMMIT}
        release["metrics"] = {"roc_auc": {"value": 0.8, "low": 0.78, "high": 0.82}}
        production.install(versions[version], root, release)
    production.write_state(root, stages, weights)


@pytest.fixture
def start(project: Path) -> Iterator[Callable[..., Server]]:
    """Start the service in the project with given settings; it is stopped at the end."""
    servers: list[Server] = []

    def run(*, wait: int | None = 200, **settings: Any) -> Server:
        servers.append(Server(project, **settings))
        return servers[-1] if wait is None else servers[-1].wait(wait)

    yield run
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, versions: Versions) -> Iterator[Server]:
    """The service with v1.0.0 as prod, for tests that change nothing."""
    folder = tmp_path_factory.mktemp("service")
    promote(folder, versions, prod="v1.0.0")
    server = Server(folder)
    try:
        yield server.wait()
    finally:
        server.stop()
