"""A repository with a pipeline's commit, a tracker in it, and small frames to fit on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from mlops.experiments.tracker import ExperimentTracker
from tests.registry.conftest import Bundles, bundles
from tests.registry.repository import Repository

__all__ = ["Bundles", "bundles"]


class Data(NamedTuple):
    """Rows to fit on and rows to score: frames of numbers, labels 0 and 1."""

    train: pd.DataFrame
    y_train: pd.Series[int]
    test: pd.DataFrame
    y_test: pd.Series[int]


def frame(rows: int, seed: int, *, missing: bool = False, dtype: str = "float64") -> tuple[pd.DataFrame, Any]:
    """Numbers of several sizes, whole numbers and a boolean, and labels that depend on them."""
    rng = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "spent": rng.normal(size=rows) * 1000,
            "visits": rng.integers(0, 9, rows).astype(float),
            "auto": rng.random(rows) < 0.4,
            "minutes": rng.gamma(2, 3, rows),
            "age": rng.integers(18, 90, rows),
        }
    ).astype({"spent": dtype, "visits": dtype, "minutes": dtype})
    if dtype == "float32":
        made = made.astype(dtype)
    score = made["spent"] / 1000 + made["visits"] / 4 + made["auto"].astype(float) + rng.normal(size=rows)
    if missing:
        made.loc[rng.random(rows) < 0.2, "spent"] = np.nan
        made.loc[rng.random(rows) < 0.1, "visits"] = np.nan
    return made, (score > 1.5).astype(int)


@pytest.fixture(scope="session")
def data() -> Data:
    return Data(*frame(600, 1), *frame(500, 2))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository with one commit; the current folder is one inside it."""
    made = Repository.new(tmp_path / "project")
    inside = made.folder / "notebooks"
    inside.mkdir()
    monkeypatch.chdir(inside)
    return made


@pytest.fixture
def tracker(project: Repository) -> ExperimentTracker:
    return ExperimentTracker()


def experiments(repository: Repository) -> dict[str, str]:
    """Name → commit of all experiments."""
    listed = repository.git.text("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps")
    lines = [line.split(" ") for line in listed.split("\n") if line]
    return {ref.split("/", 4)[4]: commit for ref, commit in lines}
