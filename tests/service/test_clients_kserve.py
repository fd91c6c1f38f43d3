"""KServe's InferenceRESTClient, unmodified, over both of its protocols, gets what /predict answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.clients import expected, records, run
from tests.service.server import ROOT, Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(service: Server) -> dict[str, Any]:
    given = {"url": service.url, "records": records()}
    answer: dict[str, Any] = run("kserve", ROOT / "tests" / "clients" / "kserve_client.py", given)
    return answer


@pytest.mark.parametrize("mode", ["json", "binary"])
def test_the_second_protocol_gives_what_predict_answers(found: dict[str, Any], service: Server, mode: str) -> None:
    rows = expected(service)
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    answer = found["v2"][mode]
    assert answer["id"] == "42"
    assert {name: answer[name] for name in ("churn_probability", "prediction")} == {
        name: columns[name] for name in ("churn_probability", "prediction")
    }


def test_the_first_protocol_gives_what_predict_answers(found: dict[str, Any], service: Server) -> None:
    assert found["v1"]["answer"]["predictions"] == expected(service)


def test_health(found: dict[str, Any]) -> None:
    first, second = found["v1"], found["v2"]
    assert (first["live"], first["model_ready"]) == (True, True)
    assert [second[name] for name in ("live", "ready", "model_ready", "other_ready")] == [True, True, True, False]


def test_refusals_reach_the_client_in_words(found: dict[str, Any]) -> None:
    assert "inputs.minutes: is missing" in found["v2"]["refused"]
    assert "'400 Bad Request'" in found["v2"]["refused"]
    assert "instances[0].minutes: is missing" in found["v1"]["refused"]
