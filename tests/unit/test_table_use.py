"""`mlops data use`: all of it happens, or nothing does."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlops import params, schema
from mlops.cli import main
from mlops.errors import MlopsError
from mlops.table import project, versioned

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TABLE = "who,plan,fee,left\n" + "".join(
    f"k{i},{'abc'[i % 3]},{i % 50 / 2 + i % 7},{'yes' if i % 5 else 'no'}\n" for i in range(200)
)
USE = ["data", "use", "mine/t.csv", "--target", "left", "--id", "who"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=folder, check=True)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of a small project, and a table that is not yet part of it."""
    folder = tmp_path / "project"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    (folder / "mine").mkdir()
    (folder / "mine/t.csv").write_text(TABLE)
    for name, text in (("params.yaml", project.with_table), ("dvc.yaml", project.with_deps)):
        path = Path(name)
        path.write_text(text(path.read_text(), None if name == "params.yaml" else []))  # type: ignore[arg-type]
    return folder


def everything(folder: Path) -> dict[str, str]:
    """Digest of each file of the project that is not DVC's or Git's own."""
    files = [
        p for p in sorted(folder.rglob("*")) if p.is_file() and not {".git", ".dvc"} & set(p.relative_to(folder).parts)
    ]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_there_and_back(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(here)
    texts = {name: Path(name).read_text() for name in ("params.yaml", "dvc.yaml")}
    assert main(USE) == 0
    said = capsys.readouterr().out
    assert "200 rows; left = yes (churn) in 160 of 200: 80.0%" in said
    assert said.endswith("Next: dvc repro\n")
    table = params.load().data.table
    assert table is not None
    assert (table.files, table.test, table.delimiter, table.header) == (["data/source/t.csv"], [], ",", True)
    assert [c.kind for c in schema.load().columns] == ["id", "category", "number", "target"]
    assert Path("data/source/t.csv").read_text() == TABLE
    assert versioned.unchanged(Path("data/source/t.csv"))
    changed = set(texts["dvc.yaml"].splitlines()) ^ set(Path("dvc.yaml").read_text().splitlines())
    assert changed == {"      - data/source/t.csv"}
    kept = [line for line in texts["params.yaml"].splitlines() if "source:" not in line and "table:" not in line]
    assert [n for n in Path("params.yaml").read_text().splitlines() if "source:" not in n and "table:" not in n] == kept

    assert main(["data", "use", "simulator"]) == 0
    assert "removed data/source/t.csv; its bytes stay in DVC's cache" in capsys.readouterr().out
    after = everything(here)
    assert after.pop("data/schema.yaml") is not None
    assert {k: v for k, v in after.items() if not k.endswith(".gitignore")} == before


def test_another_table_replaces_the_first(here: Path) -> None:
    assert main(USE) == 0
    Path("mine/u.csv").write_text(TABLE)
    Path("mine/v.csv").write_text(TABLE.replace("k", "m"))
    assert main(["data", "use", "mine/u.csv", "--test", "mine/v.csv", "--target", "left"]) == 0
    assert sorted(p.name for p in Path("data/source").glob("*.csv*")) == ["u.csv", "u.csv.dvc", "v.csv", "v.csv.dvc"]
    table = params.load().data.table
    assert table is not None
    assert (table.files, table.test) == (["data/source/u.csv"], ["data/source/v.csv"])
    Path("mine/u.csv").write_text(TABLE + "k999,a,1,no\n")  # new rows under the same name
    assert main(["data", "use", "mine/u.csv", "--target", "left"]) == 0
    assert Path("data/source/u.csv").read_text().endswith("k999,a,1,no\n")
    assert not Path("data/source/v.csv").exists()


def test_a_file_of_data_source_stays_where_it_is(here: Path) -> None:
    Path("data/source").mkdir(parents=True)
    shutil.copy("mine/t.csv", "data/source/own.csv")
    assert main(["data", "use", "data/source/own.csv", "--target", "left"]) == 0
    assert Path("data/source/own.csv.dvc").exists()
    assert main(USE) == 0
    assert Path("data/source/own.csv").exists()
    assert not Path("data/source/own.csv.dvc").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mine/t.csv", "--target", "lefd"], "t.csv: no column 'lefd'; did you mean left?"),
        (["mine/t.csv", "--target", "plan"], "plan takes 3 values"),
        (["mine/gone.csv", "--target", "left"], "mine/gone.csv does not exist; did you mean mine/t.csv?"),
        (["mine/t.csv", "mine/t.csv", "--target", "left"], "mine/t.csv is named twice"),
        (["mine/t.csv"], "say which column to predict with --target COLUMN"),
        (["simulator", "--target", "left"], "takes no --target"),
    ],
)
def test_a_wrong_call_changes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    before = everything(here)
    assert main(["data", "use", *words]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert everything(here) == before


def test_a_failure_of_dvc_changes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(here)

    def fail(*words: str) -> None:
        Path("data/source/.gitignore").write_text("/t.csv\n")
        Path("data/source/t.csv.dvc").write_text("half")
        raise MlopsError("the disk is full")

    monkeypatch.setattr(versioned, "_dvc", fail)
    assert main(USE) == 1
    assert capsys.readouterr().err == "error: the disk is full\n"
    assert everything(here) == before


def test_somebody_elses_file_is_not_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data/source").mkdir(parents=True)
    Path("data/source/t.csv").write_text("precious")
    assert main(USE) == 1
    assert "data/source/t.csv exists already and is another file" in capsys.readouterr().err
    assert Path("data/source/t.csv").read_text() == "precious"


def test_only_in_the_repositorys_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(USE) == 1
    assert "change to the repository's folder" in capsys.readouterr().err


def test_editing_keeps_every_other_byte() -> None:
    for text in ((ROOT / "tests" / "params.yaml").read_text(),):
        there = project.with_table(text, {"files": ["data/source/a b.csv"], "delimiter": "\t", "decimal": ","})
        assert project.with_table(there, None) == project.with_table(text, None)
    text = (ROOT / "dvc.yaml").read_text()
    bare = project.with_deps(text, [])
    assert project.with_deps(project.with_deps(text, ["data/source/a.csv", "data/source/b.csv"]), []) == bare
