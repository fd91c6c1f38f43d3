"""What a batch takes and refuses: files that are no table, columns that cannot be carried, requests that cannot be."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from mlops.batch import check
from mlops.batch.request import Request
from mlops.batch.run import predict
from mlops.errors import SchemaError, TableError
from mlops.features import Plan
from tests.unit.batches import COLUMNS, cells, customers, read, request, spoiled, workspace, written
from tests.unit.models import Fitted

pytestmark = pytest.mark.usefixtures("small_pieces")


def test_a_missing_column_is_refused_before_any_row_is_read(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = customers(50).rename_columns({"sessions": "sesions"})
    monkeypatch.setattr(check, "read", lambda *_: pytest.fail("read a row"))
    for name in ("in.csv", "in.parquet"):
        with pytest.raises(TableError, match=r"no column 'sessions', which the model reads; did you mean sesions\?"):
            predict(request(models, written(tmp_path, table, name), tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()


def test_columns_are_carried_as_they_are(models: Path, tmp_path: Path) -> None:
    table = customers(90)
    lines = table.to_pandas().to_csv(index=False).splitlines()
    lines[1] = lines[1].replace("c00000", " 007")
    (tmp_path / "in.csv").write_text("\n".join(lines))
    predict(request(models, tmp_path / "in.csv", tmp_path / "out.csv", keep=("note", "minutes")))
    scored = cells(tmp_path / "out.csv")
    given = list(csv.DictReader(lines))
    assert list(scored[0]) == ["customer", "note", "minutes", *COLUMNS]
    for name in ("customer", "note", "minutes"):
        assert [row[name] for row in scored] == [row[name] for row in given]
    assert scored[0]["customer"] == " 007"

    typed = table.append_column("seen", pa.array([dt.datetime(2025, 1, 1, tzinfo=dt.UTC)] * 90))
    keep = ("seen", "sessions", "plan [a,b]")
    predict(request(models, written(tmp_path, typed, "in.parquet"), tmp_path / "out.parquet", keep=keep))
    carried = read(tmp_path / "out.parquet").select(["customer", *keep])
    assert carried.to_pylist() == typed.select(["customer", *keep]).to_pylist()
    assert carried.field("sessions").type == pa.float64()


def test_columns_that_cannot_be_carried(models: Path, tmp_path: Path) -> None:
    given = written(tmp_path, customers(20).append_column("stage", pa.array(["x"] * 20)), "in.csv")
    with pytest.raises(TableError, match=r"no column 'notes'; did you mean note\?"):
        predict(request(models, given, tmp_path / "out.csv", keep=("notes",)))
    with pytest.raises(TableError, match="--keep stage: the output has a column of that name"):
        predict(request(models, given, tmp_path / "out.csv", keep=("stage",)))


@pytest.mark.parametrize("name", ["in.csv", "in.parquet"])
def test_without_an_id_rows_are_numbered(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path, name: str) -> None:
    models = workspace("xgboost", fitted, plan, tmp_path / "models", id=None)
    predict(request(models, spoiled(tmp_path, name), tmp_path / "out.csv"))
    numbers = [int(row["row"]) for row in cells(tmp_path / "out.csv")]
    bad = {int(c["row"]) for c in cells(tmp_path / "rejected.csv")}
    assert numbers == [n for n in range(1, 251) if n not in bad]


@pytest.mark.parametrize("given", ["in.csv", "in.parquet"])
@pytest.mark.parametrize("output", ["out.csv", "out.parquet"])
def test_a_file_without_rows_gives_one_without_rows(models: Path, tmp_path: Path, given: str, output: str) -> None:
    path = written(tmp_path, customers(5), given)
    if given == "in.csv":
        path.write_text(path.read_text().splitlines()[0])
    else:
        pq.write_table(customers(5).slice(0, 0), path)
    summary = predict(request(models, path, tmp_path / output))
    assert (summary.rows, summary.scored) == (0, 0)
    assert read(tmp_path / output).column_names == ["customer", *COLUMNS]
    assert read(tmp_path / output).num_rows == 0


def test_words_for_no_value_of_the_table_s_schema(models: Path, tmp_path: Path) -> None:
    table = customers(120)
    minutes = pc.fill_null(table.column("minutes"), -999.0)
    coded = table.set_column(table.column_names.index("minutes"), "minutes", minutes)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "schema.yaml").write_text(
        "columns:\n  minutes: {kind: number, missing: ['-999']}\n"
        "  churned: {kind: target, positive: '1', negative: '0'}\n"
    )
    for name in ("plain.csv", "coded.csv", "plain.parquet", "coded.parquet"):
        path = written(tmp_path, coded if name.startswith("coded") else table, name)
        predict(request(models, path, tmp_path / f"out-{name}.parquet"))
    scores = [read(tmp_path / f"out-{name}.parquet").column(1).to_pylist() for name in ("plain.csv", "coded.csv")]
    scores += [read(tmp_path / f"out-{n}.parquet").column(1).to_pylist() for n in ("plain.parquet", "coded.parquet")]
    assert all(s == scores[0] for s in scores)
    (tmp_path / "data" / "schema.yaml").write_text("nonsense: 1")
    with pytest.raises(SchemaError):
        predict(request(models, path, tmp_path / "out.csv"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"in.csv does not exist"),
        (b"", "is empty"),
        (b" \n \n", "nothing but blanks"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b'{"a": 1}\n', "is JSON"),
        (b"PAR1 and then nonsense", "a damaged or unknown Parquet file"),
        (b"one\n1\n2\n", "is no table"),
    ],
)
def test_what_is_no_table_is_refused(models: Path, tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "in.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TableError, match=message):
        predict(request(models, path, tmp_path / "out.csv"))
    assert not list(tmp_path.glob("*out*"))


def test_a_parquet_file_cut_short_leaves_nothing(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(customers(4000), path, row_group_size=500, compression="none")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = b"\xff" * 3000
    path.write_bytes(data)
    with pytest.raises(TableError, match="damaged or unknown Parquet file"):
        predict(request(models, path, tmp_path / "out.csv"))
    assert not list(tmp_path.glob("*out*"))


def test_types_that_cannot_be_read_are_refused(models: Path, tmp_path: Path) -> None:
    table = customers(10)
    nested = table.set_column(0, "minutes", pa.array([[1.0]] * 10))
    with pytest.raises(TableError, match=r"minutes holds list<.*>, the model reads a number there"):
        predict(request(models, written(tmp_path, nested, "in.parquet"), tmp_path / "out.csv"))


def test_an_open_quote_is_refused(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    frame = customers(100).drop_columns("note").to_pandas().assign(**{"plan [a,b]": "<5"})
    lines = frame.to_csv(index=False).splitlines()
    lines[30] = lines[30] + ',"'
    path.write_text("\n".join(lines))
    with pytest.raises(TableError, match="a quote is never closed"):
        predict(request(models, path, tmp_path / "out.csv"))


def test_requests_that_cannot_be(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "input": tmp_path / "in.csv",
        "output": tmp_path / "out.csv",
        "quarantine": tmp_path / "bad.csv",
    }
    for change, message in (
        ({"output": tmp_path / "out.xlsx"}, r"the output is .csv, .csv.gz, .parquet by its suffix"),
        ({"output": tmp_path / "in.csv"}, "must be three files"),
        ({"quarantine": tmp_path / "out.csv"}, "must be three files"),
        ({"max_bad": 1.5}, "from 0 to 1"),
        ({"threads": 0}, "at least one thread"),
    ):  # fmt: skip
        with pytest.raises(TableError, match=message):
            Request(**{**given, **change})
    (tmp_path / "in.csv").write_text("a,b\n")
    (tmp_path / "same.csv").symlink_to(tmp_path / "in.csv")
    with pytest.raises(TableError, match="must be three files"):
        Request(tmp_path / "in.csv", tmp_path / "same.csv", tmp_path / "bad.csv")
