"""`mlops data diff`: two commits, whatever they are called, out of DVC's cache or remote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mlops import cli
from mlops.datadiff.diff import diff
from mlops.datadiff.result import DataDiff
from mlops.errors import GitError
from mlops.store.lock import Out
from mlops.store.objects import Store
from tests.registry import files
from tests.registry.repository import Repository

COLUMNS: dict[str, Any] = {
    "customer": {"kind": "id"},
    "month": {"kind": "time"},
    "price": {"kind": "number", "max": 500},
    "plan": {"kind": "category"},
    "churned": {"kind": "target", "positive": "1", "negative": "0"},
}
PIPELINE = {
    "stages": {
        "ingest": {"cmd": "true", "deps": [], "params": [], "outs": ["data/raw"]},
        "preprocess": {"cmd": "true", "deps": [], "params": [], "outs": ["data/features"]},
    }
}


def table(rows: int = 400, first: int = 0, **replaced: list[Any]) -> pa.Table:
    who = range(first, first + rows)
    columns = {
        "customer": [f"C{i:05d}" for i in who],
        "month": pa.array([1_767_225_600] * rows, pa.timestamp("s")),
        "price": [float(i % 17) for i in who],
        "plan": [("Basic", "Premium")[i % 2] for i in who],
        "churned": ["1" if i % 5 == 0 else "0" for i in who],
    }
    return pa.table({**columns, **replaced})


def version(
    repository: Repository,
    raw: pa.Table,
    columns: dict[str, Any] | str = COLUMNS,
    tested: pa.Table | None = None,
    sides: dict[str, list[str]] | None = None,
) -> str:
    """Commit a version of the data; sides: the keys on each side of the split."""
    for name in ("data/raw", "data/features"):
        shutil.rmtree(repository.folder / name, ignore_errors=True)
        (repository.folder / name).mkdir(parents=True)
    for name, rows in (("table", raw), ("test", tested)):
        if rows is not None:
            pq.write_table(rows, repository.folder / f"data/raw/{name}.parquet", store_schema=False)
    for name in ("train", "validation", "test"):
        keys = (sides or {}).get(name, [])
        place = repository.folder / f"data/features/{name}.parquet"
        pq.write_table(pa.table({"__key": pa.array(keys, pa.string()), "x": [1.0] * len(keys)}), place)
    text = columns if isinstance(columns, str) else yaml.safe_dump({"columns": columns}, sort_keys=False)
    repository.write("data/schema.yaml", text)
    repository.write("dvc.yaml", yaml.safe_dump(PIPELINE, sort_keys=False))
    ignored = (repository.folder / ".gitignore").read_text().replace("/data/raw\n", "")
    repository.write(".gitignore", f"{ignored}/data/raw\n")
    lock = files.lock_of(repository.folder, PIPELINE, {}, repository.cache)
    repository.write("dvc.lock", yaml.safe_dump(lock, sort_keys=False))
    return repository.commit("A version of the data")


def differing(repository: Repository, before: str, after: str) -> DataDiff:
    found = diff(repository.git, Store(repository.folder), before, after)
    assert json.loads(json.dumps(found.facts(), allow_nan=False)) == found.facts()
    return found


def moved(first: pa.Table) -> pa.Table:
    """Ten rows less, thirty more, another price in a quarter, another label in the first of those kept."""
    kept = first.slice(10)
    price = [x + 100 if i % 4 == 0 else x for i, x in enumerate(kept["price"].to_pylist())]
    churned = kept["churned"].to_pylist()
    churned[0] = "0" if churned[0] == "1" else "1"
    kept = kept.set_column(2, "price", pa.array(price)).set_column(4, "churned", pa.array(churned))
    return pa.concat_tables([kept, table(30, first=10_000, plan=["Family"] * 30)])


def test_rows_labels_columns_and_schema(repository: Repository) -> None:
    first = version(repository, table())
    second = version(repository, moved(table()), {**COLUMNS, "price": {"kind": "number", "max": 900}})
    found = differing(repository, first, second)
    rows = found.rows
    assert rows is not None
    assert (rows.key, rows.before, rows.after) == (("customer", "month"), 400, 420)
    assert (rows.added, rows.removed, rows.changed) == (30, 10, 98)
    assert found.outcome is not None
    assert (found.outcome.to_positive, found.outcome.to_negative) == (0, 1)
    assert [(c.column, c.change, c.before, c.after) for c in found.schema] == [("price", "max", 500.0, 900.0)]
    assert found.columns[0].name == "price"
    assert (found.columns[0].changed, found.columns[0].drift and found.columns[0].drift.reading) == (98, "large")
    plan = next(c for c in found.columns if c.name == "plan")
    assert plan.levels is not None
    assert (plan.levels.new.names, plan.levels.new.rows, plan.changed) == (("Family",), 30, 0)
    lines = found.lines()
    assert "rows: 400 → 420; by customer and month 30 added, 10 removed, 98 changed" in lines
    assert "schema: price: max 500 → 900" in lines
    assert any("1 label flipped (0 to churn, 1 away)" in line for line in lines)
    assert found.lines(most=1)[-1] == "and 3 more columns that changed"


def test_columns_that_come_go_and_become_another_kind(repository: Repository) -> None:
    first = version(repository, table().append_column("old", pa.array([1.0] * 400)),
                    {**COLUMNS, "old": {"kind": "number"}})  # fmt: skip
    second = version(repository, table().append_column("new", pa.array(["x"] * 400)),
                     {**COLUMNS, "plan": {"kind": "text"}, "new": {"kind": "category"}})  # fmt: skip
    found = differing(repository, first, second)
    assert [(c.column, c.change, c.before, c.after) for c in found.schema] == [
        ("plan", "kind", "category", "text"), ("old", "removed", "number", None), ("new", "added", None, "category"),
    ]  # fmt: skip
    assert found.rows is not None
    assert (found.rows.added, found.rows.removed, found.rows.changed) == (0, 0, 0)


def test_rows_of_a_test_file_count(repository: Repository) -> None:
    first = version(repository, table(100), tested=table(20, first=100))
    second = version(repository, table(100), tested=table(25, first=100))
    rows = differing(repository, first, second).rows
    assert rows is not None
    assert (rows.before, rows.after, rows.added) == (120, 125, 5)


def test_the_same_digest_is_answered_without_reading(repository: Repository) -> None:
    """The cache is gone, there is no remote: nothing can have been read. A rule that changed is told all the same."""
    first = version(repository, table())
    second = version(repository, table(), {**COLUMNS, "plan": {"kind": "category", "required": True}})
    shutil.rmtree(repository.cache)
    found = differing(repository, first, second)
    assert (found.same, found.unavailable, found.rows, found.sides) == (True, None, None, None)
    assert [(c.column, c.change) for c in found.schema] == [("plan", "required")]
    assert found.lines()[0].startswith("rows: the same table, ")


def test_the_same_bytes_understood_otherwise_are_read(repository: Repository) -> None:
    first = version(repository, table())
    turned = {"kind": "target", "positive": "0", "negative": "1"}
    second = version(repository, table(), {**COLUMNS, "churned": turned})
    found = differing(repository, first, second)
    assert found.same
    assert found.outcome is not None
    assert (found.outcome.to_positive, found.outcome.to_negative) == (320, 80)


def test_what_only_the_remote_has_is_fetched(repository: Repository, tmp_path: Path) -> None:
    first, second = version(repository, table()), version(repository, moved(table()))
    repository.remote(tmp_path / "remote")
    outs = [Out(out["path"], out["md5"], 0, None) for commit in (first, second)
            for stage in yaml.safe_load(repository.git.read(commit, "dvc.lock") or b"")["stages"].values()
            for out in stage["outs"]]  # fmt: skip
    Store(repository.folder).push(outs)
    shutil.rmtree(repository.cache)
    rows = differing(repository, first, second).rows
    assert rows is not None
    assert rows.added == 30


def test_what_nobody_has_is_one_line(repository: Repository) -> None:
    first = version(repository, table())
    second = version(repository, moved(table()), {**COLUMNS, "price": {"kind": "number"}})
    shutil.rmtree(repository.cache)
    found = differing(repository, first, second)
    assert found.unavailable is not None
    assert "is not in DVC's cache and no remote storage is configured" in found.unavailable
    assert (found.rows, found.columns, found.schema[0].change) == (None, (), "max")
    assert found.lines()[0] == f"rows: not compared: {found.unavailable}"


def test_a_commit_without_data(repository: Repository) -> None:
    empty = repository.git.commit("HEAD")
    second = version(repository, table())
    found = differing(repository, empty, second)
    assert found.unavailable is not None
    assert found.unavailable.startswith(f"commit {empty[:8]} has no data/raw")
    assert (found.before.digest, found.notes[0].startswith(f"commit {empty[:8]} has no data/schema.yaml")) == (
        None,
        True,
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("table.parquet", b"no table", "not a table that can be read"), ("other.csv", b"x\n", "has no table.parquet")],
)
def test_data_that_is_no_table(repository: Repository, name: str, content: bytes, said: str) -> None:
    first = version(repository, table())
    (repository.folder / "data/raw/table.parquet").unlink()
    repository.write(f"data/raw/{name}", content)
    lock = files.lock_of(repository.folder, PIPELINE, {}, repository.cache)
    repository.write("dvc.lock", yaml.safe_dump(lock))
    found = differing(repository, first, repository.commit("No table"))
    assert found.unavailable is not None
    assert said in found.unavailable
    assert "\n" not in found.lines()[0]


def test_a_schema_that_cannot_be_read_is_said_and_done_without(repository: Repository) -> None:
    first = version(repository, table(), "columns: {customer: {kind: nothing}}\n")
    second = version(repository, moved(table()))
    found = differing(repository, first, second)
    assert found.rows is not None
    assert (found.rows.added, found.outcome) == (30, None)
    assert found.notes == (
        f"data/schema.yaml of commit {first[:8]} is not used, kinds of columns are guessed: data/schema.yaml: customer:"
        " kind 'nothing' is none of number, boolean, category, date, text, id, time, target, truth, ignore",
    )


def test_rows_that_changed_sides_though_the_table_is_the_same(repository: Repository) -> None:
    first = version(repository, table(), sides={"train": ["a", "b", "c"], "validation": ["d"], "test": ["e", "gone"]})
    second = version(repository, table(), sides={"train": ["a", "e"], "validation": ["d"], "test": ["c", "b", "new"]})
    found = differing(repository, first, second)
    assert (found.same, found.rows) == (True, None)
    assert found.sides is not None
    assert found.sides.moved == {"train → test": 2, "test → train": 1}
    assert (found.sides.before["train"], found.sides.after["test"]) == (3, 3)
    assert found.lines()[1] == (
        "split: train 3 → 2, validation 1, test 2 → 3; rows that changed sides: 2 train → test, 1 test → train"
    )


def test_a_revision_that_is_none(repository: Repository) -> None:
    with pytest.raises(GitError, match="names no commit"):
        diff(repository.git, Store(repository.folder), "HEAD", "nowhere")


def test_the_command_by_any_name(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.tag("churn@v1.0.0", version(repository, table()))
    second = version(repository, moved(table()))
    repository.git.raw("update-ref", f"refs/exps/{second[:2]}/{second[2:]}/cheaper", second)
    monkeypatch.chdir(repository.folder / "data")
    assert cli.main(["data", "diff", "v1.0.0", "cheaper"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("v1.0.0 (")
    assert " → cheaper (" in text.splitlines()[0]
    assert "by customer and month 30 added, 10 removed, 98 changed" in text
    shown = [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")]
    assert shown[0] == "price"
    assert "month" not in shown
    assert text.splitlines()[-1] == f"{5 - len(shown)} of 5 columns as they were"
    assert cli.main(["data", "diff", "v1.0.0", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts == differing(repository, facts["before"]["commit"], second).facts()
    assert cli.main(["data", "diff", "v1.0.1"]) == 1
    assert "did you mean v1.0.0" in capsys.readouterr().err


def test_the_command_without_the_bytes(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version(repository, table())
    version(repository, moved(table()))
    shutil.rmtree(repository.cache)
    monkeypatch.chdir(repository.folder)
    assert cli.main(["data", "diff", "HEAD~1"]) == 1
    assert "rows: not compared: data/raw" in capsys.readouterr().out
    assert cli.main(["data", "diff", "HEAD~1", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["unavailable"].startswith("data/raw")


def test_hostile_names_stay_in_their_line(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, level = "[red]\x1b[31m\ncolumn" + "x" * 100, "[bold]\x07\r\nlevel‮"
    columns = {**COLUMNS, name: {"kind": "category"}}
    first = version(repository, table().append_column(name, pa.array(["a"] * 400)), columns)
    second = version(repository, table().append_column(name, pa.array([level] * 400)), columns)
    monkeypatch.chdir(repository.folder)
    assert cli.main(["data", "diff", "HEAD~1"]) == 0
    text = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\r", "‮"} & set(text)
    assert "[red]·[31m" in text
    (line,) = [line for line in differing(repository, first, second).lines() if line.startswith("[red]")]
    assert line.startswith("[red]·[31m columnxxx")
    assert line.isprintable()
    assert "1 new in 400 rows: [bold]· level·;" in line
