"""What was put is what is read: every field, in order. What found no room is counted."""

from __future__ import annotations

import json
import math
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.predictions import Entry, Limits, LogError, LogUnavailable, Outcome, PredictionLog, Row, read
from api.predictions.entry import COLUMNS
from tests.unit.predictions import ask, file_of, numbers, opened, row, url, wait

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FLOATS = st.floats()
ROWS = st.builds(
    row,
    number=st.integers(0, 1000),
    request_id=TEXT,
    row=st.integers(0, 2**31 - 1),
    customer=st.none()
    | TEXT
    | st.sampled_from(["🙂", "O'Brien", '"; DROP TABLE predictions; --', "a\0b", "\\N", "\t"]),
    version=TEXT,
    commit=st.none() | TEXT,
    raw=FLOATS,
    probability=FLOATS,
    inputs=st.dictionaries(TEXT, TEXT | st.none() | st.integers()).map(lambda d: json.dumps(d).encode()),
)


def as_read(given: Row) -> dict[str, object]:
    """What `read` has to say of a prediction."""
    values = dict(zip(COLUMNS, given, strict=True))
    for name in ("raw_score", "probability"):
        if math.isnan(values[name]):  # type: ignore[arg-type]
            values[name] = None
    at = datetime.fromtimestamp(given[0], UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return values | {"at": at, "inputs": given[-1].decode()}


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROWS, max_size=60), many=st.booleans())
def test_what_was_put_is_what_is_read(rows: list[Row], many: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    address = url(tmp_path_factory.mktemp("log"))
    with opened(address) as log:
        if many:
            log.put_many(iter(rows))
        else:
            for given_row in rows:
                log.put(given_row)
    assert list(read(address)) == [as_read(r) for r in rows]
    assert (log.written, log.pending, log.errors) == (len(rows), 0, 0)
    assert not any(log.lost.values())


def test_an_entry_is_a_row(tmp_path: Path) -> None:
    with opened(url(tmp_path)) as log:
        log.put(Entry(*row(7)))
    assert list(read(url(tmp_path))) == [as_read(row(7))]


def test_many_writes_keep_the_order_and_lose_nothing(tmp_path: Path) -> None:
    with opened(url(tmp_path)) as log:
        for number in range(30_000):
            log.put(row(number))
        wait(lambda: not log.pending)
        log.put(row(30_000))
    assert numbers(file_of(tmp_path)) == list(range(30_001))


def test_threads_may_put_at_once(tmp_path: Path) -> None:
    """A bound that several threads count against must neither drift nor lose anything below it."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with opened(url(tmp_path)) as log:
            threads = [
                threading.Thread(target=lambda t=t: [log.put(row(t * 2000 + n)) for n in range(2000)]) for t in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            wait(lambda: not log.pending)
            assert log._queue._bytes == 0
    finally:
        sys.setswitchinterval(interval)
    found = numbers(file_of(tmp_path))
    assert sorted(found) == list(range(8000))
    for thread_of in range(4):
        mine = [n for n in found if n // 2000 == thread_of]
        assert mine == sorted(mine)


def test_reading_selects(tmp_path: Path) -> None:
    address = url(tmp_path)
    with opened(address) as log:
        log.put_many(row(n) for n in range(50))
    (one,) = read(address, request_id="request-31")
    assert json.loads(one["inputs"]) == {"number": 31}
    assert one["prediction"] is True
    of_customer = [r["request_id"] for r in read(address, customer="C3")]
    assert of_customer == [f"request-{n}" for n in (3, 13, 23, 33, 43)]
    later = datetime.fromtimestamp(1_795_000_000.040, UTC)
    assert len(list(read(address, since=later))) == 10
    assert len(list(read(address, since=later.replace(tzinfo=None), customer="C3"))) == 1


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="does not exist"):
        list(read(url(tmp_path)))
    with pytest.raises(LogError, match="off"):
        list(read("off"))
    file_of(tmp_path).parent.mkdir()
    file_of(tmp_path).write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(LogUnavailable, match="cannot be read"):
        list(read(url(tmp_path)))


def test_beyond_the_queue_predictions_are_counted(tmp_path: Path) -> None:
    log = PredictionLog(url(tmp_path), limits=Limits(queue=100, seconds=0.01))
    for number in range(60):
        log.put(row(number))
    log.put_many(row(number) for number in range(60, 130))
    log.put(row(130))
    assert (log.pending, log.lost["queue_full"]) == (100, 31)
    log.start()
    log.close(10.0)
    assert numbers(file_of(tmp_path)) == list(range(100))
    assert ask(file_of(tmp_path), "SELECT written, lost FROM writers") == [(100, 31)]


def test_large_inputs_are_bounded_too(tmp_path: Path) -> None:
    log = PredictionLog(url(tmp_path), limits=Limits(queue=1000, queue_bytes=10_000, seconds=0.01))
    large = json.dumps({"number": 1, "text": "x" * 4000}).encode()
    for _ in range(10):
        log.put(row(1, inputs=large))
    log.put_many([row(1, inputs=large)])
    assert (log.pending, log.lost["queue_full"]) == (3, 8)  # the one that passes the bound is the last
    log.start()
    wait(lambda: not log.pending)
    log.put(row(2))
    log.close(10.0)
    assert numbers(file_of(tmp_path)) == [1, 1, 1, 2]


def test_off_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = PredictionLog("off")
    log.start()
    log.put(row(1))
    log.put_many([row(2)])
    assert (log.enabled, log.up, log.pending, log.written, log.crashes()) == (False, False, 0, 0, ())
    with pytest.raises(LogUnavailable, match="off"):
        log.feedback(Outcome("a", None, None, True, None))
    log.close(1.0)
    assert list(tmp_path.iterdir()) == []


def test_after_the_end_predictions_are_counted_not_kept(tmp_path: Path) -> None:
    with opened(url(tmp_path)) as log:
        log.put(row(1))
    log.put(row(2))
    assert (log.pending, log.lost["queue_full"], log.up) == (0, 1, False)


def test_a_relative_path_is_below_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with opened("sqlite:///data/log/predictions.sqlite") as log:
        log.put(row(1))
    assert numbers(tmp_path / "data" / "log" / "predictions.sqlite") == [1]


def test_users_can_query_times_and_inputs(tmp_path: Path) -> None:
    with opened(url(tmp_path)) as log:
        log.put(row(1, at=1_795_255_200.5))
    (found,) = ask(
        file_of(tmp_path),
        "SELECT strftime('%Y-%m-%dT%H:%M:%f', at, 'unixepoch'), inputs ->> 'number' FROM predictions "
        "WHERE at >= unixepoch('2026-11-21')",
    )
    assert found == ("2026-11-21T10:00:00.500", 1)
