"""The command line: help for everything, one line for every mistake, `data show` for people and machines."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops import __version__, cli, schema
from mlops.schema import Column, Schema
from mlops.table import project

ROOT = Path(__file__).parents[2]


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


def test_every_command_and_option_has_help() -> None:
    for parser in parsers(cli.build()):
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                assert {a.dest for a in action._choices_actions} == set(action.choices)
                assert all(a.help for a in action._choices_actions)
            else:
                assert action.help, f"{parser.prog}: {action.dest}"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"mlops {__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dta"], "error: mlops: no command 'dta'; did you mean data?\n"),
        (["data", "sow"], "error: mlops data: no command 'sow'; did you mean show?\n"),
        (["data", "use", "t.csv", "--taget", "x"], "error: mlops: --taget is not known; did you mean --target?\n"),
        (
            ["data", "use"],
            "error: mlops data use: the following arguments are required: FILE; see `mlops data use --help`\n",
        ),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 1
    assert capsys.readouterr().err == message


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/source"
    folder.mkdir(parents=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    lines = [f"{i},[bold]<{i % 3},{'x' if i == 5 else i / 2},,{'ja' if i % 4 else 'nein'}" for i in range(40)]
    (folder / "t.csv").write_text("\n".join(["who,[red]plan,fee,gone,left", *lines, "1,2"]) + "\n")
    table = {"files": ["data/source/t.csv"], "test": []}
    (tmp_path / "params.yaml").write_text(project.with_table((ROOT / "tests" / "params.yaml").read_text(), table))
    columns = (
        Column("who", "id"), Column("[red]plan", "category"), Column("fee", "number"), Column("gone", "date"),
        Column("left", "target", positive="ja", negative="nein"),
    )  # fmt: skip
    Path("data/schema.yaml").write_text(schema.dump(Schema(columns)))
    return tmp_path


def test_show_for_people(shown: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "show"]) == 0
    said = capsys.readouterr().out
    assert "[red]plan" in said
    assert "[bold]<0, [bold]<1, [bold]<2" in said
    assert "1 values do not read as number; those rows will be quarantined" in said
    assert "40 rows; left = ja (churn) in 30 of 40: 75.0%" in said
    assert "warning: t.csv: 1 record is no row of the table; the first: record 41, 2 fields, expected 5" in said
    assert "warning: gone: 100% of the rows have no value" in said
    assert "Edit data/schema.yaml" in said


def test_show_for_machines(shown: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "show", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["positives"], found["rate"], found["positive"]) == (40, 30, 0.75, "ja")
    assert [c["kind"] for c in found["columns"]] == ["id", "category", "number", "date", "target"]
    assert found["columns"][3]["missing"] == 40


def test_show_of_the_simulator(shown: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mlops.simulator import SCHEMA

    text = project.with_table(Path("params.yaml").read_text(), None)
    Path("params.yaml").write_text(text.replace("customers: 12000", "customers: 60").replace("months: 18", "months: 3"))
    Path("data/schema.yaml").write_text(schema.dump(SCHEMA))
    assert cli.main(["data", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["target"] == SCHEMA.target.name
