"""A side of a comparison out of a commit: model, scored rows, what it learnt from; and what cannot be had."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from mlops import bundle, production
from mlops.errors import StoreError
from mlops.policy import Gate
from mlops.report import gate, pairing, side
from mlops.report.side import Side
from mlops.store import lock
from mlops.store.objects import Store
from tests.registry.repository import Bundles, Repository, predictions
from tests.unit import gate_sides

POLICY = Gate(resamples=200, max_latency_ms=None)


def loaded(repository: Repository, commit: str, name: str) -> Side:
    return side.load(repository.git, Store(repository.folder), commit, name, "churn")


def tables(first: int, last: int, folder: Path) -> tuple[pa.Table, dict[str, pa.Table]]:
    """Scored rows of one model, and the features of rows on all three sides: test rows are `first` to `last`."""
    model = bundle.load(folder)
    plan = model.encoder.plan
    whole = gate_sides.features(plan, range(first, last))
    scored = gate_sides.side("any", model, range(first, last)).predictions
    learnt = gate_sides.features(plan, range(3000, 3400))
    return scored, {"train": learnt, "validation": learnt.slice(0, 10), "test": whole}


def test_a_side_is_what_the_commit_holds(repository: Repository, bundles: Bundles) -> None:
    scored = predictions(700, 350)
    commit = repository.version(bundles["v1"], scored)
    repository.version(bundles["v2"], predictions(600))  # the working tree holds another one
    found = loaded(repository, commit, "v1.0.0")
    assert (found.name, found.commit) == ("v1.0.0", commit)
    assert found.manifest == production.manifest_digest(bundles["v1"])
    assert found.size == sum(p.stat().st_size for p in bundles["v1"].iterdir())
    assert found.bundle.manifest == bundle.load(bundles["v1"]).manifest
    assert found.predictions is not None
    assert found.predictions.column("p").to_pylist() == scored.column("p").to_pylist()
    assert found.features().num_rows == 700
    assert found.trained().column_names == ["key", "customer"]
    assert found.trained().num_rows == 1400
    told = side.signature(repository.git, Store(repository.folder), commit, "churn")
    assert told == found.bundle.signature


@pytest.mark.parametrize("said", ["0", "999999999999"])
def test_the_size_is_that_of_the_files_whatever_the_lock_says(
    repository: Repository, bundles: Bundles, said: str
) -> None:
    commit = repository.version(bundles["v1"])
    size = sum(p.stat().st_size for p in bundles["v1"].iterdir())
    lock_file = repository.folder / "dvc.lock"
    text = lock_file.read_text()
    assert f"size: {size}\n" in text
    lock_file.write_text(text.replace(f"size: {size}\n", f"size: {said}\n"))
    assert loaded(repository, repository.commit("By hand"), "v1.0.0").size == size
    assert loaded(repository, commit, "v1.0.0").size == size


def test_two_commits_are_judged(repository: Repository, bundles: Bundles) -> None:
    weak = repository.version(bundles["v1"], predictions(3000, 1500, strength=0.3))
    strong = repository.version(bundles["v2"], predictions(3000, 1500, strength=0.9))
    found = gate.judge(loaded(repository, strong, "deeper"), loaded(repository, weak, "v1.0.0"), POLICY)
    assert (found.verdict, found.passed, found.basis) == ("better", True, pairing.SAME)
    assert gate.judge(loaded(repository, weak, "weak"), loaded(repository, strong, "v2"), POLICY).verdict == "worse"


def test_other_rows_are_scored_with_the_model_of_the_other_commit(repository: Repository, bundles: Bundles) -> None:
    scored, features = tables(0, 1000, bundles["v1"])
    old = repository.version(bundles["v1"], scored, features=features)
    scored, features = tables(500, 2000, bundles["v1"])
    new = repository.version(bundles["v1"], scored, features=features)
    sides = loaded(repository, new, "v2"), loaded(repository, old, "v1")
    found = gate.judge(*sides, POLICY)
    assert (found.basis, found.rows) == (pairing.NEITHER, 1500)
    assert found.changes["roc_auc"].difference == 0
    lost = lock.read(repository.git, old).out("data/features")
    assert lost is not None
    repository.object(lost.md5).unlink()
    shared = gate.judge(loaded(repository, new, "v2"), loaded(repository, old, "v1"), POLICY)
    assert (shared.verdict, shared.rows) == ("no worse", 500)
    assert shared.words == "500 test rows that both have"


def test_a_notebooks_model_is_compared_on_the_pipelines_test_rows(repository: Repository, bundles: Bundles) -> None:
    scored, features = tables(0, 1500, bundles["v1"])
    pipeline = repository.version(bundles["v1"], scored, features=features)
    notebook = repository.notebook(bundles["v2"], experiment="mine")
    found = loaded(repository, notebook, "mine")
    assert found.predictions is None
    with pytest.raises(StoreError, match=r"mine \(commit \w{8}\) has no data/features"):
        found.trained()
    judged = gate.judge(found, loaded(repository, pipeline, "v1.0.0"), POLICY)
    assert (judged.basis, judged.rows) == (pairing.ONE, 1500)
    assert "of which nobody knows what it trained on" in judged.words


def test_what_cannot_be_had_is_one_line(repository: Repository, bundles: Bundles, tmp_path: Path) -> None:
    commit = repository.version(bundles["v1"], predictions(600))
    shutil.rmtree(repository.cache)
    with pytest.raises(StoreError, match=r"models/serving"):
        loaded(repository, commit, "v1.0.0")
    broken = tmp_path / "broken"
    shutil.copytree(bundles["v1"], broken)
    (broken / "model.onnx").write_bytes(b"no model")
    commit = repository.version(broken, predictions(600))
    with pytest.raises(StoreError, match=r"model of v2 \(commit \w{8}\) cannot be loaded: models/serving/model.onnx"):
        loaded(repository, commit, "v2")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda t: t.drop_columns("customer"), "it has no column customer"),
        (lambda t: t.set_column(3, "p", pa.array([1.5] * t.num_rows)), "p is not always from 0 to 1"),
        (lambda t: t.set_column(3, "p", pa.array([None] * t.num_rows, pa.float64())), "p is missing somewhere"),
        (lambda t: t.set_column(2, "y", pa.array([2] * t.num_rows)), "y is not always 0 or 1"),
        (lambda t: t.set_column(0, "key", pa.array(["a"] * t.num_rows)), "two rows have one key"),
    ],
)
def test_scored_rows_of_somebodys_own_are_checked(
    repository: Repository, bundles: Bundles, monkeypatch: pytest.MonkeyPatch, wrong: object, said: str
) -> None:
    commit = repository.version(bundles["v1"], predictions(600))
    read = side.columns.read_parquet
    assert callable(wrong)
    monkeypatch.setattr(side.columns, "read_parquet", lambda *given: wrong(read(*given)))
    with pytest.raises(StoreError, match=f"v9 cannot be compared: {said}"):
        loaded(repository, commit, "v9")


def test_keys_may_be_numbers(repository: Repository, bundles: Bundles) -> None:
    scored = predictions(600)
    numbered = scored.set_column(0, "key", pa.array(range(600)))
    commit = repository.version(bundles["v1"], numbered)
    found = loaded(repository, commit, "v1")
    assert gate.judge(found, dataclasses.replace(found, name="v0"), POLICY).basis == pairing.SAME
