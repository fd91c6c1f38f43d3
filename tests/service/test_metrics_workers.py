"""Metrics of real worker processes: counted at the same time, killed, restarted, and read meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.metrics import Meters, merge
from tests.unit.test_metrics_service import samples, value

ROOT = Path(__file__).resolve().parents[2]
EACH = 200_000

WORKER = """
import os, sys
from pathlib import Path
from api.metrics import Meters

meters = Meters(Path(sys.argv[1]), os.getpid())
cell = meters.counter("churn_log_written_total")
histogram = meters.histogram("churn_http_request_seconds", (0.1, 1.0), route="predict")
meters.gauge("churn_in_flight").set(1)
print("ready", flush=True)
for line in sys.stdin:
    for i in range(int(line)):
        cell.add()
        histogram.observe(0.5 if i % 2 else 2.0)
        if i % 1000 == 0:
            meters.counter("churn_rate_limited_total", key=f"{os.getpid()}-{i}").add()
    print("counted", flush=True)
meters.close()
"""

SERVER = """
import multiprocessing, os
from pathlib import Path
from api.metrics import Meters, run_folder

def work(number):
    folder = run_folder(None)
    Meters(folder, os.getpid()).counter("churn_log_written_total").add()
    return str(folder)

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print(*pool.map(work, range(6), chunksize=1), sep="\\n")
    print(run_folder(None))
    print(Meters(run_folder(None), 1).exposition().decode())
"""


class Worker:
    """A process that counts as often as it is told to."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.said() == "ready"

    def count(self, times: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        """Kill -9; by then it may have been counting."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        self.process.communicate()
        assert self.process.returncode in (0, -signal.SIGKILL)


class Workers(list[Worker]):
    def start(self, folder: Path) -> Worker:
        self.append(Worker(folder))
        return self[-1]


@pytest.fixture
def workers() -> Iterator[Workers]:
    started = Workers()
    yield started
    for worker in started:
        worker.end()


def counts(meters: Meters) -> dict[object, float]:
    """What must never become less."""
    shown = samples(meters)
    total, buckets = shown.get(("churn_http_request_seconds_count", (("route", "predict"),)), 0.0), []
    for le in ("0.1", "1.0", "+Inf"):
        labels = (("le", le), ("route", "predict"))
        buckets.append(shown.get(("churn_http_request_seconds_bucket", labels), 0.0))
    assert buckets == sorted(buckets), "buckets are cumulative at any moment"
    assert buckets[-1] == total
    return {k: v for k, v in shown.items() if k[0].startswith("churn_") and k[0].endswith(("_total", "_bucket"))}


def assert_not_less(before: dict[object, float], after: dict[object, float]) -> None:
    fallen = {k: (v, after.get(k)) for k, v in before.items() if after.get(k, -1.0) < v}
    assert not fallen


def test_workers_count_at_the_same_time(tmp_path: Path, workers: Workers) -> None:
    meters = Meters(tmp_path, 0)
    started = [workers.start(tmp_path) for _ in range(3)]
    assert value(meters, "churn_workers") == 4
    for worker in started:
        worker.count(EACH)
    seen = [counts(meters)]
    while seen[-1].get(("churn_log_written_total", ()), 0.0) < 3 * EACH:
        seen.append(counts(meters))
        assert_not_less(seen[-2], seen[-1])
    assert [worker.said() for worker in started] == ["counted"] * 3
    shown = samples(meters)
    labels = (("route", "predict"),)
    assert shown["churn_log_written_total", ()] == 3 * EACH
    assert shown["churn_http_request_seconds_bucket", (("le", "1.0"), *labels)] == 3 * EACH / 2
    assert shown["churn_http_request_seconds_count", labels] == 3 * EACH
    assert shown["churn_http_request_seconds_sum", labels] == 3 * EACH * 1.25
    assert sum(n for (name, _), n in shown.items() if name == "churn_rate_limited_total") == 3 * EACH / 1000


def test_a_killed_worker_leaves_its_counts_and_takes_its_gauges(tmp_path: Path, workers: Workers) -> None:
    meters = Meters(tmp_path, 0)
    dying, staying = workers.start(tmp_path), workers.start(tmp_path)
    dying.count(1000)
    assert dying.said() == "counted"
    pid, other = str(dying.process.pid), str(staying.process.pid)
    assert value(meters, "churn_in_flight", worker=pid) == 1
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        assert (value(meters, name, worker=pid) or 0) > 0
        assert value(meters, name, worker=pid) != value(meters, name, worker="0")
    dying.kill()
    shown = samples(meters)
    assert shown["churn_log_written_total", ()] == 1000
    assert not any(("worker", pid) in labels for _, labels in shown)
    assert shown["churn_in_flight", (("worker", other),)] == 1
    assert shown["churn_workers", ()] == 2


@pytest.mark.slow
def test_a_crash_loop_loses_nothing_and_fills_nothing(tmp_path: Path, workers: Workers) -> None:
    meters = Meters(tmp_path, 0)
    before = counts(meters)
    for i in range(2 * merge.MOST_DEAD):
        worker = workers.start(tmp_path)
        worker.count(100)
        assert worker.said() == "counted"
        worker.kill()
        after = counts(meters)
        assert_not_less(before, after)
        before = after
        assert value(meters, "churn_log_written_total") == 100 * (i + 1)
    assert len(list(tmp_path.glob("*.index"))) <= merge.MOST_DEAD + 2
    assert (tmp_path / merge.MERGED).exists()
    dying = workers.start(tmp_path)
    dying.count(10_000_000)
    while (value(meters, "churn_log_written_total") or 0) < 1700 * 2:
        assert dying.process.poll() is None
    dying.kill()  # in the middle of counting
    last = value(meters, "churn_log_written_total")
    for _ in range(merge.MOST_DEAD + 1):
        workers.start(tmp_path).kill()
    assert value(meters, "churn_log_written_total") == last


def test_spawned_workers_of_one_server_share_a_folder_and_the_next_server_begins_anew(tmp_path: Path) -> None:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    folders = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, script], env=environment, capture_output=True, text=True, cwd=tmp_path, check=True
        )
        lines = done.stdout.splitlines()
        assert len(set(lines[:7])) == 1, "six calls in two workers, and the server's own process"
        assert "churn_log_written_total 6" in lines
        folders.append(Path(lines[0]))
    assert folders[0] != folders[1]
    assert [f for f in folders if f.exists()] == [folders[1]]
