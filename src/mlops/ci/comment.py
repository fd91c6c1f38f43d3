"""What `mlops comment` does: one text, written to the pull request that the forge says it belongs to."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mlops.ci import github, gitlab, posted, rest, sticky
from mlops.ci.posted import Compose, Ended
from mlops.errors import ReportError, one_line


def run(arguments: argparse.Namespace) -> int:
    """`mlops comment`: 1 when the report is none; the comment says so too."""
    report = Path(arguments.report)
    return _to_gitlab(report) if arguments.gitlab else _to_github(report, Path(arguments.event), arguments.author)


def _to_github(report: Path, event: Path, author: str) -> int:
    api, run = github.api(), github.read(event)
    compose, wrong = _composed(report, Ended(run.sha, run.conclusion, run.url))

    def work() -> str:
        number = github.pull(api, run)
        if number is None:
            at = f"{run.owner}:{run.branch} at {run.sha[:8]}"
            return f"no open pull request into {run.target} is of {at}: nothing is written"
        board = github.Conversation(api, run.repository, number, author)
        return f"pull request {number}: comment {sticky.put(board, compose)}"

    print(rest.patiently(work))
    return _told(wrong)


def _to_gitlab(report: Path) -> int:
    api, job = gitlab.api(), gitlab.job()
    compose, wrong = _composed(report, Ended(job.sha, job.status, job.url))
    if job.status == "canceled":
        print("the job was cancelled: no note is written")
    elif api is None:
        print("$GITLAB_TOKEN is not set: no note is written; the report is among the job's artifacts")
    else:
        done = rest.patiently(lambda: sticky.put(job.notes(api), compose))
        print(f"merge request {job.merge_request}: note {done}")
    return _told(wrong)


def _composed(report: Path, ended: Ended) -> tuple[Compose, ReportError | None]:
    """The comment's text, and what is wrong with the report."""
    try:
        return posted.text(posted.read(report, ended.sha), ended), None
    except ReportError as error:
        return posted.text(None, ended), error


def _told(wrong: ReportError | None) -> int:
    if wrong is None:
        return 0
    print(f"error: {one_line(wrong)}", file=sys.stderr)
    return 1
