"""Runs into the registry: compared on the rows that they scored, tagged as a notebook's, served like any version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import mlops
from mlops import bundle
from mlops.errors import ExperimentError, RegistryError, StoreError
from mlops.experiments.tracker import ExperimentTracker
from mlops.registry import show
from mlops.registry.look import here
from mlops.report import pairing, side
from mlops.store.objects import Store
from tests.experiments.conftest import Bundles, Data, experiments, frame
from tests.experiments.test_runs import document
from tests.registry.repository import Repository
from tests.unit import gate_sides

pytestmark = pytest.mark.slow


def linear(data: Data, C: float = 1.0) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=C)).fit(data.train, data.y_train)


@pytest.fixture(scope="module")
def large() -> Data:
    return Data(*frame(600, 1), *frame(800, 2))


def easy(project: Repository) -> None:
    """One row's time on a busy machine, and few rows, are no reason to refuse here."""
    text = (project.folder / "policy.yaml").read_text()
    text = text.replace("max_latency_ms: 1.0", "max_latency_ms: null").replace("min_rows: 500", "min_rows: 100")
    project.write("policy.yaml", text.replace("resamples: 2000", "resamples: 200"))
    project.commit("An easy gate")


def test_a_run_is_promoted(
    project: Repository, tracker: ExperimentTracker, large: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    easy(project)
    with tracker.run("first"):
        model = linear(large)
        tracker.log_metrics(model, large.test, large.y_test)
        assert tracker.log_model(model, feature_names=large.train.columns.tolist())
    commit = experiments(project)["first"]
    assert document(project, commit, "dvc.yaml")["artifacts"]["churn"]["path"] == "models/notebook"
    model_facts = document(project, commit, "notebook.json")["model"]
    assert (model_facts["state"], model_facts["kind"]) == ("served", "logistic_regression")
    assert tracker.promote("first", why="the first") is True
    said = capsys.readouterr().out
    assert "v1.0.0 is prod: tags churn@v1.0.0, churn#prod#1" in said
    record = show.stages(here(), here().picture)["prod"]
    assert (record["commit"], record["origin"]) == (commit, "notebook")
    told = json.loads(project.git.text("show", f"{commit}:metrics/evaluate/intervals.json"))["metrics"]["roc_auc"]
    assert here().facts(here().picture.stages["prod"].object)["metrics"]["roc_auc"] == told
    assert told["low"] < told["value"] < told["high"]
    found = side.load(project.git, Store(project.folder), commit, "first", "churn")
    assert found.bundle.manifest["trained_on"]["rows"] == 600
    assert found.bundle.manifest["decision"] == {"value_saved": 100, "cost_contact": 10, "threshold": "auto"}
    assert tracker.promote("first") is True  # nothing to do
    assert "v1.0.0 is prod already" in capsys.readouterr().out


def test_the_best_that_can_be_promoted(project: Repository, large: Data, capsys: pytest.CaptureFixture[str]) -> None:
    easy(project)
    tracker = ExperimentTracker()
    for name, C in (("weak", 1e-5), ("strong", 1.0)):
        with tracker.run(name):
            model = linear(large, C)
            tracker.log_metrics(model, large.test, large.y_test)
            tracker.log_model(model)
    with tracker.run("numbers"):
        tracker.log_metrics({"roc_auc": 0.999})
    with tracker.run("pickled"):
        other = GradientBoostingClassifier(n_estimators=5).fit(large.train, large.y_train)
        tracker.log_metrics({"roc_auc": 0.99})
        assert not tracker.log_model(other)
    with pytest.raises(ZeroDivisionError), tracker.run("failed"):
        tracker.log_metrics({"roc_auc": 0.9999})
        tracker.log_model(linear(large), X=large.test)
        _ = 1 / 0
    assert "GradientBoostingClassifier is kept as models/notebook-model.joblib" in capsys.readouterr().err
    for name, said in (
        ("failed", r"run failed failed \(ZeroDivisionError: division by zero\)"),
        ("numbers", "run numbers cannot be promoted: nobody called log_model"),
        ("pickled", "run pickled cannot be promoted: its model cannot be served: GradientBoostingClassifier"),
        ("strnog", "there is no experiment 'strnog'; did you mean strong?"),
    ):
        with pytest.raises(ExperimentError, match=said):
            tracker.promote(name)
    for name in ("failed", "pickled"):
        with pytest.raises(StoreError, match=r"was made by no stage|has no dvc\.lock"):
            side.load(project.git, Store(project.folder), experiments(project)[name], name, "churn")
    with pytest.raises(ExperimentError, match=r"promote takes no stge; did you mean stage\?"):
        tracker.promote("strong", stge="prod")
    with pytest.raises(ExperimentError, match=r"no experiment has the metric 'roc_acu'; did you mean roc_auc\?"):
        mlops.promote_best(metric="roc_acu")
    with pytest.raises(RegistryError, match="no experiment that can be promoted"):
        tracker.promote_best("no_such", force=True, why="x") if _log(tracker, "no_such") else None
    assert mlops.promote_best(metric="roc_auc") is True
    values = {
        experiments(project)[n]: document(project, experiments(project)[n], "metrics/evaluate/metrics.json")["roc_auc"]
        for n in ("weak", "strong")
    }
    assert here().picture.stages["prod"].commit == max(values, key=values.__getitem__)


def _log(tracker: ExperimentTracker, metric: str) -> bool:
    with tracker.run("only"):
        tracker.log_metrics({metric: 1.0})
    return True


def test_of_several_of_one_name_heads_is_meant(project: Repository, large: Data) -> None:
    easy(project)
    commits = []
    for message in ("one", "two"):
        project.commit(message)
        tracker = ExperimentTracker()
        with tracker.run("same") as run:
            tracker.log_metrics({"roc_auc": 0.5})
        assert run.filed is not None
        commits.append(run.filed.commit)
    from mlops.experiments import promoting

    assert promoting.find(here(), "same") == commits[1]
    project.commit("three")
    with pytest.raises(ExperimentError, match="2 experiments of other commits are called 'same'"):
        promoting.find(here(), "same")


def features(project: Repository, folder: Path) -> None:
    """data/features and predictions of a pipeline's version, in the working tree and the cache."""
    model = bundle.load(folder)
    plan = model.encoder.plan
    scored = gate_sides.side("any", model, range(2000)).predictions
    tables = {"test": gate_sides.features(plan, range(2000)), "train": gate_sides.features(plan, range(2000, 3600))}
    tables["validation"] = gate_sides.features(plan, range(3600, 4000))
    project.version(folder, scored, features=tables)
    project.tag("churn@v1.0.0", project.git.commit("HEAD"))
    project.tag("churn#prod#1", project.git.commit("HEAD"))


def numbers(project: Repository, name: str) -> tuple[pd.DataFrame, pd.Series[int]]:
    table = pd.read_parquet(project.folder / "data" / "features" / f"{name}.parquet")
    return table[["minutes", "sessions", "auto", "per_session", "since_days"]], table["__y"]


def test_rows_of_data_features_are_compared_with_the_pipelines(
    project: Repository, bundles: Bundles, capsys: pytest.CaptureFixture[str]
) -> None:
    easy(project)
    features(project, bundles["v1"])
    tracker = ExperimentTracker()
    (x_train, y_train), (x, y) = numbers(project, "train"), numbers(project, "test")
    with tracker.run("tree"):
        model = DecisionTreeClassifier(max_depth=4, random_state=0).fit(x_train, y_train)
        tracker.log_metrics(model, x, y)
        assert tracker.log_model(model), capsys.readouterr().err
    commit = experiments(project)["tree"]
    store = Store(project.folder)
    mine = side.load(project.git, store, commit, "tree", "churn")
    assert mine.predictions is not None
    assert mine.predictions.column("p").to_pylist() == np.round(model.predict_proba(x)[:, 1], 6).tolist()
    assert mine.trained().num_rows == 2000
    production = side.load(project.git, store, project.git.commit("HEAD"), "v1.0.0", "churn")
    found = pairing.pair(mine, production, 100)
    assert (found.basis, len(found.y)) == (pairing.SAME, 2000)
    assert "plan [a,b]" in found.groups
    # A feature that the pipeline makes of others is made of them here too: clients send what they always sent.
    inputs = {column["name"]: column["kind"] for column in mine.bundle.signature["inputs"]}
    assert inputs == {"minutes": "number", "sessions": "number", "auto": "boolean", "since": "date"}
    row = {"minutes": 30.0, "sessions": 0.0, "auto": 1.0, "since": 17000.0}
    matrix, _, p = mine.bundle.row(row)
    assert np.isnan(matrix[0, 3])
    live = model.predict_proba(pd.DataFrame(matrix, columns=list(x.columns)))[0, 1]
    assert p == pytest.approx(live, abs=1e-6)
    assert tracker.load_model("tree").bundle.signature == mine.bundle.signature


def test_models_are_loaded_again(project: Repository, tracker: ExperimentTracker, data: Data) -> None:
    with tracker.run("a"):
        model = linear(data)
        tracker.log_model(model)
    with tracker.run("b"):
        tracker.log_metrics({"roc_auc": 0.5})
    loaded = tracker.load_model("a")
    assert loaded.predict_proba(data.test) == pytest.approx(model.predict_proba(data.test), abs=1e-6)
    assert (loaded.predict(data.test) == model.predict(data.test)).all()
    with pytest.raises(ExperimentError, match="the model of a reads 'spent', which the frame lacks"):
        loaded.predict(data.test.drop(columns="spent"))
    with pytest.raises(ExperimentError, match="not what the model of a reads"):
        loaded.predict(data.test.assign(spent="much"))
    with pytest.raises(ExperimentError, match="run b has no model to load: nobody called log_model"):
        tracker.load_model("b")


def test_the_tracker_compares_lists_and_deletes(
    project: Repository, tracker: ExperimentTracker, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("a", 0.6), ("b", 0.7)):
        with tracker.run(name):
            tracker.log_metrics({"roc_auc": value, "inference_time_ms": value})
    tracker.compare(metric="inference_time_ms", top=1)
    assert "best: a" in capsys.readouterr().out
    assert tracker.best().name == "b"
    assert sorted(tracker.to_frame()["roc_auc"]) == [0.6, 0.7]
    tracker.delete("b")
    assert list(experiments(project)) == ["a"]


def test_other_rows_are_nobodys(project: Repository, bundles: Bundles, data: Data) -> None:
    """The baseline's predictions lie in the commit's dvc.lock; they are never taken for the run's own."""
    easy(project)
    features(project, bundles["v1"])
    tracker = ExperimentTracker()
    with tracker.run("own"):
        model = linear(data)
        tracker.log_metrics(model, data.test, data.y_test, keys=range(500), customers=np.arange(500) // 2)
        tracker.log_model(model)
    with tracker.run("unscored"):
        assert tracker.log_model(linear(data))
    store = Store(project.folder)
    own = side.load(project.git, store, experiments(project)["own"], "own", "churn")
    assert own.predictions is not None
    assert own.predictions.column("key").to_pylist() == [str(i) for i in range(500)]
    assert own.predictions.column("customer").to_pylist()[:3] == ["0", "0", "1"]
    with pytest.raises(StoreError, match="nobody knows what its model learnt from"):
        own.trained()
    production = side.load(project.git, store, project.git.commit("HEAD"), "v1.0.0", "churn")
    with pytest.raises(pairing.CannotPairError, match=r"own reads spent, which v1\.0\.0 does not have"):
        pairing.pair(own, production, 100)
    unscored = side.load(project.git, store, experiments(project)["unscored"], "unscored", "churn")
    assert unscored.predictions is None


def test_a_model_of_other_rows_scores_the_pipelines_test_rows(project: Repository, bundles: Bundles) -> None:
    easy(project)
    features(project, bundles["v1"])
    tracker = ExperimentTracker()
    x, y = numbers(project, "train")
    own = x[["minutes", "sessions"]].sample(frac=1, random_state=0).reset_index(drop=True)  # whose rows, nobody knows
    labels = y.sample(frac=1, random_state=0).reset_index(drop=True)
    with tracker.run("own"):
        model = DecisionTreeClassifier(max_depth=4).fit(own[:1000], labels[:1000])
        tracker.log_metrics(model, own[1000:], labels[1000:])
        assert tracker.log_model(model)
    store = Store(project.folder)
    mine = side.load(project.git, store, experiments(project)["own"], "own", "churn")
    production = side.load(project.git, store, project.git.commit("HEAD"), "v1.0.0", "churn")
    for pair in ((mine, production), (production, mine)):
        found = pairing.pair(*pair, 100)
        assert (found.basis, len(found.y)) == (pairing.ONE, 2000)
    scored = numbers(project, "test")[0][["minutes", "sessions"]]
    assert found.p[1] == pytest.approx(model.predict_proba(scored)[:, 1], abs=2e-6)


def test_equal_rows_have_equal_keys_in_every_run(project: Repository, data: Data) -> None:
    easy(project)
    tracker = ExperimentTracker()
    twice = pd.concat([data.test, data.test.iloc[:1]], ignore_index=True)
    labels = pd.concat([data.y_test, data.y_test.iloc[:1]], ignore_index=True)
    for name, C in (("a", 1.0), ("b", 0.1)):
        with tracker.run(name):
            model = linear(data, C)
            tracker.log_metrics(model, twice, labels)
            tracker.log_model(model)
    store = Store(project.folder)
    a, b = (side.load(project.git, store, experiments(project)[n], n, "churn") for n in ("a", "b"))
    found = pairing.pair(a, b, 100)
    assert (found.basis, len(found.y)) == (pairing.SAME, 501)
