"""How runs end when something is in the way: nothing is lost, nothing is filed twice, one broken run stops no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlops import cli
from mlops.errors import ExperimentError, GitError
from mlops.experiments import filing, finish, journal, recover
from mlops.experiments.journal import Journal
from mlops.experiments.tracker import ExperimentTracker
from tests.experiments.conftest import experiments
from tests.experiments.test_recover import started
from tests.experiments.test_runs import RUNS, document
from tests.registry.repository import Repository


def test_what_a_full_disk_left_of_dvclive_is_no_obstacle(project: Repository) -> None:
    run = started(project, "full")
    run.add("params", values={"max_depth": 7})
    run.add("metrics", values={"roc_auc": 0.7})
    run.live.mkdir()
    (run.live / "metrics.json").write_text('{"roc_auc": 0.')
    (run.live / "params.yaml").write_text("max_depth: [7")
    run.close()
    (left,) = recover.left(project.git)
    assert recover.finish(project.git, left) == "full"
    commit = experiments(project)["full"]
    assert document(project, commit, "metrics/notebook/metrics.json") == {"roc_auc": 0.7}
    assert document(project, commit, "metrics/notebook/params.yaml") == {"max_depth": 7}


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_texts_that_no_file_holds(project: Repository, tracker: ExperimentTracker) -> None:
    with tracker.run("note", note="a\udc80b"):
        tracker.log_text("a.txt", "c\udc80")
        tracker.log_params({"p\udc81": "\udc82"})
        with pytest.raises(ExperimentError, match="UTF-8"):
            tracker.log_metrics({"a\udc80": 1.0})
        with pytest.raises(ExperimentError, match="no name for a file"):
            tracker.log_text("a\udc80", "text")
    commit = experiments(project)["note"]
    assert document(project, commit, "notebook.json")["note"] == "a\\udc80b"
    assert project.git.read(commit, "metrics/notebook/texts/a.txt") == b"c\\udc80"
    for name in ("a\udc80", "n" * 300, "ü" * 101):
        with pytest.raises(ExperimentError, match="name"), tracker.run(name):
            pass
    with pytest.raises(SilentError), tracker.run("silent"):
        raise SilentError
    assert document(project, experiments(project)["silent"], "notebook.json")["error"] == "SilentError: <SilentError>"
    with pytest.raises(ValueError, match="\udc80"), tracker.run("words"):
        raise ValueError("\udc80")
    assert document(project, experiments(project)["words"], "notebook.json")["error"] == "ValueError: \\udc80"


def test_whatever_goes_wrong_at_the_end_the_run_is_kept(
    project: Repository, tracker: ExperimentTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any) -> None:
        raise ZeroDivisionError("surprise")

    with monkeypatch.context() as patched:
        patched.setattr(finish.commit, "changes", broken)
        with (
            pytest.raises(ExperimentError, match=r"could not be saved \(ZeroDivisionError: surprise\); everything"),
            tracker.run("a") as run,
        ):
            tracker.log_metrics({"roc_auc": 0.5})
    with pytest.raises(ExperimentError, match="run a is over"):
        run.log_metrics({"f1": 0.5})
    (left,) = recover.left(project.git)  # the process lives, and yet the run is nobody's any more
    assert recover.finish(project.git, left) == "a"


def test_one_that_cannot_be_saved_does_not_stop_the_others(
    project: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x" * 300, "good"):
        run = started(project, name)
        run.add("metrics", values={"roc_auc": 0.5})
        run.close()
    assert cli.main(["experiments", "recover", "--all", "--json"]) == 1
    out, err = capsys.readouterr()
    assert {run["name"]: run["experiment"] for run in json.loads(out)} == {"x" * 300: None, "good": "good"}
    assert "1 of 2 runs could not be saved" in err
    assert "300 bytes long" in err
    assert list(experiments(project)) == ["good"]
    assert cli.main(["experiments", "recover", "--all", "--as", "good"]) == 0
    assert "saved as experiment good-2" in capsys.readouterr().out
    assert cli.main(["experiments", "recover", "--as", "b", "--all"]) == 1
    assert "--as names one run" in capsys.readouterr().err


def test_a_run_that_was_filed_already_is_not_filed_again(project: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    run = started(project, "a")
    run.add("end", state="finished", seconds=1.0)
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "remove", Journal.close)  # what a process does that is killed before it can remove it
        assert recover.finish(project.git, _left(project, run)) == "a"
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2030-01-01T00:00:00Z")  # a week later it would be another commit
    assert recover.finish(project.git, recover.left(project.git)[0]) == "a"
    assert list(experiments(project)) == ["a"]
    assert not recover.left(project.git)


def _left(project: Repository, run: Journal) -> recover.Left:
    run.close()
    (left,) = recover.left(project.git)
    return left


def test_a_folder_that_was_being_removed_goes(project: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    run = started(project, "a")
    with monkeypatch.context() as patched:
        patched.setattr(journal.shutil, "rmtree", lambda *given, **named: None)
        run.remove()
    assert len(list((project.folder / RUNS).iterdir())) == 1
    assert not recover.left(project.git)
    assert not list((project.folder / RUNS).iterdir())


def test_git_must_know_who_files(project: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[user]\n\tuseConfigOnly = true\n")
    for name in [key for key in os.environ if key.startswith(("GIT_AUTHOR", "GIT_COMMITTER")) or key == "EMAIL"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for key in ("user.name", "user.email"):
        project.git.attempt("config", "--unset", key)
    base = project.git.commit("HEAD")
    with pytest.raises(GitError, match="Git does not know who you are"):
        filing.file(project.git, name="a", base=base, changes={"a": b"b"})
    assert not experiments(project)


def test_the_first_reason_is_told(tmp_path: Path) -> None:
    """Of a script that lies in no repository either, the folder that people are in is what they are told of."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (there / "a.py").write_text("from mlops import ExperimentTracker\nExperimentTracker()\n")
    done = subprocess.run(
        [sys.executable, str(there / "a.py")], cwd=here, capture_output=True, text=True, check=False,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path)},
    )  # fmt: skip
    assert f"GitError: {here} is in no Git repository" in done.stderr.splitlines()[-1]
