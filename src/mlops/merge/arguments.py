"""`mlops merge-driver …` on the command line. `mlops.merge.install` does the work, and is loaded when it runs."""

from __future__ import annotations

import argparse
from typing import Any


def register(commands: Any) -> None:
    """Add merge-driver."""
    text = "let Git merge dvc.lock stage by stage"
    driver = commands.add_parser("merge-driver", help=text, allow_abbrev=False)
    actions = driver.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=type(driver))
    install = actions.add_parser(
        "install",
        help="set up this clone",
        description="Tell Git to merge dvc.lock with this environment's Python: in the configuration of this clone, "
        "and in .gitattributes, which belongs into a commit. Changes nothing where all is set up.",
        allow_abbrev=False,
    )
    install.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    install.set_defaults(run=_install)


def _install(arguments: argparse.Namespace) -> None:
    from mlops.merge.install import install

    done = install()
    if not arguments.quiet:
        print("\n".join(done or ["Git merges dvc.lock stage by stage here already; nothing to change"]))
