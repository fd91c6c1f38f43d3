"""A working tree in which a pipeline ran again beside what a commit's dvc.lock recorded, and the answer told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.errors import StoreError
from mlops.git import Git
from mlops.store import digest
from mlops.store.lock import Lock, Out, Stage, read
from mlops.store.objects import Store
from mlops.verify.compare import Comparison
from mlops.verify.proof import CANNOT, DIFFERENT, EQUAL, SAME, OutProof, Proof, StageProof, worst
from tests.registry.repository import Bundles, Repository

Compare = Callable[[], dict[str, OutProof]]


@pytest.fixture
def made(repository: Repository, bundles: Bundles) -> str:
    """A version; the working tree is taken for its rebuild."""
    return repository.version(bundles["v2"])


@pytest.fixture
def compared(repository: Repository, made: str, tmp_path: Path) -> Compare:
    """Compares the working tree as it is when called with what the version recorded."""

    def compare() -> dict[str, OutProof]:
        lock, store = read(repository.git, made), Store(repository.folder)
        stages = Comparison(repository.git, store, lock, repository.folder, tmp_path / "scratch").stages()
        return {out.path: out for stage in stages for out in stage.outs}

    return compare


def scored(repository: Repository, step: float, row: int = 7) -> None:
    """Move one stored probability."""
    path = repository.folder / "data/predictions/test.parquet"
    table = pq.read_table(path)
    p = table.column("p").to_numpy().copy()
    p[row] += step
    pq.write_table(table.set_column(table.column_names.index("p"), "p", pa.array(p)), path)


def test_untouched_outputs_are_the_same_bytes(compared: Compare) -> None:
    found = compared()
    assert set(found) == {"data/features", "models/serving", "data/predictions", "metrics/evaluate"}
    assert {(out.verdict, out.words) for out in found.values()} == {(SAME, ())}
    assert all(out.recorded == out.rebuilt for out in found.values())


@pytest.mark.parametrize(("step", "verdict"), [(4e-7, EQUAL), (0.01, DIFFERENT)])
def test_another_probability(repository: Repository, compared: Compare, step: float, verdict: str) -> None:
    scored(repository, step)
    found = compared()
    out = found.pop("data/predictions")
    assert out.verdict == verdict
    assert out.words[0].startswith(f"test.parquet: column p: 1 of 600 rows, largest |difference| {step:.3g} (row 7: ")
    assert {other.verdict for other in found.values()} == {SAME}


def test_metrics_are_compared_with_those_in_git(repository: Repository, compared: Compare) -> None:
    path = repository.folder / "metrics/evaluate/metrics.json"
    metrics = json.loads(path.read_bytes())
    path.write_text(json.dumps({**metrics, "brier": 0.5}))
    out = compared()["metrics/evaluate"]
    assert out.verdict == DIFFERENT
    assert out.words == (f"metrics.json: brier {metrics['brier']} recorded, 0.5 rebuilt",)


def test_a_file_more_and_a_file_less(repository: Repository, compared: Compare) -> None:
    (repository.folder / "data/features/validation.parquet").rename(repository.folder / "data/features/odd.parquet")
    out = compared()["data/features"]
    assert out.verdict == DIFFERENT
    assert out.words == (
        "odd.parquet: only in what was rebuilt",
        "validation.parquet: only in what was recorded",
    )


def test_an_output_that_was_not_made(repository: Repository, compared: Compare) -> None:
    shutil.rmtree(repository.folder / "models/serving")
    out = compared()["models/serving"]
    assert (out.verdict, out.rebuilt, out.words) == (DIFFERENT, None, ("was not made",))


def test_another_model_tells_its_trees_first(repository: Repository, compared: Compare, bundles: Bundles) -> None:
    shutil.rmtree(repository.folder / "models/serving")
    shutil.copytree(bundles["v1"], repository.folder / "models/serving")
    words = compared()["models/serving"].words
    assert words[0] == "trees.npy: 20 trees recorded, 10 rebuilt"
    assert words[-1].startswith("and ")


def test_a_digest_that_nobody_has_is_different(repository: Repository, bundles: Bundles, tmp_path: Path) -> None:
    """A lock edited by hand: what it names was never made."""
    made = repository.version(bundles["v1"])
    out = read(repository.git, made).out("models/serving")
    assert out is not None
    text = (repository.folder / "dvc.lock").read_text()
    repository.write("dvc.lock", text.replace(out.md5, "0" * 32 + ".dir"))
    lock = read(repository.git, repository.commit("By hand"))
    comparison = Comparison(repository.git, Store(repository.folder), lock, repository.folder, tmp_path / "scratch")
    (found,) = [o for stage in comparison.stages() for o in stage.outs if o.path == "models/serving"]
    assert found.verdict == DIFFERENT
    assert found.words[0].startswith(f"{out.md5[:8]}… rebuilt; models/serving")


def test_metrics_that_git_holds_but_the_lock_does_not(
    repository: Repository, made: str, bundles: Bundles, tmp_path: Path
) -> None:
    """Edited by hand, and made again just so: the lock still says that they are not what ran."""
    repository.write("metrics/evaluate/metrics.json", "{}")
    lock = read(repository.git, repository.commit("Better metrics"))
    comparison = Comparison(repository.git, Store(repository.folder), lock, repository.folder, tmp_path / "scratch")
    (found,) = [o for stage in comparison.stages() for o in stage.outs if o.path == "metrics/evaluate"]
    assert found.verdict == DIFFERENT
    assert "dvc.lock recorded another digest" in found.words[0]


class Files:
    """Recorded files by digest."""

    def __init__(self, *files: Path) -> None:
        self.files = {out_of(file).md5: file for file in files}

    def listing(self, out: Out) -> dict[str, str]:
        raise StoreError("no folders here")

    def file(self, md5: str) -> Path:
        return self.files[md5]


def out_of(file: Path) -> Out:
    return Out(file.name, digest.of_file(file), file.stat().st_size, None)


@pytest.mark.parametrize(("step", "verdict"), [(0.0, DIFFERENT), (1e-7, EQUAL), (0.1, DIFFERENT)])
def test_a_pickle_is_never_opened_and_follows_the_model_beside_it(tmp_path: Path, step: float, verdict: str) -> None:
    """Alone it is different; beside a model that is equal within the tolerance it says nothing of its own."""
    recorded, rebuilt = tmp_path / "recorded", tmp_path / "rebuilt"
    for folder, value, pickle in ((recorded, 1.5, b"cos\nsystem\n"), (rebuilt, 1.5 + step, b"other")):
        folder.mkdir()
        (folder / "model.joblib").write_bytes(pickle)
        (folder / "model.json").write_text(json.dumps({"leaf": value}))
    originals = Files(recorded / "model.joblib", recorded / "model.json")
    outs = tuple(out_of(recorded / name) for name in ("model.joblib", "model.json"))
    lock = Lock("0" * 40, {"train": Stage("train", "fit", (), {}, outs, frozenset())})
    (stage,) = Comparison(Git(tmp_path), originals, lock, rebuilt, tmp_path / "scratch").stages()
    assert stage.outs[0].verdict == verdict
    assert stage.verdict == worst([verdict, EQUAL if step == 1e-7 else SAME])


def proof(verdict: str, **facts: Any) -> Proof:
    return Proof(verdict, "1a2b3c4d" * 5, **facts)


@pytest.mark.parametrize(("verdict", "code"), [(SAME, 0), (EQUAL, 3), (DIFFERENT, 4), (CANNOT, 5)])
def test_every_verdict_has_its_exit_code(verdict: str, code: int) -> None:
    assert proof(verdict).code == code


def test_the_answer_for_people_and_for_a_tag() -> None:
    outs = (OutProof("models/serving", DIFFERENT, "a.dir", "b.dir", ("tree 1 of 2",)), OutProof("x", SAME, "c", "c"))
    stages = (StageProof("ingest", (OutProof("raw", SAME, "d", "d"),)), StageProof("train", outs))
    many = tuple(f"package {n}" for n in range(30))
    told = proof(DIFFERENT, stages=stages, stale=("train: seed changed",), environment=many, python="3.12.1")
    assert told.lines()[:5] == [
        "different: first in stage train",
        "  dvc.lock is not what this commit's files say: train: seed changed",
        "  ingest: same bytes",
        "  train: different",
        "    models/serving: tree 1 of 2",
    ]
    assert told.lines()[-1] == "  environment: and 10 more"
    facts = told.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["stages"]["train"] == {
        "verdict": DIFFERENT,
        "outs": {"models/serving": "b.dir", "x": "c"},
        "differences": ["models/serving: tree 1 of 2"],
    }
    assert next(iter(facts)) == "verdict"
    assert (len(facts["environment"]), facts["python"]) == (21, "3.12.1")


def test_a_size_that_no_run_wrote_is_found(repository: Repository, bundles: Bundles, tmp_path: Path) -> None:
    """A lock edited by hand: what the gate holds against a budget is not what is there."""
    made = repository.version(bundles["v1"])
    out = read(repository.git, made).out("models/serving")
    assert out is not None
    text = (repository.folder / "dvc.lock").read_text()
    repository.write("dvc.lock", text.replace(f"size: {out.size}\n", "size: 1000\n"))
    lock = read(repository.git, repository.commit("By hand"))
    comparison = Comparison(repository.git, Store(repository.folder), lock, repository.folder, tmp_path / "scratch")
    (found,) = [o for stage in comparison.stages() for o in stage.outs if o.path == "models/serving"]
    assert (found.verdict, found.words) == (DIFFERENT, (f"dvc.lock says 1,000 bytes, they are {out.size:,}",))
