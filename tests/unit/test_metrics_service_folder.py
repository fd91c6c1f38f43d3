"""Several workers' metrics in one folder: sums, workers that are gone, damaged files."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.metrics import Meters, merge
from api.metrics.index import Name
from tests.unit.test_metrics_service import EDGES, samples, value

KEYS = ("a", "b")
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["count", "observe", "set", "clear", "restart"]),
        st.integers(0, 2),
        st.sampled_from(KEYS),
        st.integers(-3, 4),
    ),
    max_size=60,
)


class Plain:
    """The same metrics in plain Python: what the exposition must say."""

    def __init__(self, workers: int) -> None:
        self.counts: Counter[str] = Counter()
        self.observed: dict[str, list[float]] = {}
        self.gauges: list[dict[str, float]] = [{} for _ in range(workers)]

    def expected(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        found = {("churn_rate_limited_total", (("key", k),)): float(n) for k, n in self.counts.items()}
        for route, values in self.observed.items():
            for le, edge in (("0.1", 0.1), ("1.0", 1.0), ("2.5", 2.5), ("+Inf", float("inf"))):
                labels = (("le", le), ("route", route))
                found["churn_http_request_seconds_bucket", labels] = float(sum(v <= edge for v in values))
            found["churn_http_request_seconds_sum", (("route", route),)] = float(sum(values))
            found["churn_http_request_seconds_count", (("route", route),)] = float(len(values))
        for worker, gauges in enumerate(self.gauges):
            for variant, x in gauges.items():
                found["churn_model_failing", (("variant", variant), ("worker", str(worker)))] = x
        return found


def do(operation: str, meters: Meters, key: str, x: int, plain: Plain, worker: int) -> None:
    if operation == "count":
        meters.counter("churn_rate_limited_total", key=key).add(abs(x))
        plain.counts[key] += abs(x)
    elif operation == "observe":
        meters.histogram("churn_http_request_seconds", EDGES, route=key).observe(x)
        plain.observed.setdefault(key, []).append(x)
    elif operation == "set":
        meters.gauge("churn_model_failing", variant=key).set(x)
        plain.gauges[worker][key] = float(x)
    elif operation == "clear":
        meters.gauge("churn_model_failing", variant=key).clear()
        plain.gauges[worker].pop(key, None)


@settings(max_examples=60, deadline=None)
@given(OPERATIONS)
def test_the_exposition_is_what_plain_python_counts(operations: list[tuple[str, int, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "MOST_DEAD", 1)
        workers = [Meters(Path(name), i) for i in range(3)]
        plain = Plain(3)
        for operation, i, key, x in operations:
            if operation == "restart":
                workers[i].close()
                workers[i] = Meters(Path(name), i)
                plain.gauges[i] = {}
            do(operation, workers[i], key, x, plain, i)
        for meters in workers:  # every worker says the same of all
            shown = {k: v for k, v in samples(meters).items() if k[0] != "churn_uptime_seconds"}
            counted = {k: v for k, v in shown.items() if not k[0].startswith(("process_", "churn_workers"))}
            assert counted == plain.expected()
        for meters in workers:
            meters.close()


def closed(path: Path, worker: int, count: float = 1.0) -> None:
    """A worker that counted, and is done."""
    meters = Meters(path, worker)
    meters.counter("churn_log_written_total").add(count)
    meters.histogram("churn_http_request_seconds", EDGES, route="a").observe(1.0)
    meters.gauge("churn_in_flight").set(3)
    meters.close()


def test_counts_of_a_worker_that_is_done_stay_and_its_gauges_go(tmp_path: Path) -> None:
    closed(tmp_path, 1)
    meters = Meters(tmp_path, 2)
    meters.counter("churn_log_written_total").add()
    assert value(meters, "churn_log_written_total") == 2
    assert value(meters, "churn_in_flight", worker="1") is None
    assert value(meters, "process_cpu_seconds_total", worker="1") is None
    assert value(meters, "churn_workers") == 1


def test_a_damaged_line_costs_only_itself(tmp_path: Path) -> None:
    closed(tmp_path, 1, 5)
    (index,) = tmp_path.glob("*.index")
    lines = index.read_bytes().split(b"\n")
    damaged = [line for line in lines if b"churn_http_request_seconds" in line]
    assert len(damaged) == 1
    wrong = [
        damaged[0][:25],
        b"\xff\xfe\x00",
        b"[]",
        b"7",
        b'[["churn_gone_total", [], null], 0, 5, 1.0]',
        b'[["churn_refused_total", ["one"], null], 0, 5, 1.0]',
        b'[["churn_refused_total", [1, 2], null], 0, 5, 1.0]',
        b'[["churn_refused_total", ["a", "b"], [1.0]], 0, 5, 1.0]',
        b'[["churn_refused_total", ["a", "b"], null], 0, -5, 1.0]',
        b'[["churn_refused_total", ["a", "b"], null], 0, 99999999, 1.0]',
        b'[["churn_refused_total", ["a", "b"], null], 7, 5, 1.0]',
    ]
    kept = [line for line in lines if line not in damaged]
    index.write_bytes(b"\n".join([*wrong, *kept]))
    meters = Meters(tmp_path, 2)
    shown = samples(meters)
    assert shown["churn_log_written_total", ()] == 5
    assert not any(name.startswith(("churn_http", "churn_refused", "churn_gone")) for name, _ in shown)


def test_a_line_is_read_once_its_end_is_written(tmp_path: Path) -> None:
    writer, reader = Meters(tmp_path, 1), Meters(tmp_path, 2)
    writer.counter("churn_log_written_total").add(5)
    (index,) = [i for i in tmp_path.glob("*.index") if b"churn_log_written_total" in i.read_bytes()]
    whole = index.read_bytes()
    index.write_bytes(whole[:-20])
    assert value(reader, "churn_log_written_total") is None
    index.write_bytes(whole)
    assert value(reader, "churn_log_written_total") == 5


def test_a_line_after_half_a_line_is_read(tmp_path: Path) -> None:
    meters = Meters(tmp_path, 1)
    (index,) = tmp_path.glob("*.index")
    with index.open("ab") as file:
        file.write(b'\n[["churn_log_err')  # the disk was full, and then was not
    meters.counter("churn_log_written_total").add(5)
    assert value(meters, "churn_log_written_total") == 5


def test_missing_and_cut_blocks_are_skipped(tmp_path: Path) -> None:
    closed(tmp_path, 1)
    closed(tmp_path, 2)
    first, second = tmp_path.glob("*.cells")
    first.unlink()
    second.write_bytes(b"")
    meters = Meters(tmp_path, 3)
    assert value(meters, "churn_log_written_total") is None


def test_another_process_with_the_same_id_is_another_worker(tmp_path: Path) -> None:
    meters = Meters(tmp_path, 1)
    meters.gauge("churn_in_flight").set(1)
    meters.counter("churn_log_written_total").add()
    (index,) = tmp_path.glob("*.index")
    name = Name.of(index.name)
    assert name is not None
    assert name.alive()
    for file in list(tmp_path.glob(f"{name}.*")):  # as if an earlier process had had this id
        file.rename(tmp_path / file.name.replace(str(name), str(name._replace(start=name.start - 1)), 1))
    reader = Meters(tmp_path, 2)
    assert value(reader, "churn_in_flight", worker="1") is None
    assert value(reader, "churn_log_written_total") == 1


def test_the_folder_is_locked_while_somebody_counts(tmp_path: Path) -> None:
    handle = os.open(tmp_path, os.O_RDONLY)
    meters, other = Meters(tmp_path, 1), Meters(tmp_path, 2)
    meters.close()
    meters.close()
    with pytest.raises(BlockingIOError):  # what systemd-tmpfiles asks before it empties a folder
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    other.close()
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)


def test_a_folder_that_was_removed_has_no_workers(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    meters = Meters(folder, 1)
    shutil.rmtree(folder)
    meters.counter("churn_log_written_total").add()
    assert samples(meters) == {("churn_workers", ()): 0}
