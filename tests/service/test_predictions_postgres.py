"""The prediction log in a real PostgreSQL: what was put is what is read; outages and lost answers cost nothing."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.predictions import FeedbackResult, Limits, LogError, LogUnavailable, Outcome, PredictionLog, Row, read
from api.predictions import retention as retentions
from tests.service.postgres import Postgres, Wire
from tests.unit.predictions import QUICK, opened, row, wait
from tests.unit.test_predictions_docs import queries
from tests.unit.test_predictions_log import ROWS, as_read

pytestmark = pytest.mark.slow
DAY = 86_400


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def database(server: Postgres, tmp_path: Path) -> str:
    """The name of a new, empty database."""
    name = f"log_{abs(hash(tmp_path))}"
    ask(server.url(), f'CREATE DATABASE "{name}"')
    return name


@pytest.fixture
def address(server: Postgres, database: str) -> str:
    return server.url(database)


def ask(address: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(address, autocommit=True) as connection:
        cursor = connection.execute(sql.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


def numbers(address: str) -> list[int]:
    return [int(n) for (n,) in ask(address, "SELECT inputs ->> 'number' FROM predictions ORDER BY id")]


def as_stored(given_row: Row) -> dict[str, object]:
    """PostgreSQL has no NUL in a text: the replacement character stands for it."""
    expected = {k: v.replace("\0", "\ufffd") if isinstance(v, str) else v for k, v in as_read(given_row).items()}
    expected["inputs"] = json.loads(str(expected["inputs"]))
    return expected


def without_nul(value: object) -> object:
    return json.loads(json.dumps(value).replace("\\u0000", "\\ufffd"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROWS, min_size=1, max_size=40))
def test_what_was_put_is_what_is_read(rows: list[Row], address: str) -> None:
    with opened(address) as log:
        before = len(list(read(address)))
        log.put_many(rows)
        wait(lambda: not log.pending)
        assert not any(log.lost.values())
    found = list(read(address))[before:]
    for one in found:
        one["inputs"] = json.loads(one["inputs"])
    assert found == [without_nul(as_stored(r)) if "\\u0000" in r[-1].decode() else as_stored(r) for r in rows]


def test_inputs_with_nul_can_still_be_queried(address: str) -> None:
    with opened(address) as log:
        log.put(row(1, inputs=rb'{"number": 1, "a": "x\u0000y", "b": "\\u0000"}'))
    assert ask(address, "SELECT inputs ->> 'a', inputs ->> 'b' FROM predictions") == [("x\ufffdy", "\\u0000")]


def test_rows_that_the_server_refuses_do_not_hold_up_others(address: str, caplog: pytest.LogCaptureFixture) -> None:
    bad = {3: row(3, inputs=b'{"secret": '), 44: row(44, row=2**40), 50: row(50, at=math.nan), 51: row(51, at=-1e30)}
    with opened(address) as log:
        log.put_many(bad.get(n, row(n)) for n in range(100))
        wait(lambda: not log.pending)
        assert log.lost["refused"] == len(bad)
        assert log.errors == 0
    assert numbers(address) == [n for n in range(100) if n not in bad]
    assert "the first: request 'request-3', row 0: invalid input syntax for type json" in caplog.text
    assert "secret" not in caplog.text  # the server's details quote the row


def test_a_server_that_is_away_costs_nothing(server: Postgres, address: str, caplog: pytest.LogCaptureFixture) -> None:
    stop, put = threading.Event(), [0]

    def load(log: PredictionLog) -> None:
        while not stop.wait(0.001):
            log.put(row(put[0]))
            put[0] += 1

    with opened(address, Limits(seconds=0.05)) as log:
        client = threading.Thread(target=load, args=(log,))
        client.start()
        try:
            wait(lambda: log.written > 100)
            server.stop()
            wait(lambda: not log.up)
            with pytest.raises(LogUnavailable):
                log.feedback(Outcome("request-1", None, None, True, None))
            time.sleep(3)
            server.start()
            wait(lambda: log.up)
        finally:
            stop.set()
            client.join()
        wait(lambda: not log.pending)
        assert not any(log.lost.values())
        assert log.feedback(Outcome("request-1", None, None, True, None)) == FeedbackResult("new", 1)
    assert numbers(address) == list(range(put[0]))
    said = [r.getMessage() for r in caplog.records if r.name == "api.predictions"]
    assert [("is down" in line, "is back" in line) for line in said] == [(True, False), (False, True)]


def test_a_server_that_is_not_there_yet(server: Postgres, address: str) -> None:
    server.stop()
    try:
        log = PredictionLog(address, limits=QUICK)
        log.start()
        log.put(row(1))
        wait(lambda: log.errors > 0)
        assert not log.up
    finally:
        server.start()
    wait(lambda: log.up and not log.pending)
    log.close(10.0)
    assert numbers(address) == [1]


@pytest.mark.parametrize("where", [b"COPY predictions", b"UPDATE writers", b"COMMIT"])
def test_an_answer_that_got_lost_writes_nothing_twice(server: Postgres, database: str, where: bytes) -> None:
    wire = Wire(server.port)
    try:
        with opened(server.url(database, wire.port)) as log:
            for start in range(0, 900, 300):
                wait(lambda: log.up)
                wire.cut_after = where
                log.put_many(row(n) for n in range(start, start + 300))
                wait(lambda: not log.pending)
            assert wire.cuts == 3
            assert log.errors >= 3
            assert not any(log.lost.values())
    finally:
        wire.close()
    assert numbers(server.url(database)) == list(range(900))
    assert ask(server.url(database), "SELECT written, closed IS NOT NULL FROM writers") == [(900, True)]


def test_an_attempt_that_commits_late_is_not_repeated(address: str) -> None:
    """The server may still be at the first attempt when the second one is made: the second has to wait, and to see."""
    with opened(address) as log, psycopg.connect(address) as first:
        wait(lambda: log.up)
        columns = "writer,at,request_id,row,variant,version,source,prediction,inputs"
        values = """1, now(), 'request-1', 0, 'prod', 'v1', 'predict', true, '{"number": 1}'"""
        first.execute(f"INSERT INTO predictions({columns}) VALUES ({values})".encode())
        first.execute("UPDATE writers SET written = 1")
        log.put_many([row(1), row(2)])
        time.sleep(0.3)
        assert log.pending == 2
        first.commit()
        wait(lambda: not log.pending)
        assert (log.written, log.errors) == (2, 0)
    assert numbers(address) == [1, 2]


def test_workers_that_start_together_make_one_log(address: str) -> None:
    logs = [PredictionLog(address, limits=QUICK) for _ in range(6)]
    starts = [threading.Thread(target=log.start) for log in logs]
    for thread in starts:
        thread.start()
    for thread in starts:
        thread.join()
    for number, log in enumerate(logs):
        log.put(row(number))
    for log in logs:
        log.close(10.0)
        assert (log.written, log.errors) == (1, 0)
    assert sorted(numbers(address)) == list(range(6))


def test_a_table_of_something_else_is_left_alone(address: str) -> None:
    ask(address, "CREATE TABLE predictions (mine INTEGER)")
    log = PredictionLog(address, limits=QUICK)
    with pytest.raises(LogError, match="has a table predictions that is no prediction log"):
        log.start()
    assert ask(address, "SELECT count(*) FROM predictions") == [(0,)]


def test_the_log_may_live_in_a_schema_of_its_own(address: str) -> None:
    ask(address, "CREATE SCHEMA churn_log; CREATE TABLE predictions (mine INTEGER)")
    inside = f"{address}?options=-csearch_path%3Dchurn_log"
    with opened(inside) as log:
        log.put(row(1))
    assert [found["request_id"] for found in read(inside)] == ["request-1"]
    assert ask(address, "SELECT count(*) FROM public.predictions") == [(0,)]


def test_the_queries_of_the_page(address: str) -> None:
    with opened(address) as log:
        log.put_many(row(n, at=time.time(), inputs=b'{"plan": "Basic"}') for n in range(3))
        log.feedback(Outcome("request-1", None, None, True, None))
    realised, plans = queries("postgresql")
    assert [(r[0], r[1], float(r[2]), r[3]) for r in ask(address, realised)] == [("v1.2.0", 1, 1.0, 0.5625)]
    assert ask(address, plans) == [("Basic", 3)]


def test_a_newer_log_is_refused(address: str) -> None:
    with opened(address):
        pass
    ask(address, "UPDATE prediction_log SET version = 7")
    with pytest.raises(LogError, match="version 7, this program knows 1"):
        PredictionLog(address, limits=QUICK).start()


def test_feedback_from_several_workers_at_once(address: str) -> None:
    results: list[str] = []
    with opened(address) as first, opened(address) as second:
        first.put(row(1, customer="a\0b"))
        assert first.feedback(Outcome(None, None, "a\0b", True, "2026-11-01")).matched == 1
        asked = [(log, Outcome(f"r{n}", None, None, True, None)) for n in range(15) for log in (first, second)]
        threads = [threading.Thread(target=lambda p=p: results.append(p[0].feedback(p[1]).result)) for p in asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert first.feedback(Outcome("r1", None, None, False, None)) == FeedbackResult("changed", 0, True)
    assert sorted(results) == ["new"] * 15 + ["same"] * 15
    assert ask(address, "SELECT churned FROM latest_outcomes WHERE request_id = 'r1'") == [(False,)]


def test_old_predictions_go(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retentions, "CLEAN_SECONDS", 0.0)
    with opened(address) as log:
        log.put_many(row(n, at=time.time() - 3 * DAY) for n in range(1200))
        log.put_many(row(n, at=time.time()) for n in range(1200, 1500))
        log.feedback(Outcome("request-1", None, None, True, None))
        log.feedback(Outcome("request-1400", None, None, True, None))
        ask(address, "UPDATE outcomes SET at = at - interval '3 days'")
    with opened(address, Limits(max_days=2, seconds=0.01)) as log:
        wait(lambda: log.deleted == 1200)
        wait(lambda: ask(address, "SELECT request_id FROM outcomes") == [("request-1400",)])
    assert numbers(address) == list(range(1200, 1500))


def test_the_log_is_kept_to_its_size(address: str) -> None:
    with opened(address, Limits(max_mb=4, seconds=0.01)) as log:
        for start in range(0, 20_000, 1000):
            log.put_many(
                row(n, at=time.time(), inputs=b'{"number": %d, "t": "%0900d"}' % (n, n))
                for n in range(start, start + 1000)
            )
            wait(lambda: not log.pending)
        wait(lambda: log.deleted >= 16_500)
    left = numbers(address)
    assert left == list(range(20_000 - len(left), 20_000))
    assert len(left) > 2000
    ask(address, "VACUUM FULL predictions")
    assert ask(address, "SELECT pg_total_relation_size('predictions')")[0][0] < 4 << 20
