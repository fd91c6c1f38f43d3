"""What is refused when it is logged, in one line, and what is taken as it is: the run goes on either way."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from mlops.errors import ExperimentError
from mlops.experiments.tracker import ExperimentTracker
from tests.experiments.conftest import Data, experiments
from tests.experiments.test_runs import document
from tests.registry.repository import Repository


@pytest.mark.parametrize("name", ["../../../../evil", "a/../../evil", "a/.git/hooks", ".GIT", "", "a\\b", 5])
def test_names_that_lead_elsewhere(name: Any, project: Repository, tracker: ExperimentTracker) -> None:
    with tracker.run("a") as run:
        before = sorted(path for path in run.folder.rglob("*") if path.is_file())
        for log in (
            lambda: tracker.log_metric(name, 1.0, 0),
            lambda: tracker.log_text(name, "text"),
            lambda: tracker.log_plot(name, [{"x": 1, "y": 2}], x="x", y="y"),
        ):
            with pytest.raises(ExperimentError):
                log()
        assert sorted(path for path in run.folder.rglob("*") if path.is_file()) == before
    assert not list(project.folder.rglob("*evil*"))


def test_a_point_at_an_absolute_path(tmp_path: Path, tracker: ExperimentTracker) -> None:
    with tracker.run("a"), pytest.raises(ExperimentError, match="no name for a file"):
        tracker.log_metric(str(tmp_path / "evil"), 1.0, 0)
    assert not list(tmp_path.glob("evil*"))


def test_curves_whose_names_nest(project: Repository, tracker: ExperimentTracker) -> None:
    with tracker.run("a"):
        for step in range(3):
            tracker.log_metric("loss", step / 2, step)
            tracker.log_metric("loss/train", step, step=np.int64(step))
    commit = experiments(project)["a"]
    for name, last in (("loss", "1.0"), ("loss/train", "2")):
        curve = project.git.read(commit, f"metrics/notebook/plots/metrics/{name}.tsv")
        assert curve is not None
        lines = curve.decode().splitlines()
        assert (lines[0], lines[-1], len(lines)) == (f"step\t{name.rpartition('/')[2]}", f"2\t{last}", 4)
    assert document(project, commit, "metrics/evaluate/metrics.json") == {"loss": 1.0, "loss/train": 2}
    shown = document(project, commit, "dvc.yaml")["plots"]
    assert [plot for plot in shown if "metrics/notebook/plots/metrics" in plot] == [
        {"metrics/notebook/plots/metrics": {"x": "step"}}
    ]


def test_more_curves_than_files_may_be_open(project: Repository, tracker: ExperimentTracker) -> None:
    with tracker.run("a"):
        for step in range(2):
            for number in range(100):
                tracker.log_metric(f"m{number}", step, step)
    commit = experiments(project)["a"]
    for number in (0, 99):
        curve = project.git.read(commit, f"metrics/notebook/plots/metrics/m{number}.tsv")
        assert curve == f"step\tm{number}\n0\t0\n1\t1\n".encode()


def test_what_is_refused_by_its_name(tracker: ExperimentTracker, data: Data, tmp_path: Path) -> None:
    model = DecisionTreeClassifier(max_depth=2).fit(data.train, data.y_train)
    itself: dict[str, Any] = {}
    itself["me"] = itself
    x, y = data.test, data.y_test
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: tracker.log_metric("a", 1.0, "b"), "step='b' is no step"),  # type: ignore[arg-type]
        (lambda: tracker.log_metric("a", 1.0, float("inf")), "step=inf is no step"),  # type: ignore[arg-type]
        (lambda: tracker.log_metrics({"a": 10**400}), "metric a is inf"),
        (lambda: tracker.log_params(itself), "params that hold themselves"),
        (lambda: tracker.log_plot("roc", ([0, 1], [0.1])), "plot roc: .* as many labels"),
        (lambda: tracker.log_plot("roc", ([0, 1], [0.1, float("nan")])), "plot roc: .*NaN"),
        (lambda: tracker.log_plot("p", pd.DataFrame({"a": [1]}), x="a", y="b"), "the points have no 'b'"),
        (lambda: tracker.log_plot("p", [{"step": 1, "b": 2}], x="steps", y="b"), "no 'steps'; did you mean step"),
        (lambda: tracker.log_plot("p", [1, 2], x="a", y="b"), "a list of mappings"),
        (lambda: tracker.log_metrics(model, x, y, train_time_seconds=-1), "train_time_seconds=-1"),
        (lambda: tracker.compare(plot=tmp_path), "is a folder; say what the page"),
    ]
    for wrong in (float("nan"), 1.5, -1, "x", True):
        for name, rows in (("log_model", {"X": x}), ("log_metrics", {"X": x, "y": y})):
            log = functools.partial(getattr(tracker, name), model, **rows, threshold=wrong)
            cases.append((log, "is no probability"))
    with tracker.run("before"):
        tracker.log_metrics({"roc_auc": 0.5})
    with tracker.run("a"):
        for log, said in cases:
            with pytest.raises(ExperimentError, match=said) as caught:
                log()
            assert "\n" not in str(caught.value)
        assert tracker.log_metrics(model, x, y, threshold=np.float32(0.25))["recall"] > 0


def test_texts_of_every_kind(project: Repository, tracker: ExperimentTracker) -> None:
    with tracker.run("a"):
        for name, text in {"bytes": b"x\xff", "number": 5, "words": "ü"}.items():
            tracker.log_text(name, text)
    commit = experiments(project)["a"]
    held = {n: project.git.read(commit, f"metrics/notebook/texts/{n}") for n in ("bytes", "number", "words")}
    assert held == {"bytes": b"x\\xff", "number": b"5", "words": "ü".encode()}


def numbered(x: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(x.to_numpy(dtype=float))


def layered(x: pd.DataFrame) -> pd.DataFrame:
    return x.astype(float).set_axis(pd.MultiIndex.from_product([["a"], x.columns]), axis=1)


@pytest.mark.parametrize("made", [numbered, layered, lambda x: x.to_numpy(dtype=float).tolist()])
def test_columns_without_names_of_their_own_go_by_place(
    made: Callable[[pd.DataFrame], Any], tracker: ExperimentTracker, data: Data
) -> None:
    for number, model in enumerate(
        (DecisionTreeClassifier(max_depth=3), make_pipeline(StandardScaler(), LogisticRegression()))
    ):
        x = made(data.test)
        with tracker.run(f"a{number}") as run:
            model.fit(made(data.train), data.y_train)
            tracker.log_metrics(model, x, data.y_test)
            assert tracker.log_model(model, feature_names=list(data.test.columns) if isinstance(x, list) else None)
        assert run.filed is not None
        loaded = tracker.load_model(run.filed.name)
        named = data.test.set_axis([i.name for i in loaded.bundle.encoder.plan.inputs], axis=1).astype(float)
        assert loaded.predict_proba(named)[:, 1] == pytest.approx(model.predict_proba(x)[:, 1], abs=1e-6)


def test_what_cannot_be_served_costs_no_run(
    project: Repository, tracker: ExperimentTracker, data: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = data.test, data.y_test
    sparse = scipy.sparse.csr_matrix(x.to_numpy(dtype=float))
    odd = GradientBoostingClassifier(n_estimators=2).fit(x, y)
    odd.callback = lambda: 1  # nothing that can be pickled
    broken = DecisionTreeClassifier(max_depth=2).fit(x, y)
    broken.get_params = lambda deep=True: {}["surprise"]
    cases = [
        (DecisionTreeClassifier(max_depth=2).fit(sparse, y), sparse, "X is a sparse matrix"),
        (XGBClassifier(n_estimators=0).fit(x, y), x, "it has no trees"),
        (odd, x, "is not kept"),
        (broken, x, "KeyError: 'surprise'"),
    ]
    for number, (model, rows, said) in enumerate(cases):
        with tracker.run(f"a{number}"):
            tracker.log_metrics(model, rows, y)
            assert not tracker.log_model(model)
        assert said in capsys.readouterr().err
        commit = experiments(project)[f"a{number}"]
        assert document(project, commit, "metrics/evaluate/metrics.json")["roc_auc"] >= 0.5
        assert document(project, commit, "notebook.json")["model"]["state"] == "artifact"


def test_without_an_intercept(tracker: ExperimentTracker, data: Data) -> None:
    x = data.test.astype(float)
    model = LogisticRegression(solver="liblinear", fit_intercept=False).fit(x, data.y_test)
    with tracker.run("a"):
        tracker.log_metrics(model, x, data.y_test)
        assert tracker.log_model(model)
    assert tracker.load_model("a").predict_proba(x) == pytest.approx(model.predict_proba(x), abs=1e-6)


def test_columns_of_one_name(tracker: ExperimentTracker, data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    class Placed(DecisionTreeClassifier):  # type: ignore[misc]
        def predict_proba(self, X: Any, check_input: bool = True) -> Any:
            return super().predict_proba(X.to_numpy())

    x = data.test.set_axis(["a", "b", "c", "d", "d"], axis=1)
    model = Placed(max_depth=2).fit(data.train.to_numpy(), data.y_train)
    with tracker.run("a"):
        assert tracker.log_metrics(model, x, data.y_test)["roc_auc"] > 0.6
        assert not tracker.log_model(model)
    assert "feature_names are 4 different ones" in capsys.readouterr().err
