"""A run of several models: the rows, numbers and curves that it shows are those of the model that it keeps."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

from mlops.experiments.tracker import ExperimentTracker
from mlops.store.lock import Out
from mlops.store.objects import Store
from tests.experiments.conftest import Data, experiments
from tests.experiments.test_runs import document
from tests.registry.repository import Repository


def tree(data: Data, depth: int) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=depth, random_state=0).fit(data.train, data.y_train)


def shown(project: Repository, name: str) -> tuple[dict[str, float], Any]:
    """The metrics of a run, and the probabilities of its scored rows."""
    commit = experiments(project)[name]
    (entry,) = document(project, commit, "data/notebook.dvc")["outs"]
    store = Store(project.folder)
    path = store.file(store.listing(Out("data/notebook", entry["md5"], 0, None))["test.parquet"])
    metrics = document(project, commit, "metrics/evaluate/metrics.json")
    return metrics, pq.read_table(path).column("p").to_numpy()


def is_of(project: Repository, tracker: ExperimentTracker, data: Data, name: str, model: Any) -> None:
    """The run keeps this model, and whatever it shows is this model's."""
    p = model.predict_proba(data.test)[:, 1]
    metrics, rows = shown(project, name)
    assert rows == pytest.approx(p, abs=1e-5)
    assert metrics["roc_auc"] == pytest.approx(roc_auc_score(data.y_test, p), abs=1e-5)
    assert tracker.load_model(name).predict_proba(data.test)[:, 1] == pytest.approx(p, abs=1e-5)
    commit = experiments(project)[name]
    intervals = document(project, commit, "metrics/evaluate/intervals.json")
    assert intervals["metrics"]["roc_auc"]["value"] == metrics["roc_auc"]
    curve = project.git.read(commit, "metrics/evaluate/plots/roc.csv")
    assert curve is not None
    points = np.array([line.split(",")[:2] for line in curve.decode().splitlines()[1:]], dtype=float)
    points = points[np.lexsort(points.T)]
    assert abs(np.trapezoid(points[:, 1], points[:, 0])) == pytest.approx(metrics["roc_auc"], abs=0.01)


def test_the_best_of_a_loop(project: Repository, tracker: ExperimentTracker, data: Data) -> None:
    models = [tree(data, depth) for depth in (5, 3, 1)]
    with tracker.run("loop"):
        scores = [tracker.log_metrics(model, data.test, data.y_test)["roc_auc"] for model in models]
        best = models[int(np.argmax(scores))]
        assert tracker.log_model(best)
    assert best is not models[-1]
    is_of(project, tracker, data, "loop", best)


def test_another_model_after_log_model_replaces_nothing(
    project: Repository, tracker: ExperimentTracker, data: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, other = tree(data, 4), tree(data, 1)
    with tracker.run("a"):
        tracker.log_metrics(kept, data.test, data.y_test, train_time_seconds=1.5)
        assert tracker.log_model(kept)
        assert tracker.log_metrics(other, data.test, data.y_test)["roc_auc"] < 0.8
        assert "log_model kept another model" in capsys.readouterr().err
    is_of(project, tracker, data, "a", kept)
    assert shown(project, "a")[0]["train_time_seconds"] == 1.5
    with tracker.run("b"):  # the last model that is logged, wherever it was scored
        tracker.log_metrics(other, data.test, data.y_test, train_time_seconds=1.5)
        tracker.log_model(other)
        tracker.log_metrics(kept, data.test, data.y_test)
        tracker.log_model(kept)
    is_of(project, tracker, data, "b", kept)
    assert "train_time_seconds" not in shown(project, "b")[0]  # the other's


def test_a_model_that_was_never_scored_is_not_promotable(
    project: Repository, tracker: ExperimentTracker, data: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    scored, logged = tree(data, 4), tree(data, 1)
    again = tree(data, 3)
    with tracker.run("other"):
        tracker.log_metrics(scored, data.test, data.y_test)
        assert not tracker.log_model(logged)
    with tracker.run("again"):
        tracker.log_metrics(again, data.test, data.y_test)
        again.set_params(max_depth=1).fit(data.train, data.y_train)
        assert not tracker.log_model(again)
    assert capsys.readouterr().err.count("call log_metrics(model, X, y) with the model that is logged") == 2
    for name in ("other", "again"):
        commit = experiments(project)[name]
        assert document(project, commit, "notebook.json")["model"]["state"] == "artifact"
        assert project.git.read(commit, "models/notebook.dvc") is None
    with tracker.run("checked"):  # with rows of its own, and another's metrics after it: it has none
        assert tracker.log_model(logged, X=data.test)
        tracker.log_metrics(scored, data.test, data.y_test)
    commit = experiments(project)["checked"]
    assert project.git.read(commit, "data/notebook.dvc") is None
    assert project.git.read(commit, "metrics/evaluate/metrics.json") is None


def test_the_same_model_in_another_object(project: Repository, tracker: ExperimentTracker, data: Data) -> None:
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [2, 4]}, cv=2)
    with tracker.run("search"):
        search.fit(data.train, data.y_train)
        tracker.log_metrics(search, data.test, data.y_test, threshold=0.3)
        assert tracker.log_model(search.best_estimator_)
    is_of(project, tracker, data, "search", search)
    assert tracker.load_model("search").bundle.threshold == 0.3
    best = None
    with tracker.run("copy"):
        for depth in (4, 1):
            model = tree(data, depth)
            tracker.log_metrics(model, data.test, data.y_test)
            best = best or copy.deepcopy(model)
        assert tracker.log_model(best)
    is_of(project, tracker, data, "copy", best)


def test_fitted_again_and_scored_again(project: Repository, tracker: ExperimentTracker, data: Data) -> None:
    model = LogisticRegression(max_iter=3000)
    with tracker.run("a"):
        for strength in (0.001, 1.0, 0.001):
            model.set_params(C=strength).fit(data.train, data.y_train)
            if strength == 1.0 or "first" not in locals():
                first = tracker.log_metrics(model, data.test, data.y_test)
        assert tracker.log_model(model)  # as it was when it was scored first
    is_of(project, tracker, data, "a", model)


def test_a_later_model_that_cannot_be_served_leaves_no_other_behind(
    project: Repository, tracker: ExperimentTracker, data: Data
) -> None:
    good, other = tree(data, 3), tree(data, 1)
    with tracker.run("a"):
        tracker.log_metrics(good, data.test, data.y_test)
        assert tracker.log_model(good)
        assert not tracker.log_model(other)
    commit = experiments(project)["a"]
    assert project.git.read(commit, "models/notebook.dvc") is None
    assert project.git.read(commit, "models/notebook-model.joblib.dvc") is not None
    with tracker.run("b"):
        tracker.log_metrics(good, data.test, data.y_test)
        assert not tracker.log_model(other)
        assert tracker.log_model(good)
    commit = experiments(project)["b"]
    assert project.git.read(commit, "models/notebook-model.joblib.dvc") is None
    assert json.loads(project.git.read(commit, "notebook.json") or b"")["model"]["state"] == "served"
