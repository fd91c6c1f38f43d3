"""Stage ingest: a table typed by the schema, every record accounted for, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mlops import ingest, params
from mlops.errors import SchemaError, TableError
from mlops.params import VIEWS, Table, View
from mlops.schema import Column, Schema, dump
from mlops.table.dialect import Told
from mlops.table.read import read_files

ROOT = Path(__file__).parents[2]
SCHEMA = Schema((
    Column("who", "id"), Column("since", "date", format="%d.%m.%Y"), Column("plan", "category"),
    Column("fee", "number"), Column("auto", "boolean"), Column("note", "ignore", why="dropped by --drop"),
    Column("left", "target", positive="yes", negative="no"),
))  # fmt: skip
HEAD = "who,since,plan,fee,auto,note,left\n"
FIRST = HEAD + "a, 31.01.2025 ,Gold,1.5,true,x,Yes\nb,,Silver,?,FALSE,x,no\n,01.02.2025,Gold,2,,x,\n"
SECOND = "LEFT,who,since,plan,fee,auto,extra\nNO,d,02.02.2025,GOLD,3,T,9\nYES,e,02.02.2025,Bronze\n"

Work = Callable[..., dict]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    """Write files, point the parameters at them, run the stage's work, return metadata.json."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()

    def run(files: dict[str, str], test: tuple[str, ...] = (), schema: Schema = SCHEMA, **table: object) -> dict:
        for name, text in files.items():
            Path(name).write_text(text, encoding="utf-8")
        Path("data/schema.yaml").write_text(dump(schema))
        settings = Table(files=[n for n in files if n not in test], test=list(test), **table)  # type: ignore[arg-type]
        whole = params.load(ROOT / "tests" / "params.yaml")
        data = whole.data.model_copy(update={"source": "table", "table": settings})
        ingest.work(View(whole.model_copy(update={"data": data}), VIEWS["ingest"]))
        found: dict = json.loads(Path("data/raw/metadata.json").read_text())
        return found

    return run


def test_columns_are_typed_and_every_record_is_counted(work: Work, capsys: pytest.CaptureFixture[str]) -> None:
    found = work({"a.csv": FIRST, "b.csv": SECOND})
    table = pq.read_table("data/raw/table.parquet")
    assert {f.name: str(f.type) for f in table.schema} == {
        "who": "string", "since": "timestamp[ms]", "plan": "string", "fee": "double", "auto": "bool", "left": "string",
    }  # fmt: skip
    assert table.column("who").to_pylist() == ["a", "b", None, "d"]
    assert table.column("left").to_pylist() == ["yes", "no", None, "no"]
    assert table.column("plan").to_pylist() == ["Gold", "Silver", "Gold", "Gold"]
    assert table.column("fee").to_pylist() == [1.5, None, 2, 3]
    assert [(f["name"], f["role"], f["rows"], f["rejected"]) for f in found["files"]] == [
        ("a.csv", "table", 3, 0),
        ("b.csv", "table", 1, 1),
    ]
    assert found["files"][0]["sha256"] == hashlib.sha256(FIRST.encode()).hexdigest()
    assert found["normalised"] == {"spellings": {"plan": {"GOLD": {"as": "Gold", "rows": 1}}}}
    assert found["time_range"] == {"since": {"min": "2025-01-31 00:00:00", "max": "2025-02-02 00:00:00"}}
    rejected = Path("data/raw/rejected.csv").read_text()
    assert rejected == 'file,record,reason,text\nb.csv,2,"4 fields, expected 7","YES,e,02.02.2025,Bronze"\n'
    warned = capsys.readouterr().err
    assert "b.csv: 1 columns that data/schema.yaml does not know are left out: extra" in warned
    assert "b.csv: column names differ in case: LEFT as left" in warned


def test_test_files_get_their_own_table(work: Work) -> None:
    found = work({"a.csv": FIRST, "b.csv": SECOND}, test=("b.csv",))
    assert pq.read_table("data/raw/table.parquet").num_rows == 3
    assert pq.read_table("data/raw/test.parquet").column("who").to_pylist() == ["d"]
    assert [f["role"] for f in found["files"]] == ["table", "test"]
    work({"a.csv": FIRST})
    assert not Path("data/raw/test.parquet").exists()


def test_an_unreadable_value_keeps_its_column_as_text(work: Work) -> None:
    work({"a.csv": FIRST.replace("1.5", "soon").replace("31.01", "31.02")})
    table = pq.read_table("data/raw/table.parquet")
    assert table.column("fee").to_pylist() == ["soon", None, "2"]
    assert table.column("since").to_pylist() == ["31.02.2025", None, "2025-02-01 00:00:00"]


def test_a_missing_column_names_file_and_column_and_leaves_the_old_output(work: Work) -> None:
    work({"a.csv": FIRST})
    before = Path("data/raw/table.parquet").read_bytes()
    with pytest.raises(SchemaError, match=r"a\.csv: no column 'fee'; did you mean fees\?"):
        work({"a.csv": FIRST.replace("fee", "fees")})
    assert Path("data/raw/table.parquet").read_bytes() == before


def test_same_input_same_bytes(work: Work) -> None:
    many = HEAD + "".join(
        f"k{i},0{i % 9 + 1}.02.2025,p{i % 7},{i / 3},true,x,{'yes' if i % 4 else 'no'}\n" for i in range(50_000)
    )
    marks = set()
    for _ in range(3):
        work({"a.csv": many})
        marks.add(tuple(hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(Path("data/raw").iterdir())))
    assert len(marks) == 1


def test_later_files_may_be_written_otherwise(work: Work) -> None:
    other = FIRST.replace(",", ";").replace("\n", "\r\n")
    assert work({"a.csv": FIRST, "b.csv": other}, delimiter=",")["rows"] == 6


def test_headerless_files_match_by_place(work: Work) -> None:
    schema = Schema(
        (Column("c0", "number"), Column("c1", "category"), Column("c2", "target", positive=">50K", negative="<=50K"))
    )
    train = "39, Private, <=50K\n50, Local, >50K\n" * 3
    work({"a.data": train, "a.test": "|1x3 Cross validator\n25, Private, <=50K.\n44, Local, >50K.\n"},
         test=("a.test",), schema=schema, header=False)  # fmt: skip
    assert pq.read_table("data/raw/test.parquet").to_pylist() == [
        {"c0": 25, "c1": "Private", "c2": "<=50K"},
        {"c0": 44, "c1": "Local", "c2": ">50K"},
    ]
    assert Path("data/raw/rejected.csv").read_text().count("\n") == 2


def test_the_simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = params.load(ROOT / "tests" / "params.yaml")
    small = whole.data.simulator.model_copy(update={"customers": 60, "months": 3})
    ingest.work(View(whole.model_copy(update={"data": whole.data.model_copy(update={"simulator": small})}), ("data",)))
    found = json.loads(Path("data/raw/metadata.json").read_text())
    assert found["source"] == "simulator"
    assert found["rows"] == found["files"][0]["rows"] == pq.read_table("data/raw/table.parquet").num_rows >= 180
    assert Path("data/raw/rejected.csv").read_text() == "file,record,reason,text\n"


def test_errors_are_one_line_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ingest.main([]) == 1
    assert capsys.readouterr().err.startswith("error: params.yaml is missing")


def test_a_file_of_which_only_the_pointer_is_here_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("customers.csv.dvc").write_text("outs: []")
    with pytest.raises(TableError, match=r"only its .dvc file; fetch it with `dvc pull customers.csv.dvc`"):
        read_files([Path("customers.csv")], Told())
