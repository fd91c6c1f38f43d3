from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlops import stage
from mlops.errors import DataError
from mlops.params import View

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "tests" / "params.yaml").read_text())
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


def test_a_parameter_edited_meanwhile_is_noticed_and_nothing_is_replaced(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "out").mkdir()
    (workspace / "out" / "old").write_text("old")
    text = (workspace / "params.yaml").read_text()

    def work(params: View) -> None:
        with stage.replaced("out") as (folder,):
            (folder / "new").write_text("new")
            (workspace / "params.yaml").write_text(text.replace("max_depth: null", "max_depth: 8"))

    assert stage.run("train", work) == 1
    expected = "error: params.yaml: max_depth changed while stage train ran; run `dvc repro` again\n"
    assert capsys.readouterr().err == expected
    assert [p.name for p in (workspace / "out").iterdir()] == ["old"]


def test_a_parameter_that_the_stage_does_not_read_may_change(workspace: Path) -> None:
    text = (workspace / "params.yaml").read_text()

    def work(params: View) -> None:
        (workspace / "params.yaml").write_text(text.replace("resamples: 1000", "resamples: 500"))

    assert stage.run("train", work) == 0


def test_byte_code_that_python_writes_meanwhile_is_no_change(workspace: Path) -> None:
    def work(params: View) -> None:
        (workspace / "code" / "__pycache__").mkdir()
        (workspace / "code" / "__pycache__" / "module.pyc").write_bytes(b"x")

    assert stage.run("train", work) == 0


def test_an_output_that_a_killed_process_moved_aside_comes_back(workspace: Path) -> None:
    (workspace / ".out.old").mkdir()
    (workspace / ".out.old" / "old").write_text("old")
    with pytest.raises(DataError), stage.replaced("out"):
        raise DataError("bad rows")
    assert (workspace / "out" / "old").read_text() == "old"


def test_what_the_system_refuses_is_one_line(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def work(params: View) -> None:
        raise OSError(28, "No space left on device", "data/.raw.new/table.parquet")

    assert stage.run("train", work) == 1
    assert capsys.readouterr().err.startswith("error: data/.raw.new/table.parquet: No space left on device; ")


def test_a_stage_whose_reader_left_has_not_succeeded(workspace: Path) -> None:
    """`dvc repro | head` must not file a half-done stage as done."""
    code = (
        "import sys; from mlops import stage\n"
        "def work(params):\n"
        "    for _ in range(100_000): print('a line')\n"
        "sys.exit(stage.run('train', work))"
    )
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "$0" | true; exit ${{PIPESTATUS[0]}}', code], check=False
    )
    assert done.returncode == 1


def test_outside_the_repository_it_says_where_to_go(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "dvc.yaml").unlink()
    assert stage.run("train", lambda params: None) == 1
    assert "run stages at the repository's root" in capsys.readouterr().err
