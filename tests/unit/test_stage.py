from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlops import stage
from mlops.errors import DataError
from mlops.params import View

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: x, deps: [input.csv, code]}}")
    (tmp_path / "input.csv").write_text("a")
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "module.py").write_text("b")
    return tmp_path


def test_new_outputs_take_the_old_ones_places(workspace: Path) -> None:
    (workspace / "out").mkdir()
    (workspace / "out" / "old").write_text("old")
    with stage.replaced("out", "models/model.bin") as (folder, file):
        (folder / "new").write_text("new")
        file.write_text("model")
        assert (workspace / "out" / "old").exists()
    assert [p.name for p in (workspace / "out").iterdir()] == ["new"]
    assert (workspace / "models" / "model.bin").read_text() == "model"
    assert sorted(p.name for p in workspace.iterdir() if p.name.startswith(".")) == []


def test_an_error_leaves_the_old_outputs(workspace: Path) -> None:
    (workspace / "out").mkdir()
    (workspace / "out" / "old").write_text("old")
    with pytest.raises(DataError), stage.replaced("out") as (folder,):
        (folder / "half").write_text("half")
        raise DataError("bad rows")
    assert [p.name for p in (workspace / "out").iterdir()] == ["old"]
    assert sorted(p.name for p in workspace.iterdir() if p.name.startswith(".")) == []


def test_expected_errors_are_one_line(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def work(params: View) -> None:
        raise DataError("data/raw: 12 rows\nare bad; edit data/schema.yaml")

    assert stage.run("train", work) == 1
    assert capsys.readouterr().err == "error: data/raw: 12 rows are bad; edit data/schema.yaml\n"


@pytest.mark.parametrize("moved", ["input.csv", "code/module.py"])
def test_a_result_whose_inputs_moved_is_refused(
    workspace: Path, capsys: pytest.CaptureFixture[str], moved: str
) -> None:
    def work(params: View) -> None:
        (workspace / moved).write_text("edited while the stage ran")

    assert stage.run("train", work) == 1
    assert capsys.readouterr().err == f"error: {moved} changed while stage train ran; run `dvc repro` again\n"


def test_a_stage_that_ends_well_says_nothing(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    assert stage.run("train", lambda params: seen.append(params.get("seed"))) == 0
    assert seen == [42]
    assert capsys.readouterr() == ("", "")


def test_a_wrong_parameter_stops_before_the_work(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (workspace / "params.yaml").read_text()
    (workspace / "params.yaml").write_text(text.replace("max_depth: null", "max_depth: -1"))
    assert stage.run("train", lambda params: pytest.fail("the stage ran")) == 1
    assert "params.yaml: max_depth = -1" in capsys.readouterr().err


def test_the_traceback_is_there_when_asked_for(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "MLOPS_TRACEBACK", "1")

    def work(params: View) -> None:
        raise DataError("bad")

    with pytest.raises(DataError):
        stage.run("train", work)
