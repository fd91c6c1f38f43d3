"""The workflows as files: valid, safe, and made of nothing but commands that people type."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import ROOT
from tests.registry.workflow import Workflow

CI, REPORT, COMMENT = (Workflow(name) for name in ("ci.yml", "report.yml", "comment.yml"))
ALL = [CI, REPORT, COMMENT]
GITLAB: dict[str, Any] = yaml.load((ROOT / ".gitlab-ci.yml").read_text(), yaml.BaseLoader)
TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
COMMAND = r"(make|\.venv/bin/mlops) [^|&;\n{}]+"


@pytest.mark.parametrize(
    "words",
    [
        "check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/{ci,report,comment}.yml",
        "check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml",
        "actionlint -shellcheck= -pyflakes=",
        "zizmor --offline --quiet .github",
    ],
)
def test_they_are_valid_and_safe(words: str) -> None:
    command = ["bash", "-c", f"{Path(sys.executable).parent}/{words}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def is_ours(command: str) -> bool:
    """Whether it is one command of the Makefile or of the CLI."""
    program, *words = command.split()
    return bool(re.fullmatch(COMMAND, command)) and (program != "make" or (len(words) == 1 and words[0] in TARGETS))


@pytest.mark.parametrize("workflow", ALL, ids=lambda w: w.path.name)
def test_actions_are_pinned_and_runs_are_single_commands_of_ours(workflow: Workflow) -> None:
    for step in workflow.steps():
        if "uses" in step:
            line = next(line for line in workflow.text.splitlines() if step["uses"] in line)
            assert re.fullmatch(r"\s+- uses: actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
        else:
            assert is_ours(step["run"]), step["run"]


def test_gitlab_types_what_github_types() -> None:
    jobs = {name: job for name, job in GITLAB.items() if isinstance(job, dict) and "script" in job}
    assert jobs.keys() == {"style", "lock", "test", "report"}
    typed = {
        step["run"].replace(' --output "$GITHUB_STEP_SUMMARY"', "") for w in ALL for step in w.steps() if "run" in step
    }
    lines = [line for job in jobs.values() for line in job["script"]]
    assert set(lines) <= typed
    (note,) = (line for job in jobs.values() for line in job.get("after_script", ()))
    assert is_ours(note)
    assert {line for line in typed if "comment" not in line} - set(lines) == {"make setup", "make ci-result"}


@pytest.mark.parametrize("workflow", ALL, ids=lambda w: w.path.name)
def test_rights_are_as_few_as_can_be(workflow: Workflow) -> None:
    document = workflow.document
    writes = workflow is COMMENT
    assert document["permissions"] == ({} if writes else {"contents": "read"})
    given = {name: job.get("permissions") for name, job in document["jobs"].items()}
    few = {"contents": "read", "actions": "read", "pull-requests": "write"}
    assert given == ({"comment": few} if writes else dict.fromkeys(given))
    assert document["defaults"]["run"]["shell"] == "bash"
    assert all(int(job["timeout-minutes"]) <= 60 for job in document["jobs"].values())
    for step in workflow.steps():
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] == "false"


def test_what_runs_a_strangers_code_may_not_write() -> None:
    for workflow in (CI, REPORT):
        assert set(workflow.document["on"]) <= {"push", "pull_request"}
    assert "github.token" not in CI.text + REPORT.text
    assert set(REPORT.document["on"]) == {"pull_request"}


def test_what_may_write_runs_no_strangers_code() -> None:
    assert set(COMMENT.document["on"]) == {"workflow_run"}
    assert COMMENT.document["on"]["workflow_run"]["workflows"] == [REPORT.document["name"]]
    refs = [step["with"]["ref"] for step in COMMENT.steps() if "checkout" in step.get("uses", "")]
    assert refs == ["${{ github.sha }}"]  # of the default branch, for this event
    (download,) = (step for step in COMMENT.steps() if "download-artifact" in step.get("uses", ""))
    assert download["with"]["path"].startswith("${{ runner.temp }}/")
    assert not any("${{" in step["run"] for step in COMMENT.steps() if "run" in step)
    assert "cache" not in COMMENT.text


def test_the_artifact_is_the_report_alone() -> None:
    (upload,) = (step for step in REPORT.steps() if "upload-artifact" in step.get("uses", ""))
    assert upload["with"]["path"].split() == ["report.json", "report.html"]
    assert "pull_request.number" not in "".join(str(step) for step in REPORT.steps())


def test_nothing_is_cached_but_objects_by_their_digest() -> None:
    (cache,) = (step for w in ALL for step in w.steps() if "cache@" in step.get("uses", ""))
    assert cache["with"]["path"] == ".dvc/cache/files"
    assert "hashFiles('dvc.lock')" in cache["with"]["key"]
    assert GITLAB["report"]["cache"]["paths"] == [".dvc/cache/files"]
    assert GITLAB["report"]["cache"]["key"]["files"] == ["dvc.lock"]


def test_one_status_needs_all_jobs() -> None:
    jobs = CI.document["jobs"]
    check = jobs.pop("check")
    assert set(check["needs"]) == set(jobs)
    assert check["if"] == "always()"
    assert check["steps"][-1]["env"] == {"RESULTS": "${{ join(needs.*.result, ' ') }}"}
    assert not any("continue-on-error" in job for job in jobs.values())


@pytest.mark.parametrize("results", ["", "failure", "success skipped", "cancelled success success", "Success"])
def test_it_fails_unless_all_succeeded(results: str) -> None:
    done = [subprocess.run([ROOT / ".ci" / "result", r], capture_output=True, text=True) for r in ("success", results)]
    assert [d.returncode for d in done] == [0, 1]
    assert done[1].stderr.startswith("error: a job that has to succeed ended with")
