"""tritonclient[http], unmodified, with JSON and with raw tensors, gets what /predict answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.clients import FIELDS, expected, records, run
from tests.service.conftest import COMMIT
from tests.service.server import ROOT, Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(service: Server) -> dict[str, Any]:
    given = {"port": service.port, "records": records()}
    answer: dict[str, Any] = run("triton", ROOT / "tests" / "clients" / "triton_client.py", given)
    return answer


@pytest.mark.parametrize("mode", ["json", "binary", "gzip", "deflate", "asynchronous", "version"])
def test_every_way_of_sending_tensors_gives_what_predict_answers(
    found: dict[str, Any], service: Server, mode: str
) -> None:
    rows = expected(service)
    assert found[mode] == {name: [row[name] for row in rows] for name in FIELDS if name != "commit"}


def test_answers_carry_id_version_commit_and_variant(found: dict[str, Any]) -> None:
    answer = found["json_answer"]
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("churn", "v1.0.0", "json-1")
    assert answer["parameters"]["commit"] == COMMIT
    assert answer["parameters"]["variant"] == "prod"
    made = found["binary_answer"]
    assert made["id"] == made["parameters"]["request_id"] != ""


def test_outputs_are_raw_only_where_that_was_asked(found: dict[str, Any]) -> None:
    assert all("data" in output for output in found["json_answer"]["outputs"])
    assert all("data" not in output for output in found["binary_answer"]["outputs"])
    only = {"name": "prediction", "datatype": "BOOL", "shape": [4], "parameters": {"binary_data_size": 4}}
    assert found["one_output"]["outputs"] == [only]


def test_health_and_metadata(found: dict[str, Any]) -> None:
    states = ("live", "ready", "model_ready", "version_ready", "other_ready")
    assert [found[name] for name in states] == [True, True, True, True, False]
    assert "binary_tensor_data" in found["server"]["extensions"]
    inputs = {tensor["name"]: tensor for tensor in found["metadata"]["inputs"]}
    assert inputs["sessions"] == {"name": "sessions", "datatype": "INT64", "shape": [-1, 1]}
    assert {name: tensor["datatype"] for name, tensor in inputs.items()} == {
        "minutes": "FP64", "sessions": "INT64", "auto": "BOOL", "plan [a,b]": "BYTES",
        "region": "BYTES", "since": "BYTES", "comment": "BYTES",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ("model", "404", "model 'other' is none here; churn serves"),
        ("version", "404", "version 'v9.9.9' of churn is not loaded; loaded: v1.0.0"),
        ("column", "400", "inputs.minutes: is missing"),
        ("shape", "400", "tensor minutes: shape [9, 1] asks for 9 values"),
        ("output", "400", "output p is none; there are churn_probability"),
    ],
)
def test_refusals_reach_the_client_in_words(found: dict[str, Any], what: str, status: str, said: str) -> None:
    assert found["refused"][what][0] == status
    assert said in found["refused"][what][1]
