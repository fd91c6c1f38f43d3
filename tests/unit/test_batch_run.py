"""Whole runs: the service's numbers for every row, each row once, bad ones told and set apart."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mlops import bundle
from mlops.batch import score
from mlops.batch.run import predict
from mlops.errors import DataError
from mlops.features import Plan
from mlops.model.pipeline import assemble
from tests.unit.batches import COLUMNS, COMMIT, cells, customers, promoted, read, request, spoiled, workspace, written
from tests.unit.models import KINDS, TOLERANCE, Fitted, saved, to_scalars

pytestmark = pytest.mark.usefixtures("small_pieces")


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
