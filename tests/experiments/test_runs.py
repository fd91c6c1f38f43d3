"""Runs: what a block leaves as an experiment, whatever happens in it, however many there are at once."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from mlops.errors import ExperimentError, GitError
from mlops.experiments import journal
from mlops.experiments.tracker import ExperimentTracker
from tests.experiments.conftest import Data, experiments
from tests.registry.repository import ROOT, Repository

RUNS = ".dvc/tmp/mlops-runs"


def document(repository: Repository, commit: str, path: str) -> Any:
    content = repository.git.read(commit, path)
    assert content is not None, path
    return json.loads(content) if path.endswith(".json") else yaml.safe_load(content)


def test_the_commit_of_a_run(project: Repository, tracker: ExperimentTracker) -> None:
    before = project.git.text("status", "--porcelain")
    with tracker.run("deeper_trees", note="more depth") as run:
        tracker.log_params({"n_estimators": 200, "train": {"class_weight": "balanced"}, "mine": {"a": 1}})
        tracker.log_params({"train.early_stopping_rounds": np.int64(7), "mine.b": math.nan})
        tracker.log_metrics({"roc_auc": np.float32(0.75), "trees": 3})
        for step in range(3):
            tracker.log_metric("loss", 1 / (step + 1), step=step)
        tracker.log_text("words/why.txt", "because")
    commit = experiments(project)["deeper_trees"]
    assert run.filed is not None
    assert run.filed.commit == commit
    assert project.git.commit(f"{commit}^") == project.git.commit("HEAD")
    assert project.git.text("log", "-1", "--format=%B", commit).split() == ["deeper_trees", "more", "depth"]
    params = document(project, commit, "params.yaml")
    assert params["n_estimators"] == 200
    assert params["train"] == {**params["train"], "class_weight": "balanced", "early_stopping_rounds": 7}
    assert document(project, commit, "notebook.yaml") == {"mine.a": 1, "mine.b": "nan"}
    assert document(project, commit, "metrics/evaluate/metrics.json") == {"roc_auc": 0.75, "trees": 3, "loss": 1 / 3}
    pipeline = document(project, commit, "dvc.yaml")
    assert pipeline["params"] == ["notebook.yaml"]
    assert pipeline["plots"] == [{"metrics/notebook/plots/metrics": {"x": "step"}}]
    assert pipeline["artifacts"] == project.document("dvc.yaml")["artifacts"]
    assert project.git.read(commit, "metrics/notebook/texts/words/why.txt") == b"because"
    assert document(project, commit, "metrics/notebook/metrics.json")["loss"] == 1 / 3
    curve = project.git.read(commit, "metrics/notebook/plots/metrics/loss.tsv")
    assert curve is not None
    assert [line.split()[0] for line in curve.decode().splitlines()] == ["step", "0", "1", "2"]
    record = document(project, commit, "notebook.json")
    assert (record["name"], record["note"], record["state"]) == ("deeper_trees", "more depth", "finished")
    assert record["packages"]["numpy"] == np.__version__
    assert record["seconds"] >= 0
    assert project.git.text("status", "--porcelain") == before
    assert not list((project.folder / RUNS).iterdir())


def test_values_that_params_yaml_would_refuse_stand_beside_it(project: Repository, tracker: ExperimentTracker) -> None:
    with tracker.run("a"):
        tracker.log_params({"model": "CatBoostClassifier", "max_depth": 4, "learning_rate": "fast", "callback": print})
    commit = experiments(project)["a"]
    params = document(project, commit, "params.yaml")
    assert (params["model"], params["max_depth"]) == ("xgboost", 4)
    others = document(project, commit, "notebook.yaml")
    assert others["model"] == "CatBoostClassifier"
    assert others["learning_rate"] == "fast"
    assert "built-in" in others["callback"]


def test_a_run_that_raises_is_kept_as_failed(project: Repository, tracker: ExperimentTracker) -> None:
    with pytest.raises(ZeroDivisionError), tracker.run("bad"):
        tracker.log_params({"max_depth": 4})
        tracker.log_metrics({"roc_auc": 0.99})
        _ = 1 / 0
    with pytest.raises(KeyboardInterrupt), tracker.run("stopped"):
        raise KeyboardInterrupt
    commit = experiments(project)["bad"]
    record = document(project, commit, "notebook.json")
    assert (record["state"], record["error"]) == ("failed", "ZeroDivisionError: division by zero")
    assert document(project, experiments(project)["stopped"], "notebook.json")["error"] == "KeyboardInterrupt"
    assert document(project, commit, "params.yaml")["max_depth"] == 4
    assert document(project, commit, "metrics/notebook/metrics.json") == {"roc_auc": 0.99}
    assert project.git.read(commit, "metrics/evaluate/metrics.json") is None  # nobody takes it for the best
    with tracker.run("next"):
        pass
    assert "next" in experiments(project)


def test_runs_collide_politely_and_replace_when_told(project: Repository, tracker: ExperimentTracker) -> None:
    for value in (0.1, 0.2):
        with tracker.run("a"):
            tracker.log_metrics({"roc_auc": value})
    with tracker.run("a", overwrite=True):
        tracker.log_metrics({"roc_auc": 0.3})
    found = {n: document(project, c, "metrics/evaluate/metrics.json") for n, c in experiments(project).items()}
    assert found == {"a": {"roc_auc": 0.3}, "a-2": {"roc_auc": 0.2}}


@pytest.mark.parametrize("value", [math.nan, math.inf, "0.5", None, True, [1, 2]])
def test_what_is_no_finite_number_is_refused_by_name(
    tracker: ExperimentTracker, project: Repository, value: Any
) -> None:
    with tracker.run("a"):
        with pytest.raises(ExperimentError, match="metric roc_auc is "):
            tracker.log_metrics({"f1": 0.5, "roc_auc": value})
        with pytest.raises(ExperimentError, match="metric roc_auc is "):
            tracker.log_metric("roc_auc", value)
        tracker.log_metrics({"f1": 0.6})
    assert document(project, experiments(project)["a"], "metrics/evaluate/metrics.json") == {"f1": 0.6}


def test_what_is_said_where_nothing_can_be_logged(tracker: ExperimentTracker) -> None:
    with pytest.raises(ExperimentError, match="log_metrics was called outside a run"):
        tracker.log_metrics({"a": 1})
    with pytest.raises(AttributeError, match="log_metricss"):
        _ = tracker.log_metricss
    with tracker.run("outer") as outer:
        with pytest.raises(ExperimentError, match="run outer is open here"), tracker.run("inner"):
            pass
        with pytest.raises(ExperimentError, match="takes a mapping"):
            tracker.log_params([1])
        with pytest.raises(ExperimentError, match="no name for a file"):
            tracker.log_text("../a", "b")
        with pytest.raises(ExperimentError, match="does not exist"):
            tracker.log_artifact("nothing.bin")
    with pytest.raises(ExperimentError, match="run outer is over"):
        outer.log_metrics({"a": 1})
    for name in ("prod", "v1.0.0"):
        with pytest.raises(ExperimentError, match="is the name of a stage or version"), tracker.run(name):
            pass


def test_places_that_hold_no_experiments(tmp_path: Path, project: Repository) -> None:
    with pytest.raises(GitError, match="is in no Git repository"):
        ExperimentTracker(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    Repository(empty).git.raw("init", "--quiet")
    with pytest.raises(GitError, match="has no commit yet"):
        ExperimentTracker(empty)
    (empty / "a").touch()
    Repository(empty).commit("one")
    with pytest.raises(ExperimentError, match=r"has no \.dvc folder"):
        ExperimentTracker(empty)
    assert ExperimentTracker(project.folder / "src").git.folder == project.folder


def test_eight_threads_log_into_runs_of_their_own(project: Repository, tracker: ExperimentTracker) -> None:
    meet = threading.Barrier(8)

    def one(number: int) -> None:
        with tracker.run("same"):
            meet.wait()
            tracker.log_params({"max_depth": number})
            for step in range(3):
                tracker.log_metric("value", number + step, step=step)
            tracker.log_metrics({"roc_auc": number / 10})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(1, 9)))
    found = set()
    for commit in experiments(project).values():
        metrics = document(project, commit, "metrics/evaluate/metrics.json")
        found.add((document(project, commit, "params.yaml")["max_depth"], metrics["roc_auc"], metrics["value"]))
    assert found == {(i, i / 10, i + 2) for i in range(1, 9)}


def _in_a_process(folder: str, number: int) -> None:
    tracker = ExperimentTracker(folder)
    with tracker.run("same"):
        tracker.log_params({"max_depth": number})
        tracker.log_metrics({"roc_auc": number / 10})


@pytest.mark.slow
def test_eight_processes_at_once_on_a_dirty_tree(project: Repository) -> None:
    project.write("params.yaml", "half: written")
    project.write("src/prepare.py", "EDITED = True\n")
    before = project.git.text("status", "--porcelain")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_in_a_process, args=(str(project.folder), i)) for i in range(1, 9)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    found = {
        (
            document(project, c, "params.yaml")["max_depth"],
            document(project, c, "metrics/evaluate/metrics.json")["roc_auc"],
        )
        for c in experiments(project).values()
    }
    assert found == {(i, i / 10) for i in range(1, 9)}
    assert project.git.text("status", "--porcelain") == before


def test_a_forked_child_does_not_end_the_run_of_its_parent(project: Repository, tracker: ExperimentTracker) -> None:
    with tracker.run("parent"):
        child = os.fork()
        if not child:
            code = 1
            try:
                with tracker.run("child"):
                    tracker.log_metrics({"roc_auc": 0.1})
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        tracker.log_metrics({"roc_auc": 0.9})
    found = {n: document(project, c, "metrics/evaluate/metrics.json") for n, c in experiments(project).items()}
    assert found == {"parent": {"roc_auc": 0.9}, "child": {"roc_auc": 0.1}}


def test_artifacts_and_datasets(project: Repository, tracker: ExperimentTracker, data: Data) -> None:
    folder = project.folder / "out"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("A")
    with tracker.run("a"):
        tracker.log_artifact(folder, name="results")
        tracker.log_artifact(folder / "deep" / "a.txt")
        facts = tracker.log_dataset("fitted", data.train, data.y_train)
    commit = experiments(project)["a"]
    assert facts["rows"] == len(data.train)
    assert document(project, commit, "notebook.json")["data"]["fitted"] == facts
    other = data.train.assign(spent=data.train["spent"].where(data.train.index != 3, 0.0))
    with tracker.run("b"):
        assert tracker.log_dataset("fitted", other, data.y_train)["sha256"] != facts["sha256"]
        assert tracker.log_dataset("fitted", data.train.copy(), list(data.y_train))["sha256"] == facts["sha256"]
    (out,) = document(project, commit, "artifacts/a.txt.dvc")["outs"]
    assert project.object(out["md5"]).read_bytes() == b"A"
    assert not os.access(project.object(out["md5"]), os.W_OK) or os.geteuid() == 0
    (out,) = document(project, commit, "artifacts/results.dvc")["outs"]
    assert out == {"md5": out["md5"], "size": 1, "nfiles": 1, "hash": "md5", "path": "results"}
    assert json.loads(project.object(out["md5"]).read_bytes())[0]["relpath"] == "deep/a.txt"
    assert project.git.read(commit, "artifacts/.gitignore") == b"/results\n/a.txt\n"


def test_train_time_is_that_of_fit_inside_the_block(tracker: ExperimentTracker, data: Data) -> None:
    before = LogisticRegression(max_iter=3000).fit(data.train, data.y_train)
    own = LogisticRegression.fit
    with tracker.run("a") as run:
        assert LogisticRegression.fit is not own
        assert "train_time_seconds" not in tracker.log_metrics(before, data.test, data.y_test)
        inside = LogisticRegression(max_iter=3000).fit(data.train, data.y_train)
        fitted = run.fits.of(inside)
        assert fitted is not None
        assert fitted.x is data.train
        found = tracker.log_metrics(inside, data.test, data.y_test)
        assert found["train_time_seconds"] == round(fitted.seconds, 6)
        assert tracker.log_metrics(before, data.test, data.y_test, train_time_seconds=2.5)["train_time_seconds"] == 2.5
    assert LogisticRegression.fit is own


def test_importing_the_package_loads_nothing_heavy() -> None:
    words = (
        "import sys, mlops; from mlops import cli; cli.build();"
        "print([m for m in ('numpy', 'pandas', 'sklearn', 'dvc', 'dvclive', 'pydantic', 'yaml') if m in sys.modules]);"
        "from mlops import ExperimentTracker, promote_best; print(ExperimentTracker.__name__, promote_best.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\nExperimentTracker promote_best\n"


def test_no_run_is_left(project: Repository, tracker: ExperimentTracker) -> None:
    with tracker.run("a"):
        assert len(list((project.folder / RUNS).iterdir())) == 1
        assert not journal.left(project.folder)  # its process works on it
    assert not journal.left(project.folder)
