"""A forge on 127.0.0.1, and `mlops comment` as a job of it would run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops import cli
from tests.ci.forge import FORK, REPOSITORY, Forge, serving
from tests.ci.sample import HEAD

Comment = Callable[..., int]


@pytest.fixture
def forge() -> Iterator[Forge]:
    with serving(Forge()) as made:
        yield made


def event(sha: str = HEAD, numbers: tuple[int, ...] = (), source: int = REPOSITORY, **changes: Any) -> dict[str, Any]:
    """A workflow_run event as far as it is read; GitHub names no pull request where the branch is a fork's."""
    owner = "acme" if source == REPOSITORY else "eve"
    run = {
        "head_sha": sha,
        "head_branch": "deeper",
        "head_repository": {"id": source, "owner": {"login": owner}},
        "pull_requests": [{"number": n, "base": {"repo": {"id": REPOSITORY}}} for n in numbers],
        "conclusion": "success",
        "html_url": "https://github.com/acme/churn/actions/runs/9",
        "event": "pull_request",
        **changes,
    }
    repository = {"id": REPOSITORY, "full_name": "acme/churn", "default_branch": "main"}
    return {"action": "completed", "workflow_run": run, "repository": repository}


def of_fork(sha: str = HEAD, **changes: Any) -> dict[str, Any]:
    """The event of a fork's run."""
    return event(sha, source=FORK, **changes)


@pytest.fixture
def comment(forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comment:
    """Runs `mlops comment` with a report (a document or bytes; None: no file) and an event; the exit code."""
    monkeypatch.setenv("GITHUB_API_URL", forge.url)
    monkeypatch.setenv("GITHUB_TOKEN", "secret")

    def run(report: Any, given: dict[str, Any], *words: str) -> int:
        report_file, event_file = tmp_path / "report" / "report.json", tmp_path / "event.json"
        report_file.parent.mkdir(exist_ok=True)
        report_file.unlink(missing_ok=True)
        if report is not None:
            report_file.write_bytes(report if isinstance(report, bytes) else json.dumps(report).encode())
        event_file.write_text(json.dumps(given))
        return cli.main(["comment", "--event", str(event_file), "--report", str(report_file), *words])

    return run
