"""The log stays within its limits, oldest first, while it is written."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from api.predictions import Limits, Outcome, PredictionLog
from api.predictions import retention as retentions
from tests.unit.predictions import ask, file_of, numbers, opened, row, url, wait

DAY = 86_400


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in (folder / "log").iterdir())


@pytest.mark.slow
def test_the_file_stays_below_its_limit_while_it_is_written(tmp_path: Path) -> None:
    inputs = b'{"number": %d, "text": "' + b"x" * 1000 + b'"}'
    largest = 0
    with opened(url(tmp_path), Limits(max_mb=8, seconds=0.02)) as log:
        for number in range(20_000):
            log.put(row(number, at=time.time(), request_id=f"{number * 7919 % 100_003:06d}", inputs=inputs % number))
            if number % 100 == 0:
                largest = max(largest, size(tmp_path))
                wait(lambda: log.pending < 1000)
        wait(lambda: not log.pending)
        wait(lambda: log.deleted == 20_000 - len(numbers(file_of(tmp_path))))
        left = numbers(file_of(tmp_path))
    assert left == list(range(20_000 - len(left), 20_000))
    assert 3000 < len(left) < 8000
    assert largest < 8 << 20
    assert ask(file_of(tmp_path), "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.slow
def test_a_lower_limit_makes_the_file_smaller(tmp_path: Path) -> None:
    with opened(url(tmp_path)) as log:
        log.put_many(row(n, at=time.time(), inputs=b'{"number": %d, "t": "%s"}' % (n, b"x" * 900)) for n in range(9000))
    assert size(tmp_path) > 8 << 20
    with opened(url(tmp_path), Limits(max_mb=4, seconds=0.01)):
        wait(lambda: size(tmp_path) < 4 << 20)
    left = numbers(file_of(tmp_path))
    assert left == list(range(9000 - len(left), 9000))
    assert len(left) > 1000


def test_old_predictions_go_and_young_ones_stay(tmp_path: Path) -> None:
    now = time.time()
    with opened(url(tmp_path)) as log:
        log.put_many(row(n, at=now - 3 * DAY + n) for n in range(1200))
        log.put_many(row(n, at=now - n / 1000) for n in range(1200, 1500))
    with opened(url(tmp_path), Limits(max_days=2, seconds=0.01)) as log:
        wait(lambda: log.deleted == 1200)
        assert numbers(file_of(tmp_path)) == list(range(1200, 1500))


def test_outcomes_stay_as_long_as_a_prediction_or_the_age_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retentions, "CLEAN_SECONDS", 0.0)
    with opened(url(tmp_path)) as log:
        log.put(row(1, at=time.time()))
        log.put(row(2, at=time.time() - 3 * DAY))
        for outcome in ("request-1", "request-2", "request-3", "request-4"):
            log.feedback(Outcome(outcome, None, None, True, None))
        log.feedback(Outcome(None, None, "C1", True, None))
        log.feedback(Outcome(None, None, "C2", True, None))
        ask(file_of(tmp_path), "UPDATE outcomes SET at = at - ? WHERE request_id IS NOT 'request-4'", 3 * DAY)
    with opened(url(tmp_path), Limits(max_days=2, seconds=0.01)):
        left = "SELECT coalesce(request_id, customer) FROM outcomes ORDER BY id"
        wait(lambda: ask(file_of(tmp_path), left) == [("request-1",), ("request-4",), ("C1",)])


def test_one_worker_deletes_and_another_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retentions, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(retentions, "RENEW_SECONDS", 0.1)
    limits = Limits(max_days=2, seconds=0.01)

    def old(log: PredictionLog) -> None:
        log.put_many(row(n, at=time.time() - 3 * DAY) for n in range(100))

    with opened(url(tmp_path), limits) as first:
        wait(lambda: ask(file_of(tmp_path), "SELECT writer FROM duties") == [(1,)])
        with opened(url(tmp_path), limits) as second:
            old(second)
            wait(lambda: first.deleted == 100)
            assert second.deleted == 0
            first.close(10.0)
            old(second)
            wait(lambda: second.deleted == 100)


def test_writing_goes_on_while_much_is_deleted(tmp_path: Path) -> None:
    """A week's rows are due at once: predictions of now are not kept waiting until all are gone."""
    with opened(url(tmp_path)) as log:
        log.put_many(row(n, at=time.time() - 3 * DAY) for n in range(40_000))
    seen = threading.Event()
    with opened(url(tmp_path), Limits(max_days=2, seconds=0.01)) as log:
        log.put(row(40_000, at=time.time()))
        wait(lambda: log.written == 1 or log.deleted == 40_000)
        if log.deleted < 40_000:
            seen.set()
        wait(lambda: log.deleted == 40_000)
    assert seen.is_set()
    assert numbers(file_of(tmp_path)) == [40_000]
