"""The stage as a whole: from data/raw to data/features, and nothing changed when it stops."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from mlops import features, preprocess
from mlops import schema as schemas

ROOT = Path(__file__).resolve().parents[2]
SIDES = ("train", "validation", "test")
SCHEMA = """\
columns:
  customer: {kind: id}
  month: {kind: time}
  plan: {kind: category, levels: [basic, plus, pro]}
  fee: {kind: number, min: 0}
  since: {kind: date, format: '%d.%m.%Y'}
  comment: {kind: text}
  auto: {kind: boolean}
  note: {kind: ignore, why: not ours}
  left: {kind: target, positive: 'Yes', negative: 'No'}
  truth: {kind: truth}
derived:
  fee_each_day: {ratio: [fee, fee]}
"""


def raw_table(size: int = 600, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    risk = rng.random(size)
    day = 86_400
    return pa.table(
        {
            "customer": [f"C{i % (size // 3)}" for i in range(size)],
            "month": pa.array([(19_723 + 30 * (i // (size // 3))) * day for i in range(size)], pa.timestamp("s")),
            "plan": pa.array(rng.choice(["pro", "plus", "basic"], size)).dictionary_encode(),
            "fee": pa.array(np.round(rng.random(size) * 90, 2), mask=rng.random(size) < 0.1),
            "since": pa.array(rng.integers(15_000, 19_000, size) * day, pa.timestamp("s")),
            "comment": pa.array(rng.choice(["", "I love it", "awful service"], size)),
            "auto": pa.array(rng.random(size) < 0.5),
            "left": pa.array(np.where(rng.random(size) < risk, "Yes", "No")),
            "truth": risk,
        }
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/schema.yaml").write_text(SCHEMA)
    write_raw(raw_table())
    return tmp_path


def write_raw(table: pa.Table, test: pa.Table | None = None, rejected: int = 0) -> None:
    files = [{"name": "a.csv", "rows": table.num_rows, "rejected": rejected, "sha256": "", "role": "table"}]
    pq.write_table(table, "data/raw/table.parquet")
    if test is not None:
        files.append({"name": "b.csv", "rows": test.num_rows, "rejected": 0, "sha256": "", "role": "test"})
        pq.write_table(test, "data/raw/test.parquet")
    Path("data/raw/metadata.json").write_text(json.dumps({"files": files}))
    lines = [f"a.csv,{i},too short,x" for i in range(1, rejected + 1)]
    Path("data/raw/rejected.csv").write_text("\n".join(["file,record,reason,text", *lines]) + "\n")


def changed(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def param(key: str, value: str) -> None:
    text = Path("params.yaml").read_text()
    line = next(line for line in text.splitlines() if line.strip().startswith(f"{key}:"))
    Path("params.yaml").write_text(text.replace(line, f"{line[: line.index(key)]}{key}: {value}"))


def side(name: str) -> pa.Table:
    return pq.read_table(f"data/features/{name}.parquet")


def summary() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("data/features/summary.json").read_text())
    return found


def digests() -> dict[str, str]:
    paths = sorted(p for folder in ("data/features", "data/quarantine") for p in Path(folder).rglob("*"))
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def test_sides_hold_what_the_contract_says(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preprocess.main() == 0
    plan = features.Plan.from_json(json.loads(Path("data/features/plan.json").read_text()))
    names = [f.name for f in plan.features]
    assert names == [
        "plan", "fee", "since_days", "since_month", "since_weekday", "comment_length", "comment_words",
        "comment_sentiment", "auto", "fee_each_day",
    ]  # fmt: skip
    assert {i.name: i.nullable for i in plan.inputs}["fee"] is True
    assert {i.name: i.nullable for i in plan.inputs}["plan"] is False
    for name in SIDES:
        table = side(name)
        assert table.column_names == ["__key", "__customer", "__time", "__y", "__truth", *names]
        assert table.schema.field("__y").type == pa.int8()
        assert table.schema.field("fee").type == pa.float32()
        assert table.column("plan").unify_dictionaries().chunk(0).dictionary.to_pylist() == ["basic", "plus", "pro"]
    assert side("unlabelled").column_names == ["__key", "__customer", "__time", "__side", "__truth", *names]
    out = capsys.readouterr().out
    assert out.startswith("600 rows: 0 quarantined, 0 without target, 0 repeated\ncutoff 2024-03-01; rows not used: ")


def test_no_customer_is_on_two_sides_and_every_row_is_counted(project: Path) -> None:
    left = raw_table().column("left").to_pylist()
    write_raw(changed(raw_table(), "left", pa.array([None, *left[1:-1], "Maybe"])))
    assert preprocess.main() == 0
    customers = [set(side(name).column("__customer").to_pylist()) for name in SIDES]
    assert len(set.union(*customers)) == sum(map(len, customers))
    counts = summary()
    on_sides = sum(s["rows"] for s in counts["sides"].values())
    assert counts["unlabelled"] == 1
    assert counts["quarantined"] == {"rows": 1, "reasons": {"left is neither 'Yes' nor 'No'": 1}}
    assert on_sides + sum(counts["unused"].values()) + 2 == counts["rows"] == 600
    (unlabelled,) = side("unlabelled").to_pylist()
    assert unlabelled["__key"] == "C0|2024-01-01"
    assert unlabelled["__side"] in ("train", "validation", "unused")


def test_cutoff_parts_the_sides_in_time(project: Path) -> None:
    assert preprocess.main() == 0
    cutoff = np.datetime64(summary()["cutoff"])
    assert all(t < cutoff for name in ("train", "validation") for t in side(name).column("__time").to_numpy())
    assert all(t >= cutoff for t in side("test").column("__time").to_numpy())


def test_same_input_same_bytes_and_added_customers_move_nobody(project: Path) -> None:
    assert preprocess.main() == 0
    before = {name: set(side(name).column("__key").to_pylist()) for name in SIDES}
    first = digests()
    assert preprocess.main() == 0
    assert digests() == first
    added = raw_table(seed=2)
    added = changed(added, "customer", pa.array([f"N{c}" for c in added.column("customer").to_pylist()]))
    write_raw(pa.concat_tables([raw_table(), added]))
    assert preprocess.main() == 0
    after = {name: set(side(name).column("__key").to_pylist()) for name in SIDES}
    for name in SIDES:
        assert before[name] < after[name]


def test_unreadable_values_are_quarantined_with_reason(project: Path) -> None:
    fee = [None if v is None else str(v) for v in raw_table().column("fee").to_pylist()]
    fee[4:6] = ["abc", "-3"]
    write_raw(changed(raw_table(), "fee", pa.array(fee)), rejected=2)
    assert preprocess.main() == 0
    with Path("data/quarantine/rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["file"], r["record"], r["reason"], r["fee"]) for r in rows] == [
        ("a.csv", "7", "fee: 'abc' is not a number", "abc"),
        ("a.csv", "8", "fee: '-3' is below min 0", "-3"),
    ]
    assert summary()["rejected"] == 2


def test_the_other_rows_do_not_notice_an_unreadable_value(project: Path) -> None:
    """A column that arrives as text gives the same features as the typed one."""
    assert preprocess.main() == 0
    typed = side("train")
    fee = [None if v is None else str(v) for v in raw_table().column("fee").to_pylist()]
    since = [v.strftime("%d.%m.%Y") for v in raw_table().column("since").to_pylist()]
    auto = ["TRUE" if v else "F" for v in raw_table().column("auto").to_pylist()]
    table = raw_table()
    for name, values in (("fee", fee), ("since", since), ("auto", auto)):
        table = changed(table, name, pa.array(values))
    write_raw(table)
    assert preprocess.main() == 0
    assert side("train").equals(typed)


def test_too_many_bad_rows_change_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preprocess.main() == 0
    before = digests()
    write_raw(changed(raw_table(), "plan", pa.array(["gold"] * 600)))
    capsys.readouterr()
    assert preprocess.main() == 1
    assert capsys.readouterr().err == (
        "error: 600 of 600 rows (100.00%) cannot be used, preprocess.max_bad_share allows 5.00%; mostly plan: 'gold' is"
        " none of the levels (record 1 of a.csv, the first of 600 such); fix the file, edit plan in data/schema.yaml,"
        " or raise preprocess.max_bad_share in params.yaml\n"
    )
    assert digests() == before
    assert not list(Path("data").glob(".*"))


@pytest.mark.parametrize(("action", "code", "start"), [("warn", 0, "LEAKAGE: "), ("stop", 1, "error: ")])
def test_a_feature_that_gives_the_target_away(
    project: Path, capsys: pytest.CaptureFixture[str], action: str, code: int, start: str
) -> None:
    table = raw_table()
    fee = [5.0 if left == "Yes" else None for left in table.column("left").to_pylist()]
    write_raw(changed(table, "fee", pa.array(fee)))
    param("leakage", action)
    assert preprocess.main() == code
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"{start}feature fee alone gives the target away (AUC 1.0000 on training rows")
    assert len(lines) == (2 if action == "warn" else 1)  # fee_each_day is made of fee


def test_a_test_file_is_tested_whole(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_raw(raw_table(), test=raw_table(60, seed=3))
    param("cutoff", "2024-02-01")
    assert preprocess.main() == 0
    captured = capsys.readouterr()
    assert "warning: preprocess.cutoff is not used" in captured.err
    assert "warning: 20 ids are both in the table and in its test file; all rows are kept" in captured.err
    assert "cutoff" not in captured.out
    assert side("test").num_rows == 60
    assert side("train").num_rows + side("validation").num_rows == 600


def test_an_empty_side_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_raw(raw_table(3))
    assert preprocess.main() == 1
    assert "no row with a target is on the" in capsys.readouterr().err
    write_raw(changed(raw_table(), "left", pa.array([None] * 600, pa.string())))
    assert preprocess.main() == 1
    assert "error: none of the 600 rows that keep the rules has a target" in capsys.readouterr().err


def test_a_column_that_ingest_did_not_write(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_raw(raw_table().drop_columns(["plan"]))
    assert preprocess.main() == 1
    assert "data/raw/table.parquet has no column 'plan' of data/schema.yaml" in capsys.readouterr().err


def test_without_raw_data_the_stage_says_how_to_get_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data/raw/table.parquet").unlink()
    assert preprocess.main() == 1
    expected = "error: data/raw/table.parquet is missing; `dvc repro ingest` writes it\n"
    assert capsys.readouterr().err == expected
    write_raw(raw_table().slice(0, 0))
    assert preprocess.main() == 1
    assert "data/raw has no row" in capsys.readouterr().err


def test_a_table_without_id_or_time_keeps_copies_together(project: Path) -> None:
    Path("data/schema.yaml").write_text(
        "columns: {plan: {kind: category}, fee: {kind: number}, left: {kind: target, positive: 'Yes', negative: 'No'}}"
    )
    table = raw_table().select(["plan", "fee", "left"])
    write_raw(pa.concat_tables([table, table]))
    assert preprocess.main() == 0
    assert summary()["duplicates"] >= 600
    seen: dict[tuple[str, float | None], list[str]] = {}
    for name in SIDES:
        for row in side(name).to_pylist():
            seen.setdefault((row["plan"], row["fee"]), []).append(name)
            assert row["__customer"] == row["__key"]
    copies = [names for names in seen.values() if len(names) <= 20]
    assert len(copies) > 100
    assert all(len(set(names)) == 1 for names in copies)


@pytest.mark.tables
def test_a_real_table_with_gaps_in_every_column(project: Path, tables: Path) -> None:
    """704 of 7,043 rows lack the target, as many the id; all are accounted for."""
    table = pa.csv.read_csv(
        tables / "telco_missing.csv",
        convert_options=pa.csv.ConvertOptions(strings_can_be_null=True, null_values=["", " "]),
    )
    numbers = {"tenure", "MonthlyCharges", "TotalCharges"}
    kinds = {name: "number" if name in numbers else "category" for name in table.column_names}
    kinds |= {"customerID": "id"}
    spec = {name: {"kind": kind} for name, kind in kinds.items() if name != "Churn"}
    spec["Churn"] = {"kind": "target", "positive": "Yes", "negative": "No"}
    Path("data/schema.yaml").write_text(schemas.dump(schemas.parse({"columns": spec})))
    typed = [
        c.cast(pa.float64() if n in numbers else pa.string())
        for n, c in zip(table.column_names, table.columns, strict=True)
    ]
    write_raw(pa.table(typed, names=table.column_names))
    assert preprocess.main() == 0
    counts = summary()
    assert counts["unlabelled"] == 704
    assert sum(s["rows"] for s in counts["sides"].values()) == 7043 - 704
    assert counts["sides"]["train"]["rows"] == pytest.approx(0.6 * 6339, rel=0.05)
    assert max(counts["leakage"].values()) < 0.8
