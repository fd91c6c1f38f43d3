"""Same inputs, same bytes: other folder, other number of threads, other hash seed, other CPU paths."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.conftest import Workspace

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["xgboost", "random_forest", "hist_gradient_boosting", "logistic_regression"])
def test_two_machines_agree_on_every_digest(make_clone: Callable[..., Workspace], kind: str) -> None:
    locks = []
    one = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1", "NPY_DISABLE_CPU_FEATURES": ""}
    other = {"OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "77", "NPY_DISABLE_CPU_FEATURES": "X86_V4", "TZ": "Asia/Tokyo"}
    for name, extra in (("one", one), ("other", other)):
        workspace = make_clone(name, **extra)
        workspace.small()
        workspace.edit("params.yaml", "customers: 1500", "customers: 600")
        workspace.edit("params.yaml", "model: xgboost", f"model: {kind}")
        if kind != "logistic_regression":
            workspace.edit("params.yaml", "n_estimators: null", "n_estimators: 60")
        workspace.run("dvc repro --quiet")
        locks.append(workspace.read("dvc.lock"))
    assert locks[0] == locks[1]
