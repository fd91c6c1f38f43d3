"""The sweep's part of the command line. `mlops.sweep.command` does the work, and is loaded then."""

from __future__ import annotations

import argparse
from typing import Any


def register(commands: Any) -> None:
    """Add sweep."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "sweep", help="try many settings, and learn from each where to look next", allow_abbrev=False,
        description="Search the params that policy.yaml names under sweep, by Optuna. Each finished trial is an "
        "experiment; a sweep that was stopped goes on where it was. No trial sees a test row.",
    )  # fmt: skip
    parser.add_argument(
        "--trials", type=int, metavar="N", help="in all, with those that are done (100; with --apply: those that are)"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that fit at the same time (1)")
    parser.add_argument("--metric", metavar="M", help="what decides; that of policy.yaml unless told")
    parser.add_argument("--name", default="sweep", metavar="STUDY", help="of the study and its experiments (sweep)")
    parser.add_argument("--apply", action="store_true", help="at the end run the pipeline with the best trial's params")
    parser.add_argument("--json", action="store_true", help="what was found, as JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int | None:
    from mlops.sweep import command

    return command.run(arguments)
