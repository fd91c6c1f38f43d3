"""The report's part of the command line. `mlops.report.command` does the work, and is loaded when one runs."""

from __future__ import annotations

import argparse
from typing import Any


def register(commands: Any) -> None:
    """Add report and gate."""
    report = _command(
        commands, "report", "is this branch really better? what a pull request's comment shows",
        "Compare HEAD with the commit where it left main: the verdict, metrics with intervals, whose decision flips, "
        "groups that got worse, and what was changed.",
    )  # fmt: skip
    report.add_argument("--json", action="store_true", help="as JSON")
    report.add_argument("--html", metavar="FILE", help="also as a page that needs no network")
    report.add_argument(
        "--output", action="append", default=[], metavar="FILE",
        help="also into this file: .json, .html, any other as Markdown; more than once for several",
    )  # fmt: skip
    report.set_defaults(run=_report)
    gate = _command(
        commands, "gate", "may this branch be merged? by policy.yaml",
        "Ask the gate of policy.yaml about HEAD and the commit where it left main. Exit code 0: it may be merged, "
        "2: it may not, and why; 1: it cannot be asked.",
    )  # fmt: skip
    gate.add_argument("--json", action="store_true", help="as JSON")
    gate.set_defaults(run=_gate)


def _command(commands: Any, name: str, text: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=description, allow_abbrev=False)
    parser.add_argument(
        "--base", metavar="REV", help="the branch that HEAD shall be merged into; origin/main, else main, unless told"
    )
    return parser


def _report(arguments: argparse.Namespace) -> None:
    from mlops.report import command

    command.report(arguments)


def _gate(arguments: argparse.Namespace) -> int:
    from mlops.report import command

    return command.gate(arguments)
