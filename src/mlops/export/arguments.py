"""The exports' part of the command line. `mlops.export.commands` does the work, and is loaded when one runs."""

from __future__ import annotations

import argparse
from typing import Any


def register(commands: Any) -> None:
    """Add export mlflow and export wandb."""
    parser = commands.add_parser(
        "export", help="experiments and versions into MLflow or Weights & Biases", allow_abbrev=False
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=type(parser))
    _mlflow(actions)
    _wandb(actions)


def _command(actions: Any, name: str, text: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=description, allow_abbrev=False)
    parser.add_argument("--since", metavar="TIME", help="only experiments saved since then, such as '2026-03-15 14:00'")
    parser.add_argument("--all", action="store_true", help="also every commit of main that changed the metrics")
    parser.add_argument("--json", action="store_true", help="what was done, as JSON")
    return parser


def _mlflow(actions: Any) -> None:
    parser = _command(
        actions, "mlflow", "as runs of an MLflow server, versions as its models",
        "Every experiment, the commits of registered versions and main's newest become runs of an MLflow server; "
        "versions become model versions and stages their aliases. What is there already is not written again.",
    )  # fmt: skip
    parser.add_argument("--to", metavar="URL", help="the server; else $MLFLOW_TRACKING_URI, else http://127.0.0.1:5000")
    parser.add_argument("--experiment", metavar="NAME", help="MLflow's list of runs; the registry's name unless told")
    parser.add_argument("--prune", action="store_true", help="put into MLflow's trash what this clone has no more")
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="do so again and again")
    parser.add_argument("--serve", action="store_true", help="start a server on this machine first, until Ctrl-C")
    parser.add_argument("--port", type=int, metavar="N", help="of that server (5000)")
    parser.set_defaults(run=_run_mlflow)


def _wandb(actions: Any) -> None:
    parser = _command(
        actions, "wandb", "as offline runs of Weights & Biases",
        "Every experiment, the commits of registered versions and main's newest become offline runs in a folder, which "
        "`wandb sync` sends where you want them. What is in the folder already is not written again.",
    )  # fmt: skip
    parser.add_argument("--project", metavar="NAME", help="the registry's name unless told")
    parser.add_argument("--entity", metavar="NAME", help="whose project; your own unless told")
    parser.add_argument("--dir", metavar="DIR", help="the folder (.dvc/tmp/wandb)")
    parser.set_defaults(run=_run_wandb)


def _run_mlflow(arguments: argparse.Namespace) -> int:
    from mlops.export import commands

    return commands.mlflow(arguments)


def _run_wandb(arguments: argparse.Namespace) -> None:
    from mlops.export import commands

    commands.wandb(arguments)
