"""The part of the command line that workflows type. The modules that do the work are loaded when one runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Run = Callable[[argparse.Namespace], int]


def register(commands: Any) -> None:
    """Add lock and comment."""
    _lock(commands)
    _comment(commands)


def _command(commands: Any, name: str, run: Run, text: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=description, allow_abbrev=False)
    parser.set_defaults(run=run)
    return parser


def _check(arguments: argparse.Namespace) -> int:
    from mlops.ci import locks

    return locks.check(arguments)


def _fetch(arguments: argparse.Namespace) -> int:
    from mlops.ci import locks

    return locks.fetch(arguments)


def _write(arguments: argparse.Namespace) -> int:
    from mlops.ci import comment

    return comment.run(arguments)


def _lock(commands: Any) -> None:
    lock = commands.add_parser("lock", help="is dvc.lock what the code makes?", allow_abbrev=False)
    actions = lock.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=type(lock))
    check = _command(
        actions, "check", _check, "say whether dvc.lock of a commit belongs to its code, parameters and data",
        "Read a commit's dvc.lock and say which stages changed since they ran: from Git alone, without any data. With "
        "--rebuild, run the pipeline in an empty folder too, and compare. Exit code 2 when dvc.lock is not right.",
    )  # fmt: skip
    check.add_argument("revision", nargs="?", default="HEAD", metavar="COMMIT", help="HEAD unless told otherwise")
    check.add_argument("--rebuild", action="store_true", help="run the pipeline too, and compare what it makes")
    check.add_argument("--json", action="store_true", help="as JSON")
    fetch = _command(
        actions, "fetch", _fetch, "have what HEAD and its merge base made at hand, for the report",
        "See to it that the outputs of HEAD and of its merge base can be had: from DVC's cache, from remote storage, "
        "or by running the commit's pipeline again in an empty folder, whose outputs go into the cache. "
        "Exit code 2 when some cannot be had.",
    )  # fmt: skip
    fetch.add_argument("--base", metavar="REV", help="the branch to merge into; origin/main, else main")


def _comment(commands: Any) -> None:
    comment = _command(
        commands, "comment", _write, "write a report to its pull request: one comment, updated with each push",
        "Write a report, as `mlops report --json` made it, to the pull request it belongs to. The report counts as a "
        "stranger's: which pull request is GitHub's to say, and all of its text is made harmless. "
        "Needs $GITHUB_TOKEN; with --gitlab, $GITLAB_TOKEN.",
    )  # fmt: skip
    comment.add_argument("--report", required=True, metavar="FILE", help="may be missing: then the comment says so")
    where = comment.add_mutually_exclusive_group(required=True)
    where.add_argument("--event", metavar="FILE", help="GitHub's workflow_run event: $GITHUB_EVENT_PATH")
    where.add_argument("--gitlab", action="store_true", help="the merge request of this GitLab job")
    comment.add_argument(
        "--author", default="github-actions[bot]", metavar="LOGIN", help="whose comment is updated, on GitHub"
    )
