"""What served at a moment scores a file: the model of that time, named in every row, or nothing at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from mlops import bundle, cli, columns
from tests.registry.repository import Bundles, Repository
from tests.unit.models import simulated

pytestmark = pytest.mark.slow

NOON = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)
EARLY, LATE = "2026-03-15 12:30 UTC", "2026-03-15 13:30 UTC"
SCHEMA = """columns:
  minutes: {kind: number, missing: [unknown]}
  churned: {kind: target, positive: "1", negative: "0"}
"""


@pytest.fixture
def repository(repository: Repository, bundles: Bundles, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """v1.0.0 is prod from noon, v1.1.0 from one o'clock, when the canary is v1.2.0; it is the current folder."""
    for hour, (version, stage) in enumerate([("v1.0.0", "prod"), ("v1.1.0", "prod"), ("v1.2.0", "canary")]):
        commit = repository.version(bundles[f"v{hour + 1}"])
        when = NOON + timedelta(hours=min(hour, 1))
        repository.tag(f"churn@{version}", commit, when=when)
        repository.tag(f"churn#{stage}#{hour + 1}", commit, when=when)
    monkeypatch.chdir(repository.folder)
    return repository


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    table, _ = simulated(50, 7)
    path = tmp_path / "customers.csv"
    pacsv.write_csv(table, path)
    return path


def expected(folder: Path) -> list[float]:
    model = bundle.load(folder)
    raw = columns.raw(simulated(50, 7)[0], model.encoder.plan.inputs)
    return [round(p, 6) for p in model.score_columns(raw)[1].tolist()]


def replay(*words: object) -> int:
    return cli.main(["history", *map(str, words)])


def written(path: Path) -> dict[str, list[Any]]:
    table: pa.Table = pq.read_table(path) if path.suffix == ".parquet" else pacsv.read_csv(path)
    found: dict[str, list[Any]] = table.to_pydict()
    return found


def test_the_version_of_the_moment_scores_and_signs_every_row(
    repository: Repository, bundles: Bundles, customers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = repository.git.text("status", "--porcelain", "--ignored")
    shutil.rmtree(repository.folder / "models")
    assert replay("--at", EARLY, "--replay", customers) == 0
    target = customers.with_name("customers.v1.0.0.csv")
    commit = repository.git.commit("churn@v1.0.0")
    assert f"50 rows scored: {target}, prod's v1.0.0 (commit {commit[:8]})" in capsys.readouterr().err
    found = written(target)
    assert found["churn_probability"] == expected(bundles["v1"])
    assert {key: set(found[key]) for key in ("version", "commit", "stage")} == {
        "version": {"v1.0.0"}, "commit": {commit}, "stage": {"prod"}
    }  # fmt: skip
    assert sorted(p.name for p in customers.parent.glob("*customers*")) == ["customers.csv", "customers.v1.0.0.csv"]
    assert not (repository.folder / "models").exists()
    repository.checkout()
    assert repository.git.text("status", "--porcelain", "--ignored") == before

    assert replay("--at", LATE, "--replay", customers) == 0
    assert written(customers.with_name("customers.v1.1.0.csv"))["churn_probability"] == expected(bundles["v2"])


def test_another_stage_another_format_and_facts_as_json(
    repository: Repository, bundles: Bundles, customers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = customers.with_name("scores.parquet")
    asked = ("--at", LATE, "--stage", "canary", "--replay", customers, "--output", target)
    assert replay(*asked, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["stages"]["canary"]["version"] == "v1.2.0"
    found = written(target)
    assert found["churn_probability"] == expected(bundles["v3"])
    assert set(found["stage"]) == {"canary"}


def test_a_relative_path_is_one_of_the_current_folder(repository: Repository, customers: Path) -> None:
    shutil.move(customers, repository.folder / "mine.csv")
    assert replay("--at", EARLY, "--replay", "mine.csv", "--output", "out.csv") == 0
    assert (repository.folder / "out.csv").exists()


def test_words_for_no_value_are_those_of_the_commit(
    repository: Repository, bundles: Bundles, customers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.write("data/schema.yaml", SCHEMA)
    commit = repository.version(bundles["v4"])
    repository.tag("churn#staging#4", commit, when=NOON + timedelta(hours=1))
    repository.write("data/schema.yaml", SCHEMA.replace("unknown", "nothing"))
    table, _ = simulated(50, 7)
    words = [str(v) if v is not None else "unknown" for v in table.column("minutes").to_pylist()]
    pacsv.write_csv(table.set_column(0, "minutes", pa.array(words)), customers)
    assert "unknown" in words
    assert replay("--at", LATE, "--stage", "staging", "--replay", customers) == 0
    found = written(customers.with_name(f"customers.g{commit[:12]}.csv"))
    assert found["churn_probability"] == expected(bundles["v4"])

    assert replay("--at", LATE, "--replay", customers, "--output", customers.with_name("o.csv")) == 1
    assert "minutes is not a finite number" in capsys.readouterr().err  # v1.1.0 knew no such word


def test_rows_that_cannot_be_scored_are_set_aside(
    repository: Repository, customers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = customers.read_text().splitlines()
    lines[3] = lines[3].replace(lines[3].split(",")[1], '"many"', 1)
    customers.write_text("\n".join(lines) + "\n")
    assert replay("--at", EARLY, "--replay", customers) == 0
    aside = customers.with_name("customers.v1.0.0.rejected.csv")
    assert f"49 rows scored, 1 quarantined in {aside}" in capsys.readouterr().err
    assert "many" in aside.read_text()


def test_nothing_is_written_when_something_is_wrong(
    repository: Repository, customers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(customers.parent.iterdir())
    rooms = set(Path(tempfile.gettempdir()).glob("mlops-replay-*"))
    assert replay("--at", "2026-03-15 11:00 UTC", "--replay", customers) == 1
    assert "prod served nothing at that moment" in capsys.readouterr().err
    assert replay("--at", LATE, "--stage", "shadow", "--replay", customers) == 1
    assert "shadow served nothing at that moment" in capsys.readouterr().err
    assert replay("--at", EARLY, "--replay", customers.with_name("none.csv")) == 1
    assert "none.csv" in capsys.readouterr().err
    assert replay("--at", EARLY, "--replay", customers, "--output", "scores.txt") == 1
    assert "name it so" in capsys.readouterr().err
    customers.write_text("minutes,sessions\n1,2\n")
    assert replay("--at", EARLY, "--replay", customers) == 1
    assert "no column 'auto'" in capsys.readouterr().err
    shutil.rmtree(repository.cache)
    assert replay("--at", EARLY, "--replay", customers) == 1
    assert "DVC's cache" in capsys.readouterr().err
    assert sorted(customers.parent.iterdir()) == before
    assert set(Path(tempfile.gettempdir()).glob("mlops-replay-*")) <= rooms


def test_replay_needs_a_moment(repository: Repository, customers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay("--replay", customers) == 1
    assert "name it with --at" in capsys.readouterr().err
