"""What `mlops lock` does: call, print, choose the exit code."""

from __future__ import annotations

import argparse
import json
import sys

from mlops import git as repository
from mlops import policy as policies
from mlops.ci import honest
from mlops.errors import ReportError, StoreError, one_line
from mlops.git import Git
from mlops.report import base
from mlops.store.objects import Store

WRONG = 2
"""Exit code for a dvc.lock that is not right, or whose outputs are not to be had."""


def check(arguments: argparse.Namespace) -> int:
    """`mlops lock check`."""
    git = repository.here()
    commit = git.commit(arguments.revision)
    _warn_of_changes(git, arguments.revision)
    if arguments.rebuild:
        found = honest.rebuild(git, Store(git.folder), commit, _model(git), _note)
    else:
        found = honest.check(git, commit)
    print(json.dumps(found.facts(), indent=1, ensure_ascii=False) if arguments.json else "\n".join(found.lines()))
    return 0 if found.right else WRONG


def fetch(arguments: argparse.Namespace) -> int:
    """`mlops lock fetch`: 2 when something cannot be had, and does not come out again."""
    git = repository.here()
    commits = [git.commit("HEAD")]
    try:
        commits.append(base.find(git, "HEAD", arguments.base).commit)
    except ReportError as error:
        _note(f"HEAD alone: {one_line(error)}")
    store, lost = Store(git.folder), False
    for commit in commits:
        try:
            print(f"{commit[:8]}: {honest.bring(git, store, commit, _model(git), _note)}", flush=True)
        except StoreError as error:
            lost = True
            print(f"error: {one_line(error)}", file=sys.stderr)
    return WRONG if lost else 0


def _model(git: Git) -> str:
    """What the model is called in dvc.yaml."""
    return policies.load(git.folder / policies.PATH).registry.name


def _warn_of_changes(git: Git, revision: str) -> None:
    if revision == "HEAD" and git.text("status", "--porcelain", "--untracked-files=no"):
        _note("warning: what is not committed is not looked at")


def _note(line: str) -> None:
    print(f"… {line}" if not line.startswith("warning") else line, file=sys.stderr, flush=True)
