"""What `mlops experiments list` and `recover` do: call, print."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from mlops import git as repository
from mlops.errors import ExperimentError, MlopsError, one_line
from mlops.experiments import board
from mlops.experiments import recover as work
from mlops.experiments.board import NOTEBOOK, Experiment
from mlops.experiments.recover import Left
from mlops.git import Git
from mlops.report.texts import clean


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
        at = f"{run.at.astimezone():%Y-%m-%d %H:%M}"
        print(f"{clean(run.name):<30} {run.commit[:8]}  {at}  {clean(said)}".rstrip())
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
    if arguments.name is not None and (len(chosen) != 1 or arguments.discard):
        raise ExperimentError(f"--as names one run that is saved, and these are {len(chosen)}; give one RUN")
    done = [_recovered(git, run, arguments) for run in chosen]
    if arguments.json:
        _print_json(done)
    left = sum("error" in facts for facts in done)
    if left:
        raise ExperimentError(
            f"{left} of {len(done)} runs could not be {'removed' if arguments.discard else 'saved'}, and stay as they"
            " are; put that right and run the same again"
        )


def _recovered(git: Git, run: Left, arguments: argparse.Namespace) -> dict[str, Any]:
    """Save or discard a run; what came of it. One that cannot be read must not keep the others from being saved."""
    try:
        if arguments.discard:
            work.discard(run)
        name = None if arguments.discard else work.finish(git, run, arguments.name)
    except Exception as why:
        said = one_line(why) if isinstance(why, MlopsError) else f"{type(why).__name__}: {one_line(why)}"
        print(f"{run.folder.name} ({clean(run.name)}): {said}", file=sys.stderr)
        return {**run.facts(), "experiment": None, "error": said}
    if not arguments.json:
        called = f"{run.folder.name} ({clean(run.name)})"
        print(f"{called}: " + (f"saved as experiment {name}" if name else "discarded"))
    return {**run.facts(), "experiment": name}


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
        print(
            f"  {run.folder.name}  {clean(run.name)}  since {run.started}, {has}"
            + ("" if run.ended else ", did not end")
        )
    print("next      mlops experiments recover RUN             save it as an experiment")
    print("          mlops experiments recover RUN --discard   remove it")


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=1, ensure_ascii=False))
