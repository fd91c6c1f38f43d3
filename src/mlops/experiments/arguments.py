"""The experiments' part of the command line. `mlops.experiments.commands` does the work, and is loaded then."""

from __future__ import annotations

import argparse
from typing import Any

from mlops.experiments import compare_arguments


def register(commands: Any) -> None:
    """Add compare, experiments list and experiments recover."""
    compare_arguments.register(commands)
    parser = commands.add_parser("experiments", help="runs of notebooks: list, recover", allow_abbrev=False)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=type(parser))
    listing: argparse.ArgumentParser = actions.add_parser(
        "list", help="runs of notebooks, the newest first", allow_abbrev=False,
        description="Runs of notebooks and scripts, the newest first, and those whose process ended before they were "
        "saved. `mlops compare` has them in order, with those of the pipeline.",
    )  # fmt: skip
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(run=_list)
    recover: argparse.ArgumentParser = actions.add_parser(
        "recover", help="save or discard runs whose process is gone", allow_abbrev=False,
        description="Runs whose kernel died, or that could not be saved (a full disk): without a name they are listed, "
        "with a name or --all they become the experiments that they would have been, or go.",
    )  # fmt: skip
    recover.add_argument("runs", nargs="*", metavar="RUN", help="by name, or as the list calls it")
    recover.add_argument("--all", action="store_true", help="all that were left")
    recover.add_argument("--as", dest="name", metavar="NAME", help="what a single run shall be called")
    recover.add_argument("--discard", action="store_true", help="remove them, do not save them")
    recover.add_argument("--json", action="store_true", help="as JSON")
    recover.set_defaults(run=_recover)


def _list(arguments: argparse.Namespace) -> None:
    from mlops.experiments import commands

    commands.show(arguments)


def _recover(arguments: argparse.Namespace) -> None:
    from mlops.experiments import commands

    commands.recover(arguments)
