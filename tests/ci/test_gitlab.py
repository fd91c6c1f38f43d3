"""`mlops comment --gitlab`: the note of the merge request that the job belongs to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlops import cli
from mlops.ci.sticky import MARK
from tests.ci.forge import Forge
from tests.ci.sample import HEAD, report

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def job(forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A merge request's job, and the words that write its note."""
    forge.comments[3] = []
    variables = {
        "CI_API_V4_URL": forge.url, "CI_PROJECT_ID": "5", "CI_MERGE_REQUEST_IID": "3", "CI_COMMIT_SHA": HEAD,
        "CI_JOB_URL": "https://gitlab.com/acme/churn/-/jobs/1", "CI_JOB_STATUS": "success", "GITLAB_TOKEN": "secret",
    }  # fmt: skip
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "report.json").write_text(json.dumps(report()))
    return ["comment", "--gitlab", "--report", str(tmp_path / "report.json")]


def test_the_note_is_created_once_and_updated_after(forge: Forge, job: list[str], capsys: Captured) -> None:
    forge.say(3, f"{MARK}\nof somebody else", "8")
    assert cli.main(job) == 0
    assert capsys.readouterr().out == "merge request 3: note created\n"
    Path(job[-1]).write_text(json.dumps(report(headline="better: by more")))
    assert cli.main(job) == 0
    notes = "/projects/5/merge_requests/3/notes"
    assert forge.writes == [("POST", notes), ("PUT", f"{notes}/2")]
    assert [one["body"].splitlines()[1] for one in forge.comments[3]] == ["of somebody else", "## better: by more"]
    assert {a.headers["Private-Token"] for a in forge.asked} == {"secret"}


def test_no_line_of_a_note_is_a_command(forge: Forge, job: list[str]) -> None:
    evil = report(reasons=["/merge", "/approve"], checks=[], notes=["/close"])
    Path(job[-1]).write_text(json.dumps({**evil, "passed": False}))
    assert cli.main(job) == 0
    (note,) = forge.comments[3]
    assert "merge" in note["body"]
    assert not [line for line in note["body"].splitlines() if line.lstrip().startswith("/")]


def test_a_failed_job_says_so(forge: Forge, job: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_JOB_STATUS", "failed")
    assert cli.main(job) == 0
    Path(job[-1]).unlink()
    assert cli.main(job) == 0
    (note,) = forge.comments[3]
    assert "no report on commit aaaaaaaa" in note["body"]


@pytest.mark.parametrize(("name", "value"), [("GITLAB_TOKEN", ""), ("CI_JOB_STATUS", "canceled")])
def test_a_job_that_may_not_or_should_not_write_says_so(
    forge: Forge, job: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert cli.main(job) == 0
    assert "no note is written" in capsys.readouterr().out
    assert forge.asked == []


def test_outside_of_a_merge_request_it_is_refused(
    job: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI_MERGE_REQUEST_IID")
    assert cli.main(job) == 1
    assert capsys.readouterr().err.startswith("error: $CI_MERGE_REQUEST_IID is not set: --gitlab is for a job of")
