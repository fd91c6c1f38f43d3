"""The comparison's part of the command line. `mlops.experiments.compare_command` does the work, and is loaded then."""

from __future__ import annotations

import argparse
from typing import Any


def register(commands: Any) -> None:
    """Add compare."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "compare", help="all experiments, the best first, beside main and production", allow_abbrev=False,
        description="All experiments of this repository, of `dvc exp run` and of notebooks, the best first, with the "
        "difference to main and to production, and an interval where both scored the same test rows.",
    )  # fmt: skip
    parser.add_argument("--metric", metavar="M", help="by which; the gate's of policy.yaml unless told")
    parser.add_argument("--top", type=int, metavar="N", help="only the N best (20); 0: all")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--plot", metavar="FILE.html", help="also as a page: the metric by param, ROC curves together")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from mlops.experiments import compare_command

    compare_command.run(arguments)
