"""The queries of docs/prediction-log.md answer on a log with something in it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from api.predictions import Outcome
from tests.unit.predictions import ask, file_of, opened, row, url

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "prediction-log.md").read_text(encoding="utf-8")


def queries(language: str) -> list[str]:
    """The statements of all blocks in a language."""
    blocks = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return [part.strip() for block in blocks for part in block.split(";") if part.strip()]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    inputs = json.dumps({"plan": "Basic", "price": 9.5}).encode()
    with opened(url(tmp_path)) as log:
        log.put_many(
            row(n, at=time.time(), request_id=f"r-{n}", customer=f"C{n}", inputs=inputs, prediction=True)
            for n in range(20)
        )
        log.feedback(Outcome("r-1", None, None, True, None))
        log.feedback(Outcome("r-1", None, None, False, None))
        log.feedback(Outcome("r-2", None, None, True, None))
    ask(file_of(tmp_path), "UPDATE writers SET lost = 3")
    return file_of(tmp_path)


def test_each_query_of_the_page_has_an_answer(log: Path) -> None:
    found = {query: ask(log, query) for query in queries("sql")}
    assert len(found) == 9
    assert all(rows for query, rows in found.items() if query.startswith("SELECT"))
    (true,) = (rows for query, rows in found.items() if "AS known" in query)
    assert true == [("v1.2.0", 2, 0.5, 0.5625)]
    assert ask(log, "SELECT count(*) FROM predictions WHERE customer = 'C7'") == [(0,)]


def test_lookups_use_an_index(log: Path) -> None:
    """Also those in which nobody says in which part of the log to look."""
    lookups = [query for query in queries("sql") if re.search(r"FROM predictions WHERE (request_id|customer) =", query)]
    assert len(lookups) == 3
    for query in lookups:
        (plan,) = (line for *_, line in ask(log, f"EXPLAIN QUERY PLAN {query}") if "TEMP" not in line)
        assert re.search(r"USING (COVERING )?INDEX predictions_\w+ \(ANY\(part\) AND", plan), query
