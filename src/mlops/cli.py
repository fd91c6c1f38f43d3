"""`mlops …`: parses, calls, prints. What a command does is in the module it imports when it runs."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, NoReturn

from mlops import __version__
from mlops.ci import arguments as integration
from mlops.errors import MlopsError, guarded, nearest
from mlops.experiments import arguments as experimenting
from mlops.export import arguments as exporting
from mlops.merge import arguments as merging
from mlops.registry import arguments as registry
from mlops.report import arguments as reporting
from mlops.sweep import arguments as sweeping

Run = Callable[[argparse.Namespace], int | None]


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line and name the nearest right word."""

    options: ClassVar[set[str]] = set()

    def error(self, message: str) -> NoReturn:
        """Raise the complaint as an MlopsError."""
        self.options.update(self._option_string_actions)
        choice = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        unknown = re.search(r"unrecognized arguments: (.*)", message)
        if choice:
            known = re.findall(r"[\w-]+", choice[2])
            raise MlopsError(f"{self.prog}: no command {choice[1]!r}{nearest(choice[1], known) or _listed(known)}")
        if unknown:
            word = next((w for w in unknown[1].split() if w.startswith("-")), unknown[1].split()[0])
            hint = nearest(word, self.options) or f"; see `{self.prog} --help`"
            raise MlopsError(f"{self.prog}: {word} is not known{hint}")
        raise MlopsError(f"{self.prog}: {message}; see `{self.prog} --help`")

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Parse, and remember this parser's options for the complaints of the outer one."""
        Parser.options.update(self._option_string_actions)
        return super().parse_known_args(args, namespace)


def _listed(known: list[str]) -> str:
    return f"; there are {', '.join(known)}"


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns the exit code; an expected error is one line on stderr and exit code 1."""

    def work() -> int | None:
        arguments = build().parse_args(argv)
        run: Run = arguments.run
        return run(arguments)

    return guarded(work)


def build() -> Parser:
    """The whole command line. A new command registers itself here."""
    parser = Parser(prog="mlops", description="Churn prediction whose only server is Git.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"mlops {__version__}", help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for register in (
        _register_data,
        _register_metrics,
        _register_params,
        _register_predict,
        registry.register,
        reporting.register,
        integration.register,
        merging.register,
        experimenting.register,
        sweeping.register,
        exporting.register,
    ):
        register(commands)
    return parser


def _register_data(commands: argparse._SubParsersAction[Parser]) -> None:
    data = commands.add_parser("data", help="your own table: use it, see what was found in it", allow_abbrev=False)
    actions = data.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    _register_use(actions)
    show = actions.add_parser(
        "show",
        help="what each column was taken for",
        description="Show what each column of the table was taken for.",
        allow_abbrev=False,
    )
    show.add_argument("--json", action="store_true", help="as JSON")
    show.set_defaults(run=_data_show)
    _register_data_diff(actions)


def _register_data_diff(actions: argparse._SubParsersAction[Parser]) -> None:
    diff = actions.add_parser(
        "diff",
        help="what differs between the data of two commits",
        description="Rows added, removed, changed; labels that flipped; drift of each column; schema; sides of the "
        "split. Read from DVC's cache or remote. Exit code 1: the data of one of them cannot be had.",
        allow_abbrev=False,
    )
    diff.add_argument("before", metavar="REV", help="a version, stage, experiment or commit")
    diff.add_argument("after", nargs="?", metavar="REV", help="another; HEAD unless told")
    diff.add_argument("--json", action="store_true", help="as JSON")
    diff.set_defaults(run=_data_diff)


def _register_metrics(commands: argparse._SubParsersAction[Parser]) -> None:
    metrics = commands.add_parser(
        "metrics",
        help="what the last run achieved",
        description="Show the test metrics of the last run with their intervals.",
        allow_abbrev=False,
    )
    metrics.add_argument("--json", action="store_true", help="as JSON")
    metrics.set_defaults(run=_metrics)


def _register_params(commands: argparse._SubParsersAction[Parser]) -> None:
    params = commands.add_parser("params", help="check params.yaml and data/schema.yaml", allow_abbrev=False)
    actions = params.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    check = actions.add_parser(
        "check",
        help="say what is wrong with them, before anything runs",
        description="Check params.yaml and data/schema.yaml. DVC runs nothing for a key that no stage declares, so a "
        "mistyped one would otherwise go unnoticed.",
        allow_abbrev=False,
    )
    check.set_defaults(run=_params_check)


def _register_predict(commands: argparse._SubParsersAction[Parser]) -> None:
    predict = commands.add_parser(
        "predict",
        help="score a file of customers",
        description="Score all rows of a CSV or Parquet file with the promoted model, or the workspace's own where "
        "none is promoted.",
        allow_abbrev=False,
    )
    predict.add_argument("--input", required=True, metavar="FILE", help="CSV (packed too) with a header, or Parquet")
    predict.add_argument(
        "--output", required=True, metavar="FILE", help=".csv, .csv.gz or .parquet, replaced at the end"
    )
    predict.add_argument("--stage", metavar="STAGE", help="whose model: prod, canary, …; prod unless told otherwise")
    predict.add_argument("--models", default="models", metavar="DIR", help="the folder of models (models)")
    predict.add_argument(
        "--keep", nargs="+", action="extend", default=[], metavar="COLUMN", help="columns that the output gets"
    )
    predict.add_argument("--quarantine", metavar="FILE", help="rows that cannot be scored (OUTPUT's name.rejected.csv)")
    predict.add_argument(
        "--max-bad", type=float, default=0.1, metavar="SHARE", help="of all rows, before it fails (0.1)"
    )
    predict.add_argument("--threads", type=int, metavar="N", help="all processors unless told otherwise")
    predict.add_argument("--json", action="store_true", help="what was done, as JSON")
    predict.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace) -> None:
    from mlops.batch import command

    command.run(arguments)


def _metrics(arguments: argparse.Namespace) -> None:
    from mlops import results, screen

    if arguments.json:
        print(results.as_json())
    else:
        results.show(screen.console())


def _params_check(arguments: argparse.Namespace) -> None:
    from mlops import params, schema

    params.load()
    schema.load()


def _register_use(actions: argparse._SubParsersAction[Parser]) -> None:
    use = actions.add_parser(
        "use",
        help="run the pipeline on your table, or on the simulator again",
        description="Run the pipeline on your own CSV or Parquet files: `mlops data use FILE… --target COLUMN`, then "
        "`dvc repro`. `mlops data use simulator` goes back to the embedded default.",
        allow_abbrev=False,
    )
    use.add_argument("files", nargs="+", metavar="FILE", help="CSV or Parquet files of one table, or: simulator")
    use.add_argument("--target", metavar="COLUMN", help="the column to predict; it takes two values")
    use.add_argument("--test", nargs="+", action="extend", default=[], metavar="FILE", help="files with the test rows")
    use.add_argument("--id", metavar="COLUMN", help="who a row is about; the split keeps all rows of one id together")
    use.add_argument("--time", metavar="COLUMN", help="when a row was observed: train before a cutoff, test after it")
    use.add_argument("--positive", metavar="VALUE", help="the value of the target that means churn")
    use.add_argument("--drop", nargs="+", action="extend", default=[], metavar="COLUMN", help="columns to leave out")
    use.add_argument("--no-header", action="store_true", help="the first line is a row: columns are called c0, c1, …")
    use.set_defaults(run=_data_use)


def _data_use(arguments: argparse.Namespace) -> None:
    from mlops.table import show, use
    from mlops.table.infer import Wishes

    console = show.console()
    if arguments.files == ["simulator"]:
        _refuse_options(arguments)
        notes = use.use_simulator()
        console.print("The pipeline runs on the simulator again.", highlight=False)
    else:
        if arguments.target is None:
            raise MlopsError("mlops data use: say which column to predict with --target COLUMN")
        wishes = Wishes(arguments.target, arguments.id, arguments.time, arguments.positive, tuple(arguments.drop))
        header = False if arguments.no_header else None
        files, test = (tuple(map(Path, names)) for names in (arguments.files, arguments.test))
        summary, notes = use.use_table(use.Request(files, test, wishes, header))
        show.render(summary, console)
    for note in notes:
        console.print(note, highlight=False, markup=False)
    console.print("Next: dvc repro", highlight=False)


def _refuse_options(arguments: argparse.Namespace) -> None:
    for option in ("target", "test", "id", "time", "positive", "drop", "no_header"):
        if getattr(arguments, option):
            shown = option.replace("_", "-")
            raise MlopsError(f"mlops data use simulator takes no --{shown}; a file of that name is ./simulator")


def _data_show(arguments: argparse.Namespace) -> None:
    from mlops.table import show

    summary = show.current()
    if arguments.json:
        print(show.as_json(summary))
    else:
        show.render(summary, show.console())


def _data_diff(arguments: argparse.Namespace) -> int:
    from mlops.datadiff import command

    return command.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
