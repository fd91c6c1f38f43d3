from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mlops import cli, results, schema, simulator
from mlops.errors import MlopsError


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "metrics" / "evaluate"
    folder.mkdir(parents=True)
    names = list(results.MEANING)
    interval = {"value": 0.84, "low": 0.81, "high": 0.87}
    document: dict[str, Any] = {
        "rows": 1200, "churned": 70, "customers": 300, "confidence": 0.95, "threshold": 0.0967655,
        "metrics": dict.fromkeys(names, interval),
    }  # fmt: skip
    (folder / "intervals.json").write_text(json.dumps(document))
    (folder / "metrics.json").write_text(json.dumps({**dict.fromkeys(names, 0.84), "best_reachable_roc_auc": 0.8512}))
    return tmp_path


def shown(width: int = 100) -> str:
    out = io.StringIO()
    results.show(Console(file=out, width=width))
    return out.getvalue()


def test_every_metric_has_its_interval_and_the_best_reachable_beside(ran: Path) -> None:
    text = shown()
    assert "Test: 1,200 rows of 300 customers, 70 churned; contacted from p = 0.0968" in text
    for name in results.MEANING:
        assert name in text
    assert text.count("0.8100 – 0.8700") == len(results.MEANING)
    assert "best reachable roc_auc" in text
    assert "0.0112 above ours" in text
    assert "mlops data use FILE" in text


def test_what_was_not_measured_is_left_out(ran: Path) -> None:
    assert "trained in" not in shown()
    assert "dvc_plots" not in shown()
    (ran / "metrics" / "timings.json").write_text('{"train_time_seconds": 2.5, "inference_time_ms": 0.0243}')
    (ran / "dvc_plots").mkdir()
    (ran / "dvc_plots" / "index.html").write_text("<html>")
    assert "trained in 2.5 s; one customer is scored in 0.024 ms" in shown()
    assert "dvc_plots/index.html" in shown()
    (ran / "metrics" / "evaluate" / "metrics.json").write_text("{}")
    assert "best reachable" not in shown()


def test_it_fits_a_terminal(ran: Path) -> None:
    assert max(len(line) for line in shown(80).splitlines() if "│" in line) <= 80


def test_before_the_first_run_it_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MlopsError, match="run the pipeline with `make` or `dvc repro`"):
        results.read()
    assert cli.main(["metrics"]) == 1
    assert capsys.readouterr().err.startswith("error: metrics/evaluate/intervals.json is missing")


def test_params_check_finds_what_dvc_would_not_run_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).resolve().parents[2]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "schema.yaml").write_text(schema.dump(simulator.SCHEMA))
    (tmp_path / "params.yaml").write_text((root / "tests" / "params.yaml").read_text())
    assert cli.main(["params", "check"]) == 0
    (tmp_path / "params.yaml").write_text((root / "tests" / "params.yaml").read_text() + "\nmax_dept: 3\n")
    assert cli.main(["params", "check"]) == 1
    assert capsys.readouterr().err == "error: params.yaml: max_dept is not a known key; did you mean max_depth?\n"


def test_every_command_and_option_has_help() -> None:
    import argparse

    def parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
        found = [parser]
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                assert {c.dest for c in action._choices_actions if c.help} == set(action.choices)
                for inner in action.choices.values():
                    found += parsers(inner)
        return found

    for parser in parsers(cli.build()):
        for action in parser._actions:
            assert action.help or isinstance(action, argparse._SubParsersAction), f"{parser.prog}: {action.dest}"
