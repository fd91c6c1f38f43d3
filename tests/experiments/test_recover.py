"""Runs whose process was killed, or that could not be saved: nothing that they logged is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlops import cli
from mlops.errors import ExperimentError
from mlops.experiments import journal, recover
from mlops.experiments.journal import Journal
from mlops.experiments.tracker import ExperimentTracker
from tests.experiments.conftest import experiments
from tests.experiments.test_runs import document
from tests.registry.repository import Repository

KILLED = """
import os, signal
from mlops import ExperimentTracker
tracker = ExperimentTracker()
with tracker.run("killed", note="a long one"):
    tracker.log_params({"max_depth": 7})
    tracker.log_metrics({"roc_auc": 0.7})
    tracker.log_metric("loss", 0.5, step=0)
    tracker.log_text("a.txt", "kept")
    os.kill(os.getpid(), signal.SIGKILL)
"""
FULL = """
import resource, signal
from mlops import ExperimentTracker
tracker = ExperimentTracker()
with tracker.run("before"):
    tracker.log_metrics({"roc_auc": 0.6})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with tracker.run("full"):
    tracker.log_metrics({"roc_auc": 0.7})
    # No file may grow any more: what a full disk does to whoever writes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        tracker.log_metrics({"f1": 0.5})
    except Exception as error:
        print(error)
"""


def python(words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.slow
def test_a_killed_run_is_finished(project: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    assert python(KILLED, project.folder).returncode == -9
    assert not experiments(project)
    (left,) = recover.left(project.git)
    assert (left.name, left.ended, left.metrics) == ("killed", False, 2)
    assert cli.main(["experiments", "recover"]) == 0
    assert "killed" in capsys.readouterr().out
    assert cli.main(["experiments", "list"]) == 0
    assert "1 left without being saved" in capsys.readouterr().out
    assert cli.main(["experiments", "recover", "killed"]) == 0
    assert "saved as experiment killed" in capsys.readouterr().out
    commit = experiments(project)["killed"]
    assert document(project, commit, "metrics/evaluate/metrics.json") == {"roc_auc": 0.7, "loss": 0.5}
    assert document(project, commit, "params.yaml")["max_depth"] == 7
    assert project.git.read(commit, "metrics/notebook/texts/a.txt") == b"kept"
    assert project.git.read(commit, "metrics/notebook/plots/metrics/loss.tsv") is not None
    record = document(project, commit, "notebook.json")
    assert (record["state"], record["recovered"], record["note"]) == ("finished", True, "a long one")
    assert not recover.left(project.git)


@pytest.mark.slow
def test_a_full_disk_loses_nothing(project: Repository) -> None:
    done = python(FULL, project.folder)
    assert "what run full logged before is kept" in done.stdout
    assert "run full could not be saved" in done.stderr
    assert list(experiments(project)) == ["before"]
    (left,) = recover.left(project.git)
    assert recover.finish(project.git, left) == "full"
    assert document(project, experiments(project)["full"], "metrics/evaluate/metrics.json") == {"roc_auc": 0.7}
    assert not project.git.text("fsck", "--connectivity-only")


def test_a_run_that_git_refuses_stays_and_is_recovered(
    project: Repository, tracker: ExperimentTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = project.write(".git/hooks/reference-transaction", "#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with (
        pytest.raises(ExperimentError, match=r"run a could not be saved .* `mlops experiments recover "),
        tracker.run("a"),
    ):
        tracker.log_metrics({"roc_auc": 0.5})
    assert not experiments(project)
    hook.unlink()
    (left,) = recover.left(project.git)
    assert left.ended
    recover.finish(project.git, left)
    record = document(project, experiments(project)["a"], "notebook.json")
    assert record["state"] == "finished"
    assert "recovered" not in record


def test_a_failed_run_that_could_not_be_saved_keeps_its_error(
    project: Repository, tracker: ExperimentTracker, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = project.write(".git/hooks/reference-transaction", "#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(ZeroDivisionError), tracker.run("a"):
        _ = 1 / 0
    assert "run a could not be saved" in capsys.readouterr().err
    hook.unlink()
    recover.finish(project.git, recover.left(project.git)[0])
    assert (
        document(project, experiments(project)["a"], "notebook.json")["error"] == "ZeroDivisionError: division by zero"
    )


def started(project: Repository, name: str, *, overwrite: bool = False) -> Journal:
    return Journal.create(
        project.folder,
        {
            "id": name, "name": name, "note": "", "overwrite": overwrite, "base": project.git.commit("HEAD"),
            "artifact": "churn", "started": "2026-03-01T10:00:00+00:00", "python": "3.11", "packages": {}, "code": {},
        },
    )  # fmt: skip


def test_runs_are_discarded_and_live_ones_left_alone(project: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    live, dead = started(project, "live"), started(project, "dead")
    dead.close()
    assert [run.name for run in recover.left(project.git)] == ["dead"]
    with pytest.raises(ExperimentError, match="is still running"):
        Journal.resume(live.folder)
    assert cli.main(["experiments", "recover", "--discard"]) == 1
    assert "say which runs to discard" in capsys.readouterr().err
    assert cli.main(["experiments", "recover", "deda", "--discard"]) == 1
    assert "did you mean dead?" in capsys.readouterr().err
    assert cli.main(["experiments", "recover", "--all", "--discard", "--json"]) == 0
    assert [run["name"] for run in json.loads(capsys.readouterr().out)] == ["dead"]
    assert not recover.left(project.git)
    assert live.folder.exists()
    assert not experiments(project)
    live.remove()


def test_a_torn_line_and_half_a_file_are_left_out(project: Repository) -> None:
    run = started(project, "torn")
    run.add("metrics", values={"roc_auc": 0.5})
    with (run.folder / "events.jsonl").open("ab") as file:
        file.write(b'{"kind": "metrics", "values": {"roc_auc": 0.9')
    (run.folder / ".file-x.new").write_bytes(b"half")
    run.close()
    assert [event["values"] for event in journal.events(run.folder)] == [{"roc_auc": 0.5}]
    assert recover.finish(project.git, recover.left(project.git)[0]) == "torn"
    commit = experiments(project)["torn"]
    assert document(project, commit, "metrics/evaluate/metrics.json") == {"roc_auc": 0.5}
    assert "x" not in project.git.files(commit)


def test_what_was_left_long_ago_replaces_nothing(project: Repository) -> None:
    old = started(project, "mine", overwrite=True)
    old.add("metrics", values={"roc_auc": 0.5})
    old.close()
    with ExperimentTracker(project.folder).run("mine", overwrite=True) as run:
        run.log_metrics({"roc_auc": 0.9})
    assert recover.finish(project.git, recover.left(project.git)[0]) == "mine-2"
    assert document(project, experiments(project)["mine"], "metrics/evaluate/metrics.json") == {"roc_auc": 0.9}


@pytest.mark.parametrize("content", ["", "[]", '{"name": "half"}'])
def test_a_run_that_nobody_knows_keeps_no_other_from_being_saved(
    project: Repository, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    for name in ("empty", "good"):
        started(project, name).close()
    broken = next(run for run in recover.left(project.git) if run.name == "empty").folder
    (broken / "run.json").write_text(content)
    assert cli.main(["experiments", "list"]) == 0
    assert cli.main(["experiments", "recover", "--all"]) == 1
    said = capsys.readouterr()
    assert f"mlops experiments recover {broken.name} --discard" in said.err
    assert list(experiments(project)) == ["good"]
    assert cli.main(["experiments", "recover", broken.name, "--discard"]) == 0
    assert not recover.left(project.git)
