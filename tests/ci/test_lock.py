"""`mlops lock check` and `mlops lock fetch` on a pipeline of two shell commands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlops import cli
from mlops.git import Git
from mlops.store import lock
from mlops.store.objects import Store

Captured = pytest.CaptureFixture[str]
PIPELINE = """
stages:
  prepare:
    cmd: mkdir -p data && tr a-z A-Z < words.txt > data/words && cp words.txt data/plain
    deps: [words.txt]
    outs: [data]
  train:
    cmd: cat data/words params.yaml > model
    deps: [data/words]
    params: [seed]
    outs: [model]
artifacts:
  churn: {path: model, type: model}
"""


class Project:
    """A repository whose pipeline ran."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.git = folder, Git(folder)
        folder.mkdir()
        self.git.raw("init", "--quiet", "--initial-branch=main")
        dvc(folder, "init", "--quiet")
        files = {"dvc.yaml": PIPELINE, "words.txt": "one\ntwo\n", "params.yaml": "seed: 1\n", "requirements.txt": ""}
        for name, text in files.items():
            self.write(name, text)
        self.run()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def run(self) -> str:
        dvc(self.folder, "repro", "--quiet")
        return self.commit()

    def commit(self) -> str:
        self.git.raw("add", "--all")
        self.git.raw("commit", "--quiet", "--message=A version")
        return self.git.commit("HEAD")

    def forget(self) -> None:
        """As in a fresh clone: no outputs, nothing in any cache."""
        for name in (".dvc/cache", ".dvc/tmp", "data", "model"):
            place = self.folder / name
            place.unlink() if place.is_file() else shutil.rmtree(place, ignore_errors=True)

    def has(self, commit: str) -> bool:
        """Whether DVC's cache holds all that a commit's dvc.lock names."""
        outs = [out for stage in lock.read(self.git, commit).stages.values() for out in stage.outs]
        return not Store(self.folder).missing(outs)


def dvc(folder: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Project(tmp_path_factory.mktemp("lock") / "project").folder


@pytest.fixture
def project(ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it, which is the current folder."""
    made = object.__new__(Project)
    made.folder, made.git = tmp_path / "project", Git(tmp_path / "project")
    shutil.copytree(ran, made.folder)
    monkeypatch.chdir(made.folder)
    return made


def asked(capsys: Captured, *words: str) -> tuple[int, str]:
    code = cli.main(["lock", *words])
    return code, capsys.readouterr().out


def test_a_lock_that_is_current_is_so_without_any_data(project: Project, capsys: Captured) -> None:
    project.forget()
    code, said = asked(capsys, "check")
    assert code == 0
    assert re.fullmatch(r"[0-9a-f]{8}: dvc\.lock is current: .*\n", said)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("words.txt", "three\n", "prepare: words.txt changed since it ran"),
        ("params.yaml", "seed: 2\n", "train: seed of params.yaml changed since it ran"),
        ("dvc.yaml", PIPELINE.replace("tr a-z", "tr b-z"), "prepare: its command changed since it ran"),
    ],
)
def test_what_changed_since_is_named(project: Project, capsys: Captured, name: str, text: str, reason: str) -> None:
    before = project.git.commit("HEAD")
    project.write(name, text)
    assert asked(capsys, "check")[0] == 0  # what is not committed is not asked
    project.commit()
    code, said = asked(capsys, "check")
    assert (code, said.splitlines()[1:]) == (2, [f"  {reason}"])
    assert "dvc.lock is not current; `dvc repro`, then commit dvc.lock" in said
    code, said = asked(capsys, "check", "--json")
    assert (code, json.loads(said)["right"], json.loads(said)["stale"]) == (2, False, [reason])
    assert asked(capsys, "check", before)[0] == 0
    assert asked(capsys, "check", "--rebuild") == (2, asked(capsys, "check")[1])  # there is no need to run it


def test_what_has_no_stages_has_nothing_to_check(project: Project, capsys: Captured) -> None:
    project.write("dvc.yaml", "artifacts: {churn: {path: model, type: model}}\n")
    (project.folder / "dvc.lock").unlink()
    project.commit()
    code, said = asked(capsys, "check", "--rebuild")
    assert code == 0
    assert "no stage makes anything here" in said
    project.write("dvc.yaml", PIPELINE)
    project.commit()
    assert cli.main(["lock", "check"]) == 1  # stages, and none of them ran
    assert "has no dvc.lock: no pipeline ran for it" in capsys.readouterr().err


@pytest.mark.slow
def test_a_rebuild_makes_the_same_and_keeps_it(project: Project, capsys: Captured) -> None:
    project.forget()
    head = project.git.commit("HEAD")
    code, said = asked(capsys, "check", "--rebuild")
    assert code == 0
    assert "dvc.lock is what the commit's code makes\n  rebuilt: same bytes\n" in said
    assert project.has(head)
    dvc(project.folder, "checkout")
    assert (project.folder / "model").read_text() == "ONE\nTWO\nseed: 1\n"
    assert project.git.text("status", "--porcelain") == ""


@pytest.mark.slow
def test_a_lock_that_claims_what_the_code_does_not_make_is_found(project: Project, capsys: Captured) -> None:
    project.write("model", "a better one\n")
    dvc(project.folder, "commit", "--force", "train")
    head = project.commit()
    assert asked(capsys, "check")[0] == 0  # without data nobody can tell
    code, said = asked(capsys, "check", "--rebuild")
    assert code == 2
    assert "dvc.lock is not what the commit's code makes\n  rebuilt: different: first in stage train\n" in said
    project.forget()
    code, said = asked(capsys, "fetch")
    assert code == 2
    assert not project.has(head)


@pytest.mark.slow
def test_what_cannot_run_is_not_right(project: Project, capsys: Captured) -> None:
    project.write("dvc.yaml", PIPELINE.replace("cat data/words", "false && cat data/words"))
    text = (project.folder / "dvc.lock").read_text()
    project.write("dvc.lock", text.replace("cat data/words", "false && cat data/words"))
    project.commit()
    code, said = asked(capsys, "check", "--rebuild")
    assert code == 2
    assert "its pipeline cannot run again\n  rebuilt: cannot be rebuilt: stage train failed" in said


@pytest.mark.slow
def test_both_sides_data_are_fetched_or_made_again(project: Project, capsys: Captured, tmp_path: Path) -> None:
    base = project.git.commit("HEAD")
    project.git.raw("checkout", "--quiet", "-b", "deeper")
    project.write("params.yaml", "seed: 2\n")
    head = project.run()
    storage = tmp_path / "storage"
    storage.mkdir()
    dvc(project.folder, "remote", "add", "--local", "--default", "store", str(storage))
    dvc(project.folder, "push")
    project.forget()
    code, said = asked(capsys, "fetch")
    assert code == 0
    assert said == (
        f"{head[:8]}: everything is in DVC's cache or in {storage}\n{base[:8]}: rebuilt: the same bytes as recorded\n"
    )
    assert project.has(base)


@pytest.mark.slow
def test_storage_that_refuses_is_done_without(project: Project, capsys: Captured, tmp_path: Path) -> None:
    head = project.git.commit("HEAD")
    dvc(project.folder, "remote", "add", "--local", "--default", "store", str(tmp_path / "not there"))
    project.forget()
    assert cli.main(["lock", "fetch"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{head[:8]}: rebuilt: the same bytes as recorded\n"
    assert "HEAD alone: HEAD is in main already" in said.err
    assert "is not there; mount it" in said.err
