"""POST /feedback over a socket: stored once, counted, refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.predictions import read
from tests.service.conftest import EXAMPLE
from tests.service.server import Server

Start = Callable[..., Server]


def test_an_outcome_meets_its_predictions_and_is_stored_once(start: Start, project: Path) -> None:
    server = start(log="sqlite:///log.sqlite")
    server.post("/predict", {**EXAMPLE, "customer_id": "a"}, {"X-Request-ID": "one"})
    server.post("/predict", {"records": [{**EXAMPLE, "customer_id": c} for c in "ab"]}, {"X-Request-ID": "two"})
    outcome = {"churned": True, "request_id": "one"}
    first, again = (server.post("/feedback", outcome).json for _ in range(2))
    assert (first["result"], first["matched"]) == ("new", 1)
    assert (again["result"], again["matched"]) == ("same", 1)
    changed = server.post("/feedback", {**outcome, "churned": False}).json
    assert changed["result"] == "changed"
    row = server.post("/feedback", {"churned": True, "request_id": "two", "row": 1}).json
    assert (row["result"], row["matched"]) == ("new", 1)
    customer = server.post("/feedback", {"churned": True, "customer_id": "a", "observed_at": "2026-03-15"}).json
    assert (customer["result"], customer["matched"]) == ("new", 2)
    nobody = server.post("/feedback", {"churned": False, "request_id": "never seen"}).json
    assert (nobody["result"], nobody["matched"]) == ("new", 0)
    assert server.metric("churn_feedback_total", result="new") == 4
    assert server.metric("churn_feedback_total", result="same") == 1
    server.stop()
    logged = list(read(f"sqlite:///{project}/log.sqlite", request_id="two"))
    assert [(r["row"], r["customer"]) for r in logged] == [(0, "a"), (1, "b")]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"request_id": "a"}, ["body", "churned"]),
        ({"churned": True}, ["body", "request_id"]),
        ({"churned": 1, "request_id": "a"}, ["body", "churned"]),
        ({"churned": True, "request_id": ""}, ["body", "request_id"]),
        ({"churned": True, "request_id": "a", "row": -1}, ["body", "row"]),
        ({"churned": True, "customer_id": "a", "row": 0}, ["body", "row"]),
        ({"churned": True, "request_id": "a", "observed_at": "soon"}, ["body", "observed_at"]),
        ({"churned": True, "request_id": "a", "more": 1}, ["body", "more"]),
        ([], ["body"]),
    ],
)
def test_what_is_no_outcome_is_refused(service: Server, body: Any, loc: list[str]) -> None:
    reply = service.post("/feedback", body)
    assert reply.status == 422, reply.body
    assert reply.json["detail"][0]["loc"] == loc


def test_without_a_log_outcomes_are_not_taken(start: Start) -> None:
    server = start(log="off")
    reply = server.post("/feedback", {"churned": True, "request_id": "a"})
    assert reply.status == 503
    assert "retry-after" in reply.headers
    assert server.get("/health").json["status"] == "ok"
