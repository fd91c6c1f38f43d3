"""MLflow's ScoringServerClient, unmodified, gets what /predict answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.clients import expected, records, run
from tests.service.server import ROOT, Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(service: Server) -> dict[str, Any]:
    given = {"port": service.port, "records": records()}
    answer: dict[str, Any] = run("mlflow", ROOT / "tests" / "clients" / "mlflow_client.py", given)
    return answer


def test_every_way_of_sending_a_table_gives_what_predict_answers(found: dict[str, Any], service: Server) -> None:
    assert found["frame"] == found["dated"] == found["records"] == expected(service)


def test_probabilities_alone_come_when_asked_for(found: dict[str, Any], service: Server) -> None:
    assert found["probabilities"] == [row["churn_probability"] for row in expected(service)]


def test_the_version_is_that_of_the_client_that_was_tried(found: dict[str, Any]) -> None:
    assert found["version"] == found["client"]


def test_a_refusal_names_the_column(found: dict[str, Any]) -> None:
    assert "error code 400" in found["refused"]
    assert '"error_code":"INVALID_PARAMETER_VALUE"' in found["refused"]
    assert "dataframe_split.sessions: is missing" in found["refused"]
