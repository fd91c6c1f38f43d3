"""Experiments as they are read out of refs/exps: whose they are, what they say of themselves, finding and deleting."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlops.errors import ExperimentError
from mlops.experiments import board, filing
from mlops.experiments.compare import compare
from mlops.experiments.compared import Board
from mlops.experiments.frame import frame
from tests.experiments.compared import Compared
from tests.registry.repository import predictions


@pytest.fixture
def project(tmp_path: Path) -> Compared:
    return Compared(tmp_path)


def names(found: Board) -> list[str]:
    return [r.experiment.name for r in found.rows]


def test_metrics_of_the_baseline_are_no_runs_own(project: Compared) -> None:
    head = (project.repository.folder / "metrics/evaluate/metrics.json").read_bytes()
    project.logged("idle", metrics=json.loads(head))
    assert board.read(project.git)[0].metrics == {}


def test_an_experiment_of_an_applied_run_is_the_pipelines(project: Compared) -> None:
    run = project.logged("run", predictions(strength=0.6), note="by hand")
    project.git.raw("merge", "--quiet", "--ff-only", run)
    project.tried("next", predictions(strength=0.8))
    found = {e.name: e for e in board.read(project.git)}
    assert (found["run"].origin, found["run"].note) == ("notebook", "by hand")
    assert (found["next"].origin, found["next"].note) == ("pipeline", None)


def test_a_note_is_what_a_person_said(project: Compared) -> None:
    project.tried("plain", predictions())
    project.tried("deep", predictions(), message="deeper,\nand slower")
    project.logged("logged", metrics={"roc_auc": 0.7}, note="by hand")
    base = project.git.commit("HEAD")
    filing.file(project.git, name="trial", base=base, changes={}, message="of a sweep")
    notes = {e.name: e.note for e in board.read(project.git)}
    assert notes == {"plain": None, "deep": "deeper, and slower", "logged": "by hand", "trial": "of a sweep"}


def test_one_broken_experiment_hides_no_other(project: Compared) -> None:
    project.tried("good", predictions(strength=0.8))
    metrics = "metrics/evaluate/metrics.json"
    project.filed("nan", {metrics: '{"roc_auc": NaN, "f1": "nan", "brier": true}'})
    project.filed("torn", {metrics: '{"roc_auc": 0.9'})
    project.filed("yaml", {"params.yaml": "a: [1\nb: {"})
    found = compare(project.git)
    assert names(found)[:2] == ["good", "yaml"]
    assert {r.experiment.name for r in found.rows if r.rank is None} == {"nan", "torn"}


def test_names_that_two_baselines_share_are_told_apart(project: Compared) -> None:
    first = project.tried("same", predictions(strength=0.8))
    project.version(predictions(strength=0.6))
    second = project.tried("same", predictions(strength=0.9))
    assert [r.label for r in compare(project.git).rows] == [f"same ({second[:7]})", f"same ({first[:7]})"]
    with pytest.raises(ExperimentError, match="2 experiments are called 'same'"):
        board.delete(project.git, "same")
    assert board.delete(project.git, first[:8]).commit == first
    assert [e.commit for e in board.read(project.git)] == [second]


def test_an_unknown_name_is_refused_with_the_nearest(project: Compared) -> None:
    project.tried("deeper_trees", predictions())
    with pytest.raises(ExperimentError, match="did you mean deeper_trees"):
        board.delete(project.git, "deeper_tree")


def test_a_frame_has_a_row_for_each_and_keeps_names_apart(project: Compared) -> None:
    project.logged("one", metrics={"roc_auc": 0.7, "note": 3.0}, params={"layers": 3, "roc_auc": "max"})
    project.logged("two", metrics={"roc_auc": 0.8})
    made = frame(board.read(project.git)).set_index("name")
    assert made.loc["two", "roc_auc"] == 0.8
    assert made.loc["one", "metrics.note"] == 3.0
    assert made.loc["one", "params.roc_auc"] == "max"
    assert made.loc["one", "layers"] == 3
    assert made.loc["one", "model"] == "xgboost"
    assert len(frame([])) == 0
