"""Metrics of any classifier of two classes, against scikit-learn's; and what is said where there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as reference
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from mlops.errors import ExperimentError
from mlops.experiments import measure
from mlops.experiments.tracker import ExperimentTracker
from tests.experiments.conftest import Data, experiments
from tests.experiments.test_runs import document
from tests.registry.repository import Repository

MODELS: dict[str, Any] = {
    "forest": lambda: RandomForestClassifier(20, random_state=0),  # many probabilities of exactly 0.5
    "neighbours": lambda: KNeighborsClassifier(4),
    "bayes": GaussianNB,
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("labels", [(0, 1), ("stays", "leaves"), (False, True)])
def test_metrics_are_scikit_learns(data: Data, name: str, labels: tuple[Any, Any]) -> None:
    def named(y: pd.Series[int]) -> Any:
        return np.array(labels, dtype=object if isinstance(labels[0], str) else None)[y.to_numpy()]

    y_train, y = named(data.y_train), named(data.y_test)
    model = MODELS[name]().fit(data.train, y_train)
    found = measure.predicted(model, data.test, y, labels[1])
    told = measure.metrics(found, measure.ABOVE_HALF, None)
    p = model.predict_proba(data.test)[:, list(model.classes_).index(labels[1])]
    truth, guessed = data.y_test, model.predict(data.test) == labels[1]
    if labels == ("stays", "leaves"):  # the positive one is the first class: 0.5 is its own then
        guessed = p > 0.5
    expected = {
        "roc_auc": reference.roc_auc_score(truth, p),
        "pr_auc": reference.average_precision_score(truth, p),
        "brier": reference.brier_score_loss(truth, p),
        "log_loss": reference.log_loss(truth, np.clip(p, 5e-7, 1 - 5e-7)),
        "f1": reference.f1_score(truth, guessed),
        "precision": reference.precision_score(truth, guessed),
        "recall": reference.recall_score(truth, guessed),
        "accuracy": reference.accuracy_score(truth, guessed),
    }
    assert {key: told[key] for key in expected} == pytest.approx(expected, abs=2e-6)
    assert told["inference_time_ms"] >= 0


def test_what_is_logged_of_a_model(project: Repository, tracker: ExperimentTracker, data: Data) -> None:
    model = MODELS["forest"]().fit(data.train, data.y_train)
    with tracker.run("a"):
        told = tracker.log_metrics(model, data.test, data.y_test, threshold=0.3)
    commit = experiments(project)["a"]
    assert document(project, commit, "metrics/evaluate/metrics.json") == told
    assert told["recall"] > measure.metrics(measure.predicted(model, data.test, data.y_test), 0.5, None)["recall"]
    p = model.predict_proba(data.test)[:, 1]
    profit = np.mean(np.where(p >= 0.3, 100 * data.y_test - 10, 0))
    assert told["expected_profit"] == pytest.approx(profit, abs=1e-5)  # params.yaml: value_saved, cost_contact
    files = project.git.files(commit, "metrics/evaluate")
    assert {path.rpartition("/")[2] for path in files} == {
        "metrics.json", "roc.csv", "precision_recall.csv", "calibration.csv", "gain.csv", "confusion.csv",
    }  # fmt: skip
    record = document(project, commit, "notebook.json")
    assert record["data"]["evaluated"]["rows"] == len(data.test)
    assert record["model"] is None


def test_a_tuned_threshold_is_the_models(tracker: ExperimentTracker, data: Data) -> None:
    model = TunedThresholdClassifierCV(LogisticRegression(max_iter=3000), cv=3).fit(data.train, data.y_train)
    with tracker.run("a"):
        told = tracker.log_metrics(model, data.test, data.y_test)
    assert told["f1"] == pytest.approx(reference.f1_score(data.y_test, model.predict(data.test)), abs=1e-6)


class Broken(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A model that gives no numbers."""

    classes_ = np.array([0, 1])

    def predict_proba(self, x: Any) -> Any:
        return np.full((len(x), 2), np.nan)


def test_what_cannot_be_measured_is_said(tracker: ExperimentTracker, data: Data, project: Repository) -> None:
    model = LogisticRegression(max_iter=3000).fit(data.train, data.y_train)
    x, y = data.test, data.y_test
    three = LogisticRegression(max_iter=3000).fit(data.train, np.arange(len(data.train)) % 3)
    gaps = y.astype(float).where(y.index != 5)
    cases: list[tuple[Any, Any, Any, dict[str, Any], str]] = [
        (SVC().fit(data.train, data.y_train), x, y, {}, "SVC has no predict_proba"),
        (model, x, y[:-1], {}, "X has 500 rows and y 499: give as many labels as rows"),
        (model, x, y.map({0: "no", 1: "yes"}), {}, "y holds '(yes|no)', which the model was not trained on"),
        (model, x, y.astype(str), {}, "y holds '[01]', which the model was not trained on: it knows 0 and 1"),
        (model, x, y * 0, {}, "all 500 rows are 0"),
        (model, x[:0], y[:0], {}, "there are no rows"),
        (model, x, gaps, {}, "y is missing in 1 of 500 rows"),
        (model, x, y, {"positive": "yes"}, "positive='yes' is none of the model's classes: 0, 1"),
        (model, x, y, {"keys": [1, 2]}, "there are 2 keys for 500 rows"),
        (model, x, y, {"keys": [1] * 500}, "two rows have one key"),
        (model, x, y, {"train_time_seconds": float("nan")}, "metric train_time_seconds is nan"),
        (three, x, y, {}, "LogisticRegression tells 3 classes apart"),
        (LogisticRegression(), x, y, {}, "LogisticRegression is not fitted"),
        (Broken(), x, y, {}, "gives 500 probabilities that are no numbers"),
        (model, x, None, {}, "needs rows and labels"),
    ]
    with tracker.run("a"):
        tracker.log_metrics({"roc_auc": 0.5})
        for wrong, rows, labels, named, said in cases:
            with pytest.raises(ExperimentError, match=said):
                tracker.log_metrics(wrong, rows, labels, **named)
    assert document(project, experiments(project)["a"], "metrics/evaluate/metrics.json") == {"roc_auc": 0.5}
