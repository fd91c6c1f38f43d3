"""Workers as processes: several write one file; one that is killed loses the last second at most, and it is said."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.predictions import ask, file_of, numbers, opened, url, wait

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import sys, time
from api.predictions import Limits
from tests.unit.predictions import opened, row
address, first, count, pause, seconds = sys.argv[1], *map(float, sys.argv[2:])
with opened(address, Limits(seconds=seconds)) as log:
    for number in range(int(first), int(first + count)):
        now = time.time()
        log.put(row(number, at=now))
        print(number, now, flush=True)  # the answer that a client would have got
        time.sleep(pause)
"""


def worker(folder: Path, first: int, count: float, pause: float, seconds: float = 0.5) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", WORKER, url(folder), *map(str, (first, count, pause, seconds))]
    with answers(folder, first).open("wb") as output:
        return subprocess.Popen(words, cwd=ROOT, stdout=output)


def answers(folder: Path, first: int) -> Path:
    return folder / f"answers-{first}"


def test_a_killed_worker_loses_the_last_second_at_most(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with worker(tmp_path, 0, 1e9, 0.0005) as victim, worker(tmp_path, 10**9, 1e9, 0.01, 0.2) as sibling:
        try:
            wait(lambda: answers(tmp_path, 0).read_text())  # its log exists now
            wait(lambda: len(numbers(file_of(tmp_path))) > 2000)
            victim.send_signal(signal.SIGKILL)
            killed = time.time()
            victim.wait()
            with opened(url(tmp_path)) as log:
                wait(log.crashes)
                assert [crash.pid for crash in log.crashes()] == [victim.pid]
                assert len([r for r in caplog.records if f"process {victim.pid} " in r.getMessage()]) == 1
                assert not [r for r in caplog.records if f"process {sibling.pid} " in r.getMessage()]
        finally:
            sibling.kill()
            victim.kill()
    acknowledged = [line.split() for line in answers(tmp_path, 0).read_text().splitlines()[:-1]]
    before = [int(number) for number, at in acknowledged if float(at) < killed - 1]
    assert len(before) > 500
    mine = [n for n in numbers(file_of(tmp_path)) if n < 10**9]
    assert mine == list(range(len(mine)))
    assert set(before) <= set(mine)
    assert ask(file_of(tmp_path), "PRAGMA integrity_check") == [("ok",)]
    counted = ask(file_of(tmp_path), "SELECT written FROM writers WHERE pid = ?", victim.pid)
    assert counted == [(len(mine),)]


def test_several_processes_write_one_file(tmp_path: Path) -> None:
    """They also create it together."""
    workers = [worker(tmp_path, 10**6 * k, 3000, 0, 0.01) for k in range(6)]
    assert [process.wait(60) for process in workers] == [0] * 6
    found = numbers(file_of(tmp_path))
    for k in range(6):
        assert [n for n in found if n // 10**6 == k] == [10**6 * k + n for n in range(3000)]
    rows = ask(file_of(tmp_path), "SELECT written, lost, closed IS NOT NULL, crashed FROM writers")
    assert rows == [(3000, 0, 1, None)] * 6
    (settings,) = ask(file_of(tmp_path), "SELECT * FROM pragma_auto_vacuum, pragma_journal_mode")
    assert settings == (2, "wal")
