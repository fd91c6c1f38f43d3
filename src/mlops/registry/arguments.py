"""The registry's part of the command line. `mlops.registry.commands` does the work, and is loaded when one runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

JSON = "as JSON"
STAGES = "prod canary shadow"


def register(commands: Any) -> None:
    """Add promote, rollback, unassign, archive, show, history, verify, diff, sync, trace and release."""
    for add in (
        _promote, _rollback, _unassign, _archive, _show, _history, _verify, _diff, _sync, _trace, _release,
    ):  # fmt: skip
        add(commands)


def _command(commands: Any, name: str, text: str, description: str = "") -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=description or text[:1].upper() + text[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(run=_run(name))
    parser.add_argument("--json", action="store_true", help=JSON)
    return parser


def _run(name: str) -> Callable[[argparse.Namespace], int | None]:
    def run(arguments: argparse.Namespace) -> int | None:
        from mlops.registry import commands

        done: int | None = getattr(commands, name)(arguments)
        return done

    return run


def _promote(commands: Any) -> None:
    parser = _command(
        commands, "promote", "register a version and give it to a stage, if the gate lets it",
        "Compare a commit's model with the one that serves, and if the gate of policy.yaml lets it, tag it: "
        "churn@v1.2.0 registers it, churn#prod#7 makes it prod. Exit code 2 when the gate refuses.",
    )  # fmt: skip
    parser.add_argument(
        "revision", nargs="?", metavar="WHAT", help="an experiment, commit or version; HEAD unless told"
    )
    parser.add_argument("--best", action="store_true", help="the experiment with the best value of the gate's metric")
    parser.add_argument("--stage", metavar="STAGE", help="prod, unless policy.yaml says otherwise")
    parser.add_argument("--version", metavar="vX.Y.Z", help="the version to register it as; else the next one")
    parser.add_argument(
        "--bump", choices=("major", "minor", "patch"), help="which number rises; minor, unless clients change"
    )
    parser.add_argument("--weight", type=float, metavar="SHARE", help="of the customers, for a canary")
    parser.add_argument("--why", metavar="TEXT", help="recorded in the tag")
    parser.add_argument("--force", action="store_true", help="whatever the gate says; needs --why, and is recorded")
    parser.add_argument("--prove", action="store_true", help="rebuild it first, and put the proof into the tag")


def _rollback(commands: Any) -> None:
    parser = _command(commands, "rollback", "make a stage serve again what it served before")
    parser.add_argument("--stage", metavar="STAGE", help="prod, unless policy.yaml says otherwise")
    parser.add_argument("--to", metavar="VERSION", help="go back to this one, not to the one before")
    parser.add_argument("--why", metavar="TEXT", help="recorded in the tag")


def _unassign(commands: Any) -> None:
    parser = _command(
        commands, "unassign", "take its version away from a stage",
        "Take its version away from a stage; what it served before comes back, if there was something.",
    )  # fmt: skip
    parser.add_argument("stage", metavar="STAGE", help="which one")
    parser.add_argument("--why", metavar="TEXT", help="recorded in the tag")


def _archive(commands: Any) -> None:
    parser = _command(commands, "archive", "retire a version for good: no stage may serve it any more")
    parser.add_argument("version", metavar="VERSION", help="which one")
    parser.add_argument("--why", metavar="TEXT", help="recorded in the tag")
    parser.add_argument("--force", action="store_true", help="also a version that a stage serves")


def _show(commands: Any) -> None:
    parser = _command(commands, "show", "which version each stage serves")
    parser.add_argument("--all", action="store_true", help="also all registered versions")


def _history(commands: Any) -> None:
    parser = _command(
        commands, "history", "what was promoted, when, by whom and why; or what ran at a moment",
        "All changes, the latest first. With --at: what each stage served at that moment, with commit, data version, "
        "parameters, metrics, who promoted it and why; with --replay, the model of that moment scores a file.",
    )  # fmt: skip
    parser.add_argument("--stage", metavar="STAGE", help="only this one")
    parser.add_argument(
        "--at", metavar="TIME", help='such as "2026-03-15 14:00", by this machine\'s clock; or with an offset'
    )
    parser.add_argument("-n", "--most", type=int, metavar="N", help="only the latest N changes")
    parser.add_argument("--replay", metavar="FILE", help="score this CSV or Parquet file with what ran at that moment")
    parser.add_argument("--output", metavar="FILE", help="where the scores go (.csv, .csv.gz or .parquet)")


def _verify(commands: Any) -> None:
    parser = _command(
        commands, "verify", "rebuild a version from its tag and compare every byte",
        "Clone the version's commit into an empty folder, run its pipeline with no cache, and compare what comes out "
        "with what was promoted. Exit code 0: same bytes, 3: equal within 1e-6, 4: different, 5: cannot be rebuilt.",
    )  # fmt: skip
    parser.add_argument(
        "revision", nargs="?", metavar="WHAT", help="a version, stage, experiment or commit; HEAD unless told"
    )
    parser.add_argument(
        "--install", action="store_true", help="with the packages of its own lock, in an environment of its own"
    )
    parser.add_argument("--keep", metavar="DIR", help="keep what was rebuilt in this new folder")


def _diff(commands: Any) -> None:
    parser = _command(
        commands, "diff", "what differs between two versions: data, parameters, metrics, code, environment"
    )
    parser.add_argument("before", metavar="WHAT", help="a version, stage, experiment or commit")
    parser.add_argument("after", nargs="?", metavar="WHAT", help="another; HEAD unless told")


def _sync(commands: Any) -> None:
    parser = _command(
        commands, "sync", "make models/production/ what the tags say",
        "Fetch the models that the tags name, check them, put them where the API looks. With --watch, follow the tags.",
    )  # fmt: skip
    parser.add_argument("--from", dest="source", metavar="URL", help="another repository than this one")
    parser.add_argument("--models", metavar="DIR", help="the folder (models/production)")
    parser.add_argument("--stages", nargs="+", metavar="STAGE", default=STAGES.split(), help=f"which ones ({STAGES})")
    parser.add_argument(
        "--run", dest="program", nargs=argparse.REMAINDER, metavar="COMMAND",
        help="watch while this runs, such as --run python -m api",
    )  # fmt: skip
    parser.add_argument(
        "--watch", nargs="?", const=10.0, type=float, metavar="SECONDS", help="look again so often (10)"
    )
    parser.add_argument("--keep", type=int, metavar="N", help="older versions of each stage to keep (policy.yaml)")


def _trace(commands: Any) -> None:
    parser = _command(
        commands, "trace", "from a logged prediction back to its version, commit, data and reasons",
        "Find a prediction in the log, name what stands behind it, and score it again with the model of that version.",
    )  # fmt: skip
    parser.add_argument("request_id", metavar="REQUEST_ID", help="as the answer named it")
    parser.add_argument("--row", type=int, metavar="N", help="only this row of the request, counted from 0")
    parser.add_argument(
        "--log", metavar="URL", help="the prediction log; else $MLOPS_LOG, else data/log/predictions.sqlite"
    )


def _release(commands: Any) -> None:
    parser = _command(
        commands, "release", "what a tag releases, if its stage serves just that now",
        "Say which version a tag such as churn#prod#7 releases; ends with one line and exit code 1 when its stage "
        "serves something else by now, or when it is a tag that nobody follows. Release automation asks this first.",
    )  # fmt: skip
    parser.add_argument("tag", metavar="TAG", help="of an assignment")
    parser.add_argument("--image", metavar="NAME", help="what the container image is called: ghcr.io/acme/churn")
    parser.add_argument("--append", metavar="FILE", help="add NAME=VALUE lines to this file, such as $GITHUB_OUTPUT")
