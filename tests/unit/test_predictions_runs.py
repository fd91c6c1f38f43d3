"""Which workers ended without closing the log; living ones are never accused."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.predictions import process, runs
from api.predictions import writer as writers
from tests.unit.predictions import ask, file_of, opened, row, url, wait

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import os, sys
from tests.unit.predictions import opened, row
with opened(sys.argv[1]) as log:
    log.put(row(1))
    while log.pending:
        pass
    print("ready", flush=True)
    if sys.stdin.readline() == "die\\n":
        os._exit(1)
"""

Start = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Start]:
    """Start a process with a log of its own; it closes the log, or dies when told so."""
    processes = []

    def run() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER, url(tmp_path)]
        child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        return child

    yield run
    for child in processes:
        child.kill()
        child.communicate()


def tell(child: subprocess.Popen[str], word: str) -> None:
    child.communicate(word + "\n", timeout=30)


def test_who_died_is_named_once(tmp_path: Path, worker: Start, caplog: pytest.LogCaptureFixture) -> None:
    dies, closes, lives = worker(), worker(), worker()
    tell(dies, "die")
    tell(closes, "close")
    with opened(url(tmp_path)) as log:
        wait(log.crashes)
        (crash,) = log.crashes()
        assert (crash.writer, crash.pid) == (1, dies.pid)
    with opened(url(tmp_path)) as log:
        wait(log.crashes)
        assert log.crashes() == (crash,)
    lines = [r.getMessage() for r in caplog.records if "ended without closing" in r.getMessage()]
    assert lines == [str(crash)]
    assert f"process {dies.pid} " in str(crash)
    assert f"wrote last at {crash.last_flush}: predictions of up to one second after" in str(crash)
    states = ask(file_of(tmp_path), "SELECT pid, closed IS NOT NULL, crashed IS NOT NULL FROM writers ORDER BY id")
    assert states[:3] == [(dies.pid, 0, 1), (closes.pid, 1, 0), (lives.pid, 0, 0)]


def test_a_sibling_that_dies_is_noticed_by_those_that_live(
    tmp_path: Path, worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "LOOK_SECONDS", 0.05)
    dies = worker()
    with opened(url(tmp_path)) as log:
        wait(lambda: log.up)
        assert log.crashes() == ()
        tell(dies, "die")
        wait(lambda: [crash.pid for crash in log.crashes()] == [dies.pid])


def test_a_worker_elsewhere_is_judged_by_its_silence(tmp_path: Path) -> None:
    """Process ids of another machine or container say nothing here."""
    with opened(url(tmp_path)):
        pass
    silent = time.time() - runs.SILENT_SECONDS - 5
    for writer, heard in ((10, silent), (11, time.time())):
        ask(
            file_of(tmp_path),
            "INSERT INTO writers VALUES (?, ?, 'elsewhere 1 pid:[1]', 1, '5', ?, ?, 0, 0, NULL, NULL)",
            *(writer, f"run {writer}", silent, heard),
        )
    with opened(url(tmp_path)) as log:
        wait(log.crashes)
        (crash,) = log.crashes()
        assert (crash.writer, crash.host) == (10, "elsewhere")


def test_whoever_writes_again_did_not_crash(tmp_path: Path) -> None:
    with opened(url(tmp_path)) as log:
        log.put(row(1))
        wait(lambda: log.written == 1)
        ask(file_of(tmp_path), "UPDATE writers SET crashed = last_flush")
        log.put(row(2))
        wait(lambda: log.written == 2)
        assert ask(file_of(tmp_path), "SELECT crashed FROM writers") == [(None,)]


def test_who_has_nothing_to_write_still_says_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "BEAT_SECONDS", 0.05)
    with opened(url(tmp_path)) as log:
        wait(lambda: log.up)
        heard = "SELECT last_flush - started FROM writers"
        wait(lambda: ask(file_of(tmp_path), heard)[0][0] > 0.3)


def test_a_process_is_known_by_when_it_began() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        began = process.started(child.pid)
        assert began
        assert began == process.started(child.pid)
        assert int(began) >= int(process.started(os.getpid()))
        child.kill()
        wait(lambda: process.started(child.pid) == "")  # a zombie is dead
    finally:
        child.kill()
        child.wait()
    assert process.started(child.pid) == ""
