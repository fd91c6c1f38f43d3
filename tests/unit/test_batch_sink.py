"""Files appear whole or not at all."""

from __future__ import annotations

import gc
import gzip
import os
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from mlops.batch import sink
from mlops.batch.sink import Output, Part, Quarantine
from mlops.errors import TableError

SCHEMA = pa.schema([("id", pa.string()), ("p", pa.decimal128(7, 6)), ("v", pa.dictionary(pa.int8(), pa.string()))])


def table(start: int, rows: int) -> pa.Table:
    ids = pa.array([f"c{i}" for i in range(start, start + rows)])
    p = pa.array([i / 1e6 for i in range(start, start + rows)]).cast(pa.decimal128(7, 6))
    return pa.table([ids, p, pa.array(["v1"] * rows).dictionary_encode().cast(SCHEMA.field("v").type)], schema=SCHEMA)


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")
    with Part(target) as part:
        part.file.write(b"new")
        assert target.read_text() == "old"
        part.commit()
    assert target.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_nothing_stays_of_a_run_that_failed(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    with pytest.raises(ZeroDivisionError), Part(target) as part:
        part.file.write(b"half")
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / ".out.csv.part").write_bytes(b"left behind, and longer than what follows")
    with Part(tmp_path / "out.csv") as part:
        part.file.write(b"new")
        part.commit()
    assert (tmp_path / "out.csv").read_bytes() == b"new"


def test_two_runs_to_one_file_are_refused(tmp_path: Path) -> None:
    with Part(tmp_path / "out.csv") as first:
        with pytest.raises(TableError, match="being written by another run"), Part(tmp_path / "out.csv"):
            pass
        first.file.write(b"first")
        first.commit()
    assert (tmp_path / "out.csv").read_bytes() == b"first"


def test_a_file_put_in_place_meanwhile_is_never_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part that was opened is renamed to the target before it is locked."""
    part = tmp_path / ".out.csv.part"
    part.write_bytes(b"finished by another run")
    lock = sink.fcntl.flock

    def late(file: object, how: int) -> None:
        part.rename(tmp_path / "out.csv")
        lock(file, how)  # type: ignore[arg-type]

    monkeypatch.setattr(sink.fcntl, "flock", late)
    with pytest.raises(TableError, match="being written by another run"), Part(tmp_path / "out.csv"):
        pass
    assert (tmp_path / "out.csv").read_bytes() == b"finished by another run"


def test_folders_that_are_no_place_for_a_file(tmp_path: Path) -> None:
    for place, message in ((tmp_path / "nowhere" / "out.csv", "there is no folder"), (tmp_path, "is a folder")):
        with pytest.raises(TableError, match=message), Part(place):
            pass


@pytest.mark.parametrize(("module", "name"), [(sink.os, "fdopen"), (sink.fcntl, "flock"), (sink.os, "fstat")])
def test_an_interrupt_while_the_file_is_opened_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    real = getattr(module, name)
    calls: list[object] = []

    def interrupted(*arguments: object) -> object:
        calls.append(name)
        if len(calls) > 1:
            return real(*arguments)
        if name == "fdopen":
            os.close(arguments[0])  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(module, name, interrupted)
    with pytest.raises(KeyboardInterrupt), Part(tmp_path / "out.csv"):
        pass
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_the_part_of_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        os.close(arguments[0])  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with Part(tmp_path / "out.csv") as other:
        with monkeypatch.context() as m:
            m.setattr(sink.os, "fdopen", interrupted)
            with pytest.raises(KeyboardInterrupt), Part(tmp_path / "out.csv"):
                pass
        other.file.write(b"other")
        other.commit()
    assert (tmp_path / "out.csv").read_bytes() == b"other"


@pytest.mark.parametrize("rows", [0, 5, 25])
@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
def test_rows_come_back_as_they_were_given(
    tmp_path: Path, name: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "ROW_GROUP", 10)
    with Part(tmp_path / name) as part, Output(part, SCHEMA) as output:
        for start in range(0, rows, 5):
            output.write(table(start, 5))
        output.close()
        part.commit()
    if name.endswith(".parquet"):
        found = pq.ParquetFile(tmp_path / name)
        assert found.num_row_groups == -(-rows // 10)
        assert found.schema_arrow.field("v").type == pa.string()
        assert found.read().to_pylist() == table(0, rows).to_pylist()
        return
    data = (tmp_path / name).read_bytes()
    text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
    assert text.splitlines()[0] == '"id","p","v"'
    assert len(text.splitlines()) == rows + 1
    if rows:
        assert text.splitlines()[-1] == f'"c{rows - 1}",0.{rows - 1:06},"v1"'
        assert pacsv.read_csv(pa.BufferReader(text.encode())).column("id").to_pylist()[0] == "c0"


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
def test_an_output_that_is_given_up_writes_nothing_more(tmp_path: Path, name: str) -> None:
    with pytest.raises(ZeroDivisionError), Part(tmp_path / name) as part, Output(part, SCHEMA) as output:
        output.write(table(0, 5))
        raise ZeroDivisionError
    del output
    gc.collect()  # a writer that still wrote would complain here
    assert not list(tmp_path.iterdir())


def test_quarantined_cells_are_quoted_where_they_must_be(tmp_path: Path) -> None:
    with Part(tmp_path / "bad.csv") as part:
        quarantine = Quarantine(part)
        quarantine.write([(7, "price", "is not a finite number", 'a "b",\nc')])
        quarantine.close()
        part.commit()
    expected = 'row,column,reason,value\n7,price,is not a finite number,"a ""b"",\nc"\n'
    assert (tmp_path / "bad.csv").read_text() == expected
