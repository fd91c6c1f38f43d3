"""`mlops merge-driver install`: what it writes, that it writes it once, and that Git then does as told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlops.cli import main
from mlops.errors import StoreError
from mlops.git import Git
from mlops.merge import install

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    Git(folder).raw("init", "--quiet")
    return folder


def pipeline(folder: Path, *outs: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stages = {"one": {"cmd": "x", "outs": ["cached", *({out: {"cache": False}} for out in outs)]}}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))


def driver(folder: Path, path: str) -> str:
    return Git(folder).text("check-attr", "merge", "--", path).rpartition(": ")[2]


def test_it_says_what_it_did_and_does_it_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "deep").mkdir()
    monkeypatch.chdir(project / "deep")
    assert main(["merge-driver", "install"]) == 0
    said = capsys.readouterr().out
    assert "Git's configuration of this clone now has merge.dvc-lock" in said
    assert ".gitattributes now has: dvc.lock merge=dvc-lock." in said
    before = [(project / name).read_bytes() for name in (".gitattributes", ".git/config")]
    assert main(["merge-driver", "install"]) == 0
    assert "nothing to change" in capsys.readouterr().out
    assert [(project / name).read_bytes() for name in (".gitattributes", ".git/config")] == before


def test_quiet_says_nothing(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(project)
    assert main(["merge-driver", "install", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert driver(project, "dvc.lock") == "dvc-lock"


def test_outside_of_git_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["merge-driver", "install"]) == 1
    assert "is in no Git repository" in capsys.readouterr().err


def test_other_lines_stay_and_the_last_one_counts(project: Path) -> None:
    place = project / ".gitattributes"
    place.write_text("*.png binary\ndvc.lock merge=dvc-lock\n*.lock merge=union")
    install.install(project)
    assert place.read_text() == ("*.png binary\ndvc.lock merge=dvc-lock\n*.lock merge=union\ndvc.lock merge=dvc-lock\n")
    assert driver(project, "deep/dvc.lock") == "dvc-lock"
    assert driver(project, "poetry.lock") == "union"


def test_outputs_in_git_of_every_pipeline_get_their_driver(project: Path) -> None:
    pipeline(project, "metrics", "of it.json", "odd[1]", "all${item}")
    pipeline(project / "teams" / "b", "metrics.json")
    install.install(project)
    kept = ["metrics/deep/a.json", "of it.json", "odd[1]/x", "teams/b/metrics.json"]
    assert [driver(project, path) for path in kept] == ["dvc-output"] * len(kept)
    assert {driver(project, path) for path in ("cached", "teams/metrics.json", "odd1/x", "params.yaml")} == {
        "unspecified"
    }
    assert install.install(project) == []


def test_a_broken_pipeline_is_named(project: Path) -> None:
    (project / "dvc.yaml").write_text("stages: [\n")
    with pytest.raises(StoreError, match=r"dvc\.yaml is no pipeline \(is not valid YAML .*`dvc repro --dry`"):
        install.install(project)


def test_this_project_has_all_lines(project: Path) -> None:
    for name in (".gitattributes", "dvc.yaml"):
        shutil.copy(ROOT / name, project / name)
    install.install(project)
    assert (project / ".gitattributes").read_bytes() == (ROOT / ".gitattributes").read_bytes()


def test_the_command_survives_any_path_of_the_environment(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / 'it\'s 100%O "here"' / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", os.fspath(python))
    install.install(project)
    git = Git(project)
    for branch, stage in (("main", ""), ("other", "other"), ("main", "main")):
        git.attempt("checkout", "--quiet", "-B", branch, *(["start"] if stage else []))
        entries = "".join(f"  {name}:\n    cmd: x\n" for name in filter(None, ("base", stage)))
        (project / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n{entries}")
        git.raw("add", "--all")
        git.raw("commit", "--quiet", f"--message={stage}", "--allow-empty-message")
        git.attempt("tag", "start")
    done = subprocess.run(["git", "merge", "--no-edit", "other"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(yaml.safe_load((project / "dvc.lock").read_text())["stages"]) == ["base", "main", "other"]
