"""`mlops sweep`: facts in, words out."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from typing import Any

from mlops import git as repository
from mlops.errors import ExperimentError
from mlops.sweep import apply, outcome, progress
from mlops.sweep.begin import DEFAULT_TRIALS, Asked, begun
from mlops.sweep.run import Running


def run(arguments: argparse.Namespace) -> int:
    """Sweep, show what was found, and apply it where that is asked for."""
    asked = Asked(arguments.trials, arguments.jobs, arguments.metric, arguments.name, arguments.apply)
    with contextlib.chdir(repository.here().folder), begun(asked, _say) as running:
        interrupted = _trials(running, asked)
        if running.study.baseline() is None:  # interrupted before there is anything to compare with
            return 130
        found = outcome.of(running)
        if interrupted:
            _say(f"stopped: {running.study.done()} trials are done; the same command goes on")
        if arguments.json:
            document = found.facts()
        else:
            outcome.show(found)
        if interrupted:
            return 130
        applied: dict[str, Any] | None = None
        if asked.apply:
            applied = apply.apply(running, found, sys.stderr if arguments.json else sys.stdout)
        if arguments.json:
            print(json.dumps({**document, "applied": applied}, indent=1, ensure_ascii=False))
    return 0


def _trials(running: Running, asked: Asked) -> bool:
    """Run the trials that are missing; whether somebody interrupted it."""
    done = running.study.done()
    if asked.apply and not done and asked.trials is None:
        raise ExperimentError(
            f"{running.study.name} has no trial yet that could be applied; `mlops sweep --trials {DEFAULT_TRIALS}"
            " --apply` makes some first (another --name, other rows or another space are another study)"
        )
    total = asked.trials or (done if asked.apply and done else DEFAULT_TRIALS)
    if done:
        left = max(total - done, 0)
        _say(f"{running.study.name}: {done} of {max(total, done)} trials done" + (f", {left} to go" if left else ""))
    if done >= total:
        return False
    try:
        with progress.shown() as watcher:
            running.trials(total, asked.jobs, watcher)
    except KeyboardInterrupt:
        return True
    return False


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
