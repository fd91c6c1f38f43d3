"""The database fails in the ways databases do: nothing is lost that found room, nothing is written twice."""

from __future__ import annotations

import logging
import math
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.predictions import Limits, LogUnavailable, Outcome, PredictionLog, Row
from api.predictions import database as databases
from api.predictions import log as logs
from api.predictions import writer as writers
from api.predictions.address import Address
from api.predictions.database import DatabaseDown, Execute
from api.predictions.sqlite import SQLite
from tests.unit.predictions import QUICK, ask, file_of, numbers, opened, row, url, wait


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the file and does not let go."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "api.predictions" and r.levelno >= logging.WARNING]


@pytest.mark.slow
def test_a_lock_that_outlasts_the_patience(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(url(tmp_path)) as log:
        log.put(row(0))
        wait(lambda: log.written == 1)
        with locked(file_of(tmp_path)):
            for number in range(1, 500):
                log.put(row(number))
            wait(lambda: not log.up)
            with pytest.raises(LogUnavailable):
                log.feedback(Outcome("request-1", None, None, True, None))
            for number in range(500, 1000):
                log.put(row(number))
            wait(lambda: log.errors >= 2)
        wait(lambda: log.up and not log.pending)
        assert numbers(file_of(tmp_path)) == list(range(1000))
        assert not any(log.lost.values())
    down, back = said(caplog)
    assert "is down (database is locked)" in down
    assert "is back after" in back


def test_beyond_the_queue_a_failure_loses_what_it_counts(tmp_path: Path) -> None:
    with opened(url(tmp_path), Limits(queue=300, seconds=0.01)) as log:
        wait(lambda: log.up)
        with locked(file_of(tmp_path)):
            for number in range(1000):
                log.put(row(number))
            wait(lambda: not log.up)
            assert log.pending == 300
        wait(lambda: not log.pending)
        found = numbers(file_of(tmp_path))
        assert found == sorted(found)
        assert len(found) + log.lost["queue_full"] == 1000
        assert log.lost["queue_full"] > 0


def test_a_folder_that_is_away_for_a_while(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(url(tmp_path)) as log:
        log.put(row(0))
        wait(lambda: log.written == 1)
        (tmp_path / "log").rename(tmp_path / "away")
        wait(lambda: not log.up)
        log.put_many(row(n) for n in range(1, 100))
        (tmp_path / "away").rename(tmp_path / "log")
        wait(lambda: not log.pending)
        assert numbers(file_of(tmp_path)) == list(range(100))
    assert len(ask(file_of(tmp_path), "SELECT id FROM writers")) == 1
    assert [("is down" in line, "is back" in line) for line in said(caplog)] == [(True, False), (False, True)]


def test_a_file_that_was_deleted_is_made_anew(tmp_path: Path) -> None:
    with opened(url(tmp_path)) as log:
        log.put(row(0))
        wait(lambda: log.written == 1)
        for file in (tmp_path / "log").iterdir():
            file.unlink()
        log.put(row(1))
        wait(lambda: log.written == 2)
        assert numbers(file_of(tmp_path)) == [1]
    assert ask(file_of(tmp_path), "SELECT written FROM writers WHERE closed IS NOT NULL") == [(2,)]


def test_a_database_that_is_not_there_yet(tmp_path: Path) -> None:
    log = PredictionLog(url(tmp_path), limits=QUICK)
    shutil.rmtree(tmp_path / "log")
    log.start()
    assert not log.up
    log.put(row(1))
    (tmp_path / "log").mkdir()
    wait(lambda: log.up and not log.pending)
    log.close(10.0)
    assert numbers(file_of(tmp_path)) == [1]


def test_what_cannot_be_written_by_the_end_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = PredictionLog(url(tmp_path), limits=QUICK)
    log.start()
    wait(lambda: log.up)
    with locked(file_of(tmp_path)):
        log.put_many(row(n) for n in range(7))
        log.close(0.5)
        assert log.lost == {"queue_full": 0, "refused": 0, "shutdown": 7}
    assert any("7 predictions could not be written" in line for line in said(caplog))


def test_rows_that_the_database_refuses_do_not_hold_up_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = {17: row(17, at=math.nan), 18: row(18, row=2**80), 700: row(700, version=object())}
    with opened(url(tmp_path)) as log:
        log.put_many(bad.get(n, row(n)) for n in range(1000))
        wait(lambda: not log.pending)
        assert log.lost == {"queue_full": 0, "refused": 3, "shutdown": 0}
        assert (log.written, log.errors, log.up) == (997, 0, True)
    assert numbers(file_of(tmp_path)) == [n for n in range(1000) if n not in bad]
    (line,) = said(caplog)
    assert "refused 3 predictions; the first: request 'request-17', row 0: NOT NULL" in line
    assert ask(file_of(tmp_path), "SELECT written, lost FROM writers") == [(997, 3)]


def test_half_a_character_is_replaced(tmp_path: Path) -> None:
    with opened(url(tmp_path)) as log:
        log.put_many(
            [row(1, customer="a\0b"), row(2, customer="a\ud83d"), row(3, inputs=b'{"number": 3, "t": "\xff"}')]
        )
    found = ask(file_of(tmp_path), "SELECT customer FROM predictions ORDER BY id")
    assert found == [("a\0b",), ("a?",), ("C3",)]
    assert log.lost["refused"] == 0


class Fragile(SQLite):
    """A file that fails where `fail` says: before a commit, or after it, so that nobody learns that it happened."""

    plan: Iterator[str] = iter(())

    @contextmanager
    def transaction(self) -> Iterator[Execute]:
        fails = next(self.plan, "")
        if fails == "at the start":
            raise DatabaseDown("gone")
        with super().transaction() as execute:
            yield execute
            if fails == "before the commit":
                raise DatabaseDown("gone")
        if fails == "after the commit":
            raise DatabaseDown("gone")


FAILURES = st.sampled_from(["", "", "at the start", "before the commit", "after the commit"])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(failures=st.lists(FAILURES, max_size=25), bad=st.sets(st.integers(0, 59), max_size=3))
def test_wherever_it_fails_each_row_is_there_once(
    failures: list[str], bad: set[int], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("log")

    def fragile(address: Address, limits: Limits) -> SQLite:
        databases.database(address, limits)
        made = Fragile(address.path, limits)
        made.plan = iter(failures)
        return made

    monkeypatch.setattr(logs, "database", fragile)
    monkeypatch.setattr(writers, "TRANSACTION_ROWS", 10)
    monkeypatch.setattr(writers, "RETRY_SECONDS", (0.0001, 0.001))

    def made(number: int) -> Row:
        return row(number, row=2**80) if number in bad else row(number)

    with opened(url(folder)) as log:
        for start in range(0, 60, 20):
            log.put_many(made(n) for n in range(start, start + 20))
            wait(lambda: not log.pending)
    assert numbers(file_of(folder)) == [n for n in range(60) if n not in bad]
    assert (log.written, log.lost["refused"]) == (60 - len(bad), len(bad))
    assert ask(file_of(folder), "SELECT sum(written) FROM writers") == [(60 - len(bad),)]
