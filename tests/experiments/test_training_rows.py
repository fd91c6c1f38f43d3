"""Rows that a model learnt from, and models that cannot be served: whose numbers a run shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from mlops.experiments.tracker import ExperimentTracker
from tests.experiments.conftest import Data, experiments
from tests.experiments.test_chosen import is_of, shown, tree
from tests.experiments.test_runs import document
from tests.registry.repository import Repository


def fitted(data: Data) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=6, random_state=0).fit(data.train, data.y_train)


@pytest.mark.parametrize("order", ["test model train", "test train model", "train test model", "train test copy model"])
def test_training_rows_are_not_the_rows_of_a_run(
    project: Repository, tracker: ExperimentTracker, data: Data, order: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracker.run("a"):
        model = fitted(data)
        for step in order.split():
            if step == "model":
                assert tracker.log_model(model)
            elif step == "test":
                tested = tracker.log_metrics(model, data.test, data.y_test)
            else:
                rows = data.train if step == "train" else data.train.copy()
                assert tracker.log_metrics(model, rows, data.y_train)["roc_auc"] > 0.9
    assert "rows that the model learnt from" in capsys.readouterr().err
    assert shown(project, "a")[0]["roc_auc"] == tested["roc_auc"]
    is_of(project, tracker, data, "a", model)


def test_only_training_rows(
    project: Repository, tracker: ExperimentTracker, data: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracker.run("a"):
        model = fitted(data)
        found = tracker.log_metrics(model, data.train, data.y_train)
        assert "too good" in capsys.readouterr().err
        assert not tracker.log_model(model)
        assert "scored only on the rows that it learnt from" in capsys.readouterr().err
    assert shown(project, "a")[0]["roc_auc"] == found["roc_auc"]
    with tracker.run("b"):  # the best of a search was fitted inside the search
        search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [2, 4]}, cv=2)
        search.fit(data.train, data.y_train)
        tracker.log_metrics(search.best_estimator_, data.train, data.y_train)
        assert "too good" in capsys.readouterr().err
        tracker.log_metrics(search.best_estimator_, data.test, data.y_test)
        assert not tracker.log_model(search)
        assert "log search.best_estimator_" in capsys.readouterr().err
        assert tracker.log_model(search.best_estimator_)
    is_of(project, tracker, data, "b", search)


def test_numbers_of_a_model_that_cannot_be_served(
    project: Repository, tracker: ExperimentTracker, data: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    bayes, other = GaussianNB().fit(data.train, data.y_train), tree(data, 1)
    p = bayes.predict_proba(data.test)[:, 1]
    with tracker.run("before"):
        tracker.log_metrics(bayes, data.test, data.y_test)
        tracker.log_metrics(other, data.test, data.y_test)
        assert not tracker.log_model(bayes)
    with tracker.run("after"):
        tracker.log_metrics(bayes, data.test, data.y_test)
        assert not tracker.log_model(bayes)
        tracker.log_metrics(other, data.test, data.y_test)
        assert "log_model kept another model" in capsys.readouterr().err
    with tracker.run("replaced"):
        tracker.log_metrics(bayes, data.test, data.y_test)
        tracker.log_metrics(other, data.test, data.y_test)
        assert tracker.log_model(other)
        assert not tracker.log_model(bayes)
    for name in ("before", "after", "replaced"):
        assert shown(project, name)[1] == pytest.approx(p, abs=1e-5), name
        assert document(project, experiments(project)[name], "notebook.json")["model"]["class"] == "GaussianNB"


class Slotted:
    """A classifier that nothing can refer to weakly."""

    __slots__ = ("inner",)

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def predict_proba(self, rows: Any) -> Any:
        return np.asarray(self.inner.predict_proba(rows))


def test_a_class_with_slots(project: Repository, tracker: ExperimentTracker, data: Data) -> None:
    model = Slotted(tree(data, 3))
    with tracker.run("a"):
        assert tracker.log_metrics(model, data.test, data.y_test)["roc_auc"] > 0.7
        assert not tracker.log_model(model)
    assert shown(project, "a")[1] == pytest.approx(model.predict_proba(data.test)[:, 1], abs=1e-5)


def test_the_other_label_after_log_model(
    project: Repository, tracker: ExperimentTracker, data: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tree(data, 3)
    with tracker.run("a"):
        tracker.log_metrics(model, data.test, data.y_test)
        assert tracker.log_model(model)
        tracker.log_metrics(model, data.test, data.y_test, positive=0)
        said = capsys.readouterr().err
    assert "positive=" in said
    assert "another model" not in said
    is_of(project, tracker, data, "a", model)
