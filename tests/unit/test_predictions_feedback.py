"""Outcomes: stored once, never overwritten, matched with the predictions they are about."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.predictions import FeedbackResult, Limits, LogError, LogUnavailable, Outcome, PredictionLog
from tests.unit.predictions import ask, file_of, opened, row, url


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PredictionLog]:
    with opened(url(tmp_path), Limits(seconds=1.0)) as log:
        yield log


def about(request_id: str | None = None, churned: bool = True, **given: object) -> Outcome:
    fields = {"row": None, "customer": None, "observed_at": None} | given
    return Outcome(request_id=request_id, churned=churned, **fields)  # type: ignore[arg-type]


def test_the_same_twice_is_stored_once(log: PredictionLog, tmp_path: Path) -> None:
    log.put(row(1))
    assert log.feedback(about("request-1")) == FeedbackResult("new", 1)
    assert log.feedback(about("request-1")) == FeedbackResult("same", 1)
    assert ask(file_of(tmp_path), "SELECT request_id, churned FROM outcomes") == [("request-1", 1)]


def test_a_correction_counts_and_what_it_corrects_stays(log: PredictionLog, tmp_path: Path) -> None:
    for churned, result in ((True, "new"), (False, "changed"), (False, "same"), (True, "changed")):
        assert log.feedback(about("r", churned)).result == result
    assert log.feedback(about("r", False)) == FeedbackResult("changed", 0, True)
    history = ask(file_of(tmp_path), "SELECT churned FROM outcomes ORDER BY id")
    assert history == [(1,), (0,), (1,), (0,)]
    assert ask(file_of(tmp_path), "SELECT churned FROM latest_outcomes") == [(0,)]


def test_what_waits_in_memory_is_matched(log: PredictionLog) -> None:
    """Feedback writes first what this worker has not yet written, however long the pause between writes."""
    log.put_many(row(1, row=n, customer=f"C{n}") for n in range(5))
    assert log.feedback(about("request-1")).matched == 5
    assert log.feedback(about("request-1", row=3)).matched == 1
    assert log.feedback(about("request-1", row=7)).matched == 0
    assert log.feedback(about("request-1", row=3, customer="C4")).matched == 0
    assert log.feedback(about(customer="C4")).matched == 1
    assert log.feedback(about("request-2")) == FeedbackResult("new", 0)


def test_when_it_was_observed_tells_outcomes_apart(log: PredictionLog) -> None:
    assert log.feedback(about(customer="C1", churned=False, observed_at="2026-10-01")).result == "new"
    assert log.feedback(about(customer="C1", churned=True, observed_at="2026-11-01")).result == "new"
    assert log.feedback(about(customer="C1", churned=True, observed_at="2026-11-01T00:00:00Z")).result == "same"
    assert log.feedback(about(customer="C1", churned=True, observed_at="2026-11-01T01:00:00+01:00")).result == "same"
    assert log.feedback(about(customer="C1", churned=False, observed_at="2026-11-01T00:00:00")).result == "changed"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(customer=st.text(min_size=1).filter(lambda text: text.isprintable() or "\0" in text))
def test_any_name_of_a_customer(log: PredictionLog, customer: str) -> None:
    log.put(row(1, customer=customer))
    first = log.feedback(about(customer=customer))
    assert first.matched >= 1
    assert log.feedback(about(customer=customer)).result == "same"


def test_many_at_once(log: PredictionLog, tmp_path: Path) -> None:
    """Clients repeat themselves at the same moment: one of them is first."""
    results: list[str] = []
    outcomes = [about(f"request-{n % 10}") for n in range(80)]
    threads = [threading.Thread(target=lambda o=o: results.append(log.feedback(o).result)) for o in outcomes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["new"] * 10 + ["same"] * 70
    assert ask(file_of(tmp_path), "SELECT count(*) FROM outcomes") == [(10,)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs a request id or a customer"),
        ({"customer": "C1", "row": 0}, "row 0 is no row of a request"),
        ({"request_id": "r", "row": -1}, "row -1"),
        ({"request_id": "r", "row": 2**31}, "row 2147483648"),
        ({"request_id": "r", "observed_at": "yesterday"}, "'yesterday' is no time since 1970; write it like"),
        ({"request_id": "r", "observed_at": "0001-01-01T00:00:00+23:00"}, "is no time"),
    ],
)
def test_an_outcome_of_nothing_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(LogError, match=message):
        about(**given)  # type: ignore[arg-type]


def test_after_the_end_no_outcome_is_taken(tmp_path: Path) -> None:
    with opened(url(tmp_path)) as log:
        pass
    with pytest.raises(LogUnavailable):
        log.feedback(about("r"))
