"""What `mlops experiments list` and `recover` do: call, print."""

from __future__ import annotations

import argparse
import json
from typing import Any

from mlops import git as repository
from mlops.errors import ExperimentError
from mlops.experiments import board
from mlops.experiments import recover as work
from mlops.experiments.board import NOTEBOOK, Experiment
from mlops.experiments.recover import Left


def show(arguments: argparse.Namespace) -> None:
    """`mlops experiments list`."""
    git = repository.here()
    runs = [e for e in board.read(git) if e.origin == NOTEBOOK]
    left = work.left(git)
    if arguments.json:
        _print_json({"runs": [_facts(run) for run in runs], "left": [run.facts() for run in left]})
        return
    for run in runs:
        said = f"failed: {run.error}" if run.error else run.note or ""
        print(f"{run.name:<30} {run.commit[:8]}  {run.at.astimezone():%Y-%m-%d %H:%M}  {said}".rstrip())
    if not runs:
        print('no run of a notebook yet; `with ExperimentTracker().run("name"):` makes one (docs/experiments.md)')
    if left:
        print()
        _print_left(left)


def recover(arguments: argparse.Namespace) -> None:
    """`mlops experiments recover`."""
    git = repository.here()
    if arguments.all and arguments.runs:
        raise ExperimentError("--all takes all that were left; leave out the names, or leave out --all")
    chosen = work.choose(git, arguments.runs)
    if not (arguments.runs or arguments.all):
        if arguments.discard:
            raise ExperimentError("say which runs to discard, or --all; `mlops experiments recover` lists them")
        if arguments.json:
            _print_json([run.facts() for run in chosen])
        elif chosen:
            _print_left(chosen)
        else:
            print("no run was left")
        return
    done = []
    for run in chosen:
        if arguments.discard:
            work.discard(run)
        name = None if arguments.discard else work.finish(git, run)
        done.append({**run.facts(), "experiment": name})
        if not arguments.json:
            print(f"{run.folder.name} ({run.name}): " + (f"saved as experiment {name}" if name else "discarded"))
    if arguments.json:
        _print_json(done)


def _facts(run: Experiment) -> dict[str, Any]:
    return {
        "name": run.name,
        "commit": run.commit,
        "at": run.at.isoformat(),
        "state": run.state,
        "error": run.error,
        "note": run.note,
        "metrics": dict(run.metrics),
    }


def _print_left(left: list[Left]) -> None:
    print(f"{len(left)} left without being saved:")
    for run in left:
        has = f"{run.metrics} metrics" + (", a model" if run.has_model else "")
        print(f"  {run.folder.name}  {run.name}  since {run.started}, {has}" + ("" if run.ended else ", did not end"))
    print("next      mlops experiments recover RUN             save it as an experiment")
    print("          mlops experiments recover RUN --discard   remove it")


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=1, ensure_ascii=False))
