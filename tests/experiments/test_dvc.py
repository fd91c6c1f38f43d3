"""What DVC itself makes of a run: shows it, applies it, makes a branch of it, sends it to a bare remote and back."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from pathlib import Path

import pytest

from mlops import bundle
from mlops.experiments.tracker import ExperimentTracker
from tests.experiments.conftest import Bundles, Data, experiments
from tests.experiments.test_promotion import linear
from tests.registry.repository import Repository, predictions

pytestmark = pytest.mark.slow


def dvc(folder: Path, *words: str) -> str:
    done = subprocess.run(["dvc", *words], cwd=folder, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_dvc_takes_a_run_for_an_experiment(project: Repository, bundles: Bundles, data: Data, tmp_path: Path) -> None:
    project.version(bundles["v1"], predictions(200))
    (tmp_path / "storage").mkdir()
    project.remote(tmp_path / "storage")
    project.bare()
    tracker = ExperimentTracker()
    with tracker.run("deeper_trees", note="more depth"):
        model = linear(data)
        tracker.log_params({"n_estimators": 200, "mine": 7})
        tracker.log_metrics(model, data.test, data.y_test)
        for step in range(3):
            tracker.log_metric("loss", 1 / (step + 1), step=step)
        tracker.log_plot("roc", (data.y_test, model.predict_proba(data.test)[:, 1]))
        tracker.log_plot("points", [{"depth": 1, "auc": 0.5}, {"depth": 2, "auc": 0.6}], x="depth", y="auc")
        tracker.log_artifact(project.folder / "policy.yaml")
        assert tracker.log_model(model)
    with pytest.raises(ZeroDivisionError), tracker.run("failed"):
        tracker.log_metrics({"roc_auc": 1.0})
        _ = 1 / 0
    shown = list(csv.DictReader(io.StringIO(dvc(project.folder, "exp", "show", "--csv"))))
    row = {r["Experiment"]: r for r in shown}["deeper_trees"]
    metrics = json.loads(
        project.git.text("show", f"{experiments(project)['deeper_trees']}:metrics/evaluate/metrics.json")
    )
    assert float(row["roc_auc"]) == metrics["roc_auc"]
    assert (row["n_estimators"], row["mine"], float(row["loss"])) == ("200", "7", 1 / 3)
    assert {r["Experiment"]: r for r in shown}["failed"]["failed"] == "ZeroDivisionError: division by zero"
    dvc(project.folder, "plots", "diff", "HEAD", "deeper_trees", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots" / "index.html").read_text()
    assert "deeper_trees" in page
    assert "points.json" in page
    dvc(project.folder, "exp", "apply", "deeper_trees")
    assert project.document("params.yaml")["n_estimators"] == 200
    applied = bundle.load(project.folder / "models" / "notebook")
    project.git.raw("reset", "--quiet", "--hard")
    project.git.raw("clean", "--quiet", "-fd")
    project.checkout()
    assert "deeper_trees" in dvc(project.folder, "exp", "push", "origin", "deeper_trees")
    other = project.clone("other")
    assert "deeper_trees" in dvc(other.folder, "exp", "list", "origin", "--all-commits")
    dvc(other.folder, "exp", "pull", "origin", "deeper_trees")
    dvc(other.folder, "exp", "branch", "deeper_trees", "mine")
    other.git.raw("checkout", "--quiet", "mine")
    dvc(other.folder, "checkout", "models/notebook.dvc", "data/notebook.dvc", "artifacts/policy.yaml.dvc")
    assert bundle.load(other.folder / "models" / "notebook").manifest == applied.manifest
    assert (other.folder / "artifacts/policy.yaml").read_bytes() == (project.folder / "policy.yaml").read_bytes()
    assert other.git.text("status", "--porcelain") == ""
    dvc(other.folder, "exp", "remove", "deeper_trees")
    assert not experiments(other)
