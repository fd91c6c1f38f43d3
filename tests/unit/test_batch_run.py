"""Whole runs: the service's numbers for every row, each row once, bad ones told and set apart."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from mlops import bundle
from mlops.batch import check, delimited, parquet, records, score, stream
from mlops.batch.request import Request
from mlops.batch.run import predict
from mlops.errors import DataError, SchemaError, TableError
from mlops.features import Plan
from mlops.model.pipeline import assemble
from tests.unit.batches import COMMIT, customers, promoted, request, workspace
from tests.unit.models import KINDS, TOLERANCE, Fitted, saved, to_scalars

COLUMNS = ["churn_probability", "prediction", "version", "commit", "stage", "predicted_at"]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Many pieces in a small file; no data/schema.yaml in sight."""
    monkeypatch.setattr(parquet, "BATCH", 37)
    monkeypatch.setattr(delimited, "SAMPLE_BYTES", 3000)
    monkeypatch.setattr(stream, "STEP", 500)
    monkeypatch.setattr(records, "BLOCK", 2000)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def models(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> Path:
    return workspace("xgboost", fitted, plan, tmp_path / "models", id="customer")


def written(folder: Path, table: pa.Table, name: str) -> Path:
    path = folder / name
    if name.endswith(".parquet"):
        pq.write_table(table, path)
    else:
        pacsv.write_csv(table, path)
    return path


def read(path: Path) -> pa.Table:
    if path.name.endswith(".parquet"):
        return pq.read_table(path)
    types = {"customer": pa.string(), "churn_probability": pa.float64(), "stage": pa.string(), "commit": pa.string(),
             "predicted_at": pa.string()}  # fmt: skip
    return pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(column_types=types, strings_can_be_null=True))


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["in.parquet", "in.csv"])
def test_every_kind_scores_as_the_service_and_as_the_library(
    kind: str, name: str, fitted: dict[str, Fitted], plan: Plan, tmp_path: Path
) -> None:
    models = workspace(kind, fitted, plan, tmp_path / "models", id="customer")
    table = customers(400)
    summary = predict(request(models, written(tmp_path, table, name), tmp_path / "out.parquet", threads=3))
    scored = read(tmp_path / "out.parquet")
    assert (summary.scored, summary.quarantined) == (400, 0)
    assert scored.column("customer").to_pylist() == table.column("customer").to_pylist()

    served = bundle.load(models / "serving")
    row_by_row = np.array([served.score_row(row)[1] for row in to_scalars(plan, table)])
    p = scored.column("churn_probability").to_numpy()
    assert np.max(np.abs(p - row_by_row)) <= 1e-6
    made = fitted[kind]
    library = assemble(made.encoder, made.model).predict_proba(table.to_pandas())[:, 1]
    assert np.max(np.abs(p - library)) <= 1e-6
    assert scored.column("prediction").to_pylist() == (row_by_row >= served.threshold).tolist()
    assert summary.churn == sum(scored.column("prediction").to_pylist())


@pytest.mark.parametrize("kind", KINDS)
def test_raw_scores_are_the_library_s(kind: str, fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    from mlops import columns
    from mlops.batch.model import Model

    made = fitted[kind]
    served = saved(kind, made, plan, tmp_path)
    table = customers(3000, seed=11)
    raw = columns.raw(table, plan.inputs)
    scores, probabilities = score.Scorer(Model(tmp_path, served, "v", None, None))(raw)
    library = made.model.raw_scores(
        assemble(made.encoder, made.model).named_steps["encode"].transform(table.to_pandas())
    )
    assert np.max(np.abs(scores - library)) <= TOLERANCE.get(kind, 1e-6)
    assert np.max(np.abs(probabilities - made.model.calibrator.many(library))) <= 1e-6


def test_every_row_says_what_scored_it(models: Path, tmp_path: Path) -> None:
    promoted(models, "canary", "v2.0.0-rc1")
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    predict(request(models, written(tmp_path, customers(100), "in.csv"), tmp_path / "out.csv", stage="canary"))
    scored = read(tmp_path / "out.csv")
    assert scored.column_names == ["customer", *COLUMNS]
    stamps = scored.select(COLUMNS[2:]).group_by(COLUMNS[2:]).aggregate([])
    ((row),) = stamps.to_pylist()
    assert (row["version"], row["commit"], row["stage"]) == ("v2.0.0-rc1", COMMIT, "canary")
    at = dt.datetime.strptime(row["predicted_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)
    assert before <= at <= dt.datetime.now(dt.UTC)


def test_all_forms_of_a_file_score_the_same(models: Path, tmp_path: Path) -> None:
    table = customers(300)
    frame = table.to_pandas()
    frame["since"] = frame["since"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    files = {
        "plain.csv": frame.to_csv(index=False).encode(),
        "semicolon.csv": frame.to_csv(index=False, sep=";", decimal=",").encode(),
        "tabs.csv": frame.to_csv(index=False, sep="\t", quoting=csv.QUOTE_ALL, lineterminator="\r\n").encode(),
        "index.csv": frame.to_csv().encode("utf-16"),
        "latin.csv": frame.to_csv(index=False).encode("cp1252"),
        "packed.csv.gz": gzip.compress(frame.to_csv(index=False).encode()),
        "spare.csv": frame.to_csv(index=False, lineterminator=";\n", sep=";").encode(),
        "words.csv": frame.assign(auto=frame["auto"].map({True: "yes", False: "No"})).to_csv(na_rep="N/A").encode(),
        "turned.csv": frame[frame.columns[::-1]].to_csv(index=False).encode(),
        "upper.csv": frame.rename(columns=str.upper).to_csv(index=False).encode(),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    written(tmp_path, table, "own.parquet")
    coded = [c.dictionary_encode() if pa.types.is_string(c.type) else c for c in table.columns]
    written(tmp_path, pa.table(coded, names=table.column_names), "coded.parquet")
    texts = [pc.cast(c, pa.large_string()) for c in table.columns]
    written(tmp_path, pa.table(texts, names=table.column_names), "texts.parquet")
    scores = {}
    for name in [*files, "own.parquet", "coded.parquet", "texts.parquet"]:
        summary = predict(request(models, tmp_path / name, tmp_path / "out.csv"))
        assert (summary.scored, summary.quarantined) == (300, 0), (name, summary.reasons)
        scores[name] = [row.split(",")[:3] for row in (tmp_path / "out.csv").read_text().splitlines()[1:]]
    assert all(rows == scores["plain.csv"] for rows in scores.values())
    assert len(scores["plain.csv"]) == 300


def spoiled(folder: Path, name: str) -> Path:
    """Rows 10, 60, 61 and 200 (from 1) have cells that cannot be read; row 150 is no row in CSV."""
    frame = customers(250).to_pandas().astype({"minutes": object, "sessions": object, "since": object})
    frame["since"] = frame["since"].astype(str)
    frame.loc[9, "minutes"] = "a lot"
    frame.loc[59, ["sessions", "since"]] = ["1.5", "yesterday"]
    frame.loc[60, "sessions"] = ""
    frame.loc[199, "minutes"] = "1e999"
    if name.endswith(".parquet"):
        written(
            folder, pa.Table.from_pandas(frame.astype({"minutes": str, "sessions": str}), preserve_index=False), name
        )
        return folder / name
    lines = frame.to_csv(index=False).splitlines(keepends=True)
    lines[150] = "only,three,fields\n"
    lines.insert(20, "\n")
    (folder / name).write_text("".join(lines))
    return folder / name


@pytest.mark.parametrize("name", ["in.csv", "in.parquet"])
def test_bad_rows_are_set_apart_and_told(models: Path, tmp_path: Path, name: str) -> None:
    clean = written(tmp_path, customers(250), "clean.parquet")
    predict(request(models, clean, tmp_path / "all.parquet"))
    expected = dict(zip(*read(tmp_path / "all.parquet").select([0, 1]).to_pydict().values(), strict=True))
    bad = {10, 60, 61, 200} | ({150} if name == "in.csv" else set())

    summary = predict(request(models, spoiled(tmp_path, name), tmp_path / "out.parquet", threads=2))
    scored = read(tmp_path / "out.parquet")
    found = dict(zip(*scored.select([0, 1]).to_pydict().values(), strict=True))
    assert found == {k: v for k, v in expected.items() if int(k[1:]) + 1 not in bad}
    assert (summary.scored, summary.quarantined) == (250 - len(bad), len(bad))
    told = [(c["row"], c["column"], c["reason"], c["value"]) for c in cells(tmp_path / "rejected.csv")]
    assert [c for c in told if c[0] != "150"] == [
        ("10", "minutes", "is not a finite number", "a lot"),
        ("60", "sessions", "is not a whole number, training saw no others", "1.5"),
        ("60", "since", "is not a date", "yesterday"),
        ("61", "sessions", "is missing, which training never saw", ""),
        ("200", "minutes", "is not a finite number", "1e999"),
    ]
    if name == "in.csv":
        assert ("150", "", "3 fields, expected 9", "only,three,fields") in told
    assert summary.reasons["minutes is not a finite number"] == 2


def test_too_many_bad_rows_leave_everything_as_it_was(models: Path, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("old")
    given = spoiled(tmp_path, "in.csv")
    with pytest.raises(DataError) as refused:
        predict(request(models, given, tmp_path / "out.csv", max_bad=0.01))
    assert re.search(
        r"in.csv: 5 of 250 rows \(2.00%\) cannot be scored, --max-bad allows 1.00%: minutes is not a finite number"
        r" \(2\), .*; the first is row 10, minutes: 'a lot'; nothing was written",
        str(refused.value),
    )
    assert (tmp_path / "out.csv").read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} == {"models", "in.csv", "out.csv"}
    assert predict(request(models, given, tmp_path / "out.csv", max_bad=0.02)).quarantined == 5


def test_unseen_levels_are_scored_and_counted(models: Path, tmp_path: Path) -> None:
    table = customers(200)
    plans = ["brand new" if i % 10 == 0 else plan for i, plan in enumerate(table.column("plan [a,b]").to_pylist())]
    table = table.set_column(table.column_names.index("plan [a,b]"), "plan [a,b]", pa.array(plans))
    summary = predict(request(models, written(tmp_path, table, "in.csv"), tmp_path / "out.csv"))
    assert summary.scored == 200
    assert summary.unknown["plan [a,b]"] == 20


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


def test_texts_are_measured_once_and_forgotten_when_many(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops import features

    calls: list[str] = []
    real = features.sentiment
    row, _ = features.OPS["sentiment"]

    def counted(texts: features.Coded) -> features.Floats:
        calls.extend(texts.levels)
        return texts.lookup([real(t) for t in texts.levels])

    monkeypatch.setitem(features.OPS, "sentiment", (row, counted))
    given = written(tmp_path, customers(400), "in.csv")
    predict(request(models, given, tmp_path / "one.csv", threads=3))
    assert sorted(calls) == sorted(set(calls))
    monkeypatch.setattr(score, "MOST_TEXTS", 1)
    predict(request(models, given, tmp_path / "two.csv", threads=3))
    one, two = (pd.read_csv(tmp_path / name)["churn_probability"] for name in ("one.csv", "two.csv"))
    assert one.equals(two)


@pytest.mark.parametrize("name", ["in.csv", "in.parquet"])
def test_progress_counts_every_row(models: Path, tmp_path: Path, name: str) -> None:
    seen: list[tuple[int, int]] = []
    predict(request(models, spoiled(tmp_path, name), tmp_path / "out.csv"), lambda *told: seen.append(told))
    assert sum(rows for rows, _ in seen) == 250
    assert seen[-1][1] == 250
    assert len(seen) > 3
