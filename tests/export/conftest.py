"""A repository with experiments of all kinds: of the pipeline, of a notebook, of a sweep, one that failed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from mlops.experiments import filing
from mlops.experiments.tracker import ExperimentTracker
from tests.experiments.conftest import frame
from tests.registry.repository import Repository, predictions
from tests.service.conftest import fit_into
from tests.unit.models import SCHEMA

STEPS = range(3)
MANY = {f"p{i:03}": i for i in range(250)}
PIPELINE = ("pipe-0", "pipe-1")
ALL = {*PIPELINE, "deeper", "odd", "broken", "trial-1"}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What trackers read of the environment is ours, and what an export sets there ends with the test."""
    before = dict(os.environ)
    for name in [n for n in os.environ if n.startswith(("MLFLOW_", "WANDB_"))]:
        monkeypatch.delenv(name)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with a pipeline, one commit and no experiment."""
    return Repository.new(tmp_path / "project")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real model."""
    folder = tmp_path_factory.mktemp("bundle")
    fit_into(folder, SCHEMA, 10)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Repository:
    """Two experiments of the pipeline with learning curves, three runs of a notebook, a trial of a sweep."""
    repository = Repository.new(tmp_path_factory.mktemp("export") / "project")
    _curves(repository)
    repository.version(bundle, predictions(200), message="The first model")
    for number, name in enumerate(PIPELINE):
        repository.version(bundle, predictions(200, seed=number), params={"max_depth": number + 2}, experiment=name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository.folder)
        _notebook(repository)
    _trial(repository)
    return repository


def _curves(repository: Repository) -> None:
    """A pipeline whose training writes curves that DVC keeps."""
    document = repository.document("dvc.yaml")
    document["stages"]["train"]["outs"].append("metrics/train")
    document["stages"]["preprocess"]["outs"].append("data/raw")
    repository.write("dvc.yaml", yaml.safe_dump(document, sort_keys=False))
    repository.write(".gitignore", (repository.folder / ".gitignore").read_text() + "/metrics/train\n/data/raw\n")
    lines = "".join(f"{step}\t{1 / (step + 1)}\n" for step in STEPS)
    repository.write("metrics/train/plots/metrics/validation/log_loss.tsv", f"step\tlog_loss\n{lines}")
    repository.write("data/raw/rows.csv", "a\n1\n")
    repository.commit("Curves")


def _notebook(repository: Repository) -> None:
    tracker = ExperimentTracker()
    (x, y), (test, outcomes) = frame(300, 1), frame(300, 2)
    with tracker.run("deeper", note="more depth, more trees"):
        model = LogisticRegression(max_iter=500).fit(x, y)
        tracker.log_params({"n_estimators": 200, "mine": 7})
        tracker.log_metrics(model, test, outcomes)
        for step in STEPS:
            tracker.log_metric("loss", 1 / (step + 1), step=step)
        tracker.log_text("why? because #1", "of the weather\n")
        tracker.log_artifact(repository.folder / "policy.yaml")
        assert tracker.log_model(model)
    with tracker.run("odd"):
        tracker.log_params({**MANY, "what@you like!": "x" * 7000, "a/../b": [1, 2], "ünï": "é" * 5999})
        tracker.log_metrics({"recall@10": 0.25, "plain": 1.0})
    with pytest.raises(ZeroDivisionError), tracker.run("broken"):
        tracker.log_metrics({"roc_auc": 0.9})
        _ = 1 / 0


def _trial(repository: Repository) -> None:
    """As a sweep files it: measured on other rows than the baseline's test rows, without a model."""
    head = repository.git.commit("HEAD")
    record = {"number": 1, "state": "finished", "seconds": 2.5}
    changes = {
        "metrics/evaluate": None,
        "metrics/sweep/metrics.json": json.dumps({"cv": {"roc_auc": 0.75}}).encode(),
        "sweep.json": json.dumps(record).encode(),
    }
    filing.file(repository.git, name="trial-1", base=head, changes=changes, message="")


def refs(repository: Repository) -> dict[str, str]:
    """Name → commit of all experiments."""
    listed = repository.git.text("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps")
    return {ref.split("/", 4)[4]: commit for ref, commit in (line.split(" ") for line in listed.split("\n"))}


def files_of(folder: Path) -> dict[str, bytes]:
    """Path inside a folder → content."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def rows() -> pa.Table:
    """Scored rows for another version."""
    return predictions(200, seed=9)
