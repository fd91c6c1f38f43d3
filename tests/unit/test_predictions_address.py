"""Addresses of the log: mistakes are named in one line, passwords never."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from api.predictions import LogError, PredictionLog
from api.predictions.address import parse
from tests.unit.predictions import QUICK, ask, file_of, opened, row, url


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("sqllite:///a.sqlite", "'sqllite' is no kind of prediction log; did you mean sqlite\\?"),
        ("of", "'of' is no kind of prediction log; did you mean off\\?"),
        ("mysql://ann:secret@db/log", "'mysql' is no kind of prediction log; use sqlite:///PATH"),
        ("host=db password=secret", "'host' is no kind of prediction log"),
        ("", "what it says is no kind"),
        ("ann@secret:1", "'ann' is no kind"),
        ("p4$$word", "what it says is no kind"),
        ("sqlite", "'sqlite' is no kind of prediction log"),
        ("sqlite://data/log.sqlite", "a path follows three slashes"),
        ("sqlite:///", "names no file"),
        ("sqlite:///data/", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql://ann:secret@db:port:9/x?y", "this is no PostgreSQL address"),
        ("postgresql://ann:secret@db/log?unknown=1", "this is no PostgreSQL address"),
    ],
)
def test_a_wrong_address_is_one_line(given: str, message: str) -> None:
    with pytest.raises(LogError, match=message) as error:
        PredictionLog(given)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_password_is_never_shown() -> None:
    address = parse("postgresql://ann:s%40cret@db.example.com:6432/log?sslmode=require")
    assert address.shown == "postgresql://db.example.com:6432/log"
    assert address.redact('for "ann:s%40cret" or\n "s@cret"') == 'for "ann:***" or "***"'


def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(LogError, match="pip install 'psycopg"):
        PredictionLog("postgresql://db/log")


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where the folder should be")
    with pytest.raises(LogError, match=r"folder .*log cannot be created \(.*\); name another"):
        PredictionLog(url(tmp_path))


def test_a_newer_log_is_refused(tmp_path: Path) -> None:
    with opened(url(tmp_path)):
        pass
    ask(file_of(tmp_path), "PRAGMA user_version=2")
    log = PredictionLog(url(tmp_path), limits=QUICK)
    with pytest.raises(LogError, match="version 2, this program knows 1; upgrade the service"):
        log.start()


def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = file_of(tmp_path)
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE predictions (mine)")
    before = path.read_bytes()
    with pytest.raises(LogError, match="an SQLite file of something else"):
        PredictionLog(url(tmp_path), limits=QUICK).start()
    assert path.read_bytes() == before
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    with pytest.raises(LogError, match="no SQLite file"):
        PredictionLog(url(tmp_path), limits=QUICK).start()


def test_a_log_made_earlier_goes_on(tmp_path: Path) -> None:
    for number in range(3):
        with opened(url(tmp_path)) as log:
            log.put(row(number))
    assert ask(file_of(tmp_path), "SELECT writer, request_id FROM predictions ORDER BY id") == [
        (1, "request-0"),
        (2, "request-1"),
        (3, "request-2"),
    ]
    (settings,) = ask(file_of(tmp_path), "SELECT * FROM pragma_auto_vacuum, pragma_journal_mode, pragma_page_size")
    assert settings == (2, "wal", 8192)
