"""Versions of a real pipeline, rebuilt: what was recorded honestly is proved, what was not is found and named."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops.git import Git
from mlops.store import digest
from mlops.store.objects import Store
from mlops.verify.proof import CANNOT, DIFFERENT, SAME, Proof
from mlops.verify.verify import verify
from tests.e2e.conftest import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def edited(ran: Workspace) -> Iterator[Workspace]:
    """The clone, on a branch that the test commits to."""
    ran.run("git checkout -q -b edited")
    yield ran
    ran.run("git checkout -q -f main && git branch -q -D edited")


def proved(workspace: Workspace, said: list[str] | None = None, keep: Path | None = None) -> Proof:
    git = Git(workspace.folder)
    said = [] if said is None else said
    return verify(git, Store(workspace.folder), git.commit("HEAD"), name="churn", keep=keep, say=said.append)


def told(proof: Proof, stage: str) -> str:
    (found,) = [s for s in proof.stages if s.name == stage]
    return "\n".join(f"{out.path}: {line}" for out in found.outs for line in out.words)


def verdicts(proof: Proof) -> dict[str, str]:
    return {stage.name: stage.verdict for stage in proof.stages}


def test_what_was_recorded_is_made_again_to_the_byte(ran: Workspace, tmp_path: Path) -> None:
    """From the commit alone: there is nothing in a cache that the rebuild could take instead of making it."""
    before = ran.run("git status --porcelain && find .dvc data models metrics -type f | sort").stdout
    said: list[str] = []
    proof = proved(ran, said, keep=tmp_path / "rebuilt")
    assert proof.lines()[0] == "same bytes"
    assert (proof.verdict, proof.code, proof.stale) == (SAME, 0, ())
    assert [line for line in said if line.startswith("stage")] == [f"stage {s}" for s in verdicts(proof)]
    assert verdicts(proof) == dict.fromkeys(("ingest", "preprocess", "train", "evaluate"), SAME)
    rebuilt = tmp_path / "rebuilt/models/serving/model.onnx"
    assert rebuilt.read_bytes() == (ran.folder / "models/serving/model.onnx").read_bytes()
    assert not (tmp_path / "rebuilt/.dvc/cache").exists()
    assert ran.run("git status --porcelain && find .dvc data models metrics -type f | sort").stdout == before


def test_a_parameter_and_its_lock_edited_by_hand_name_the_tree(edited: Workspace) -> None:
    """So that nothing in Git contradicts anything else, and the results are another run's all the same."""
    edited.edit("params.yaml", "seed: 42", "seed: 43")
    edited.edit("dvc.lock", "seed: 42", "seed: 43")
    edited.run("git commit -qam 'another seed'")
    proof = proved(edited)
    assert (proof.verdict, proof.code, proof.stale) == (DIFFERENT, 4, ())
    assert proof.lines()[0] == "different: first in stage train"
    assert verdicts(proof)["preprocess"] == SAME
    assert re.search(r"models/serving: trees.npy: tree 1 of \d+, node 0: \w+ ≤ [\d.]+ recorded, ", told(proof, "train"))
    assert re.search(
        r"data/predictions: test.parquet: column p: [\d,]+ of 1,\d+ rows, largest", told(proof, "evaluate")
    )
    assert re.search(r"metrics.json: roc_auc 0\.\d+ recorded, 0\.\d+ rebuilt", told(proof, "evaluate"))


def test_code_that_changed_while_it_ran_is_found(edited: Workspace) -> None:
    """DVC hashes a stage's code after it ran: the lock names the new code, the predictions are the old one's."""
    path = edited.folder / "src/mlops/evaluate.py"
    before = digest.of_file(path), path.stat().st_size
    edited.edit("src/mlops/evaluate.py", "np.round(p, 6)", "np.round(p, 5)")
    edited.edit("dvc.lock", before[0], digest.of_file(path))
    edited.run("git commit -qam 'one decimal less'")
    proof = proved(edited)
    assert (proof.verdict, proof.stale) == (DIFFERENT, ())
    assert verdicts(proof) == {"ingest": SAME, "preprocess": SAME, "train": SAME, "evaluate": DIFFERENT}
    assert "largest |difference| 5e-06" in told(proof, "evaluate")


def test_old_results_under_a_new_parameter_are_found_and_a_failing_stage_is_told(edited: Workspace) -> None:
    """The lock is of another commit. What the new one would make cannot even be seen here."""
    edited.edit("params.yaml", "max_bad_share: 0.05", "max_bad_share: -1")
    edited.run("git commit -qam 'no such share'")
    proof = proved(edited)
    assert (proof.verdict, proof.code) == (CANNOT, 5)
    assert proof.stale == ("preprocess: preprocess of params.yaml changed since it ran",)
    assert proof.reason is not None
    assert "failed: error: params.yaml: preprocess.max_bad_share = -1" in proof.reason
    log = Path(proof.reason.partition("(all it said: ")[2].rstrip(")"))
    assert "Running stage 'ingest'" in log.read_text()
    assert edited.run("git status --porcelain").stdout == ""


def table(path: Path) -> None:
    """A customer list of somebody's own."""
    rng = random.Random(5)
    lines = ["customerID,tenure,contract,churn"]
    for number in range(900):
        tenure, contract = rng.randrange(72), rng.choice(["monthly", "yearly"])
        leaves = rng.random() < 0.6 * (contract == "monthly") * (1 - tenure / 72) + 0.05
        lines.append(f"{number:04}-X,{tenure},{contract},{'Yes' if leaves else 'No'}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_users_own_table_is_fetched_by_its_digest(make_clone: Callable[..., Workspace], tmp_path: Path) -> None:
    """The auditor's clone has an empty cache; remote storage has the raw table, and nothing that the pipeline made."""
    author = make_clone("author")
    table(author.folder / "customers.csv")
    author.edit("params.yaml", "resamples: 1000", "resamples: 200")
    author.run("mlops data use customers.csv --target churn --id customerID && rm customers.csv")
    author.run(f"dvc repro --quiet && dvc remote add --default store {tmp_path / 'store'} && git add -A")
    author.run("git commit -qm 'my own table' && dvc push --quiet data/source/customers.csv.dvc")
    auditor = Workspace(tmp_path / "auditor", tmp_path / "auditor-home")
    author.run(f"git clone -q . {auditor.folder}")

    proof = proved(auditor)
    assert proof.verdict == SAME, proof.lines()
    objects = [p for p in (auditor.folder / ".dvc/cache/files").rglob("*") if p.is_file()]
    assert [p.read_bytes()[:10] for p in objects] == [b"customerID"]

    (tmp_path / "store").rename(tmp_path / "gone")
    objects[0].unlink()
    lost = proved(auditor)
    assert (lost.verdict, lost.stages) == (CANNOT, ())
    assert "data/source/customers.csv" in str(lost.reason)
