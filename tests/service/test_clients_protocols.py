"""The protocols over a real socket: the same rows score the same in every form, and refusals have their own forms."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.clients import FIELDS
from tests.service.conftest import COMMIT, EXAMPLE, Versions, promote
from tests.service.server import Reply, Server

DATATYPES = {
    "minutes": "FP64", "sessions": "INT64", "auto": "BOOL", "plan [a,b]": "BYTES", "region": "BYTES",
    "since": "BYTES", "comment": "BYTES",
}  # fmt: skip
CSV, PARQUET = {"Content-Type": "text/csv; charset=utf-8"}, {"Content-Type": "application/vnd.apache.parquet"}
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "minutes": st.none() | st.floats(0, 5000, width=32),
            "sessions": st.integers(0, 60),
            "auto": st.none() | st.booleans(),
            "plan [a,b]": st.none() | st.sampled_from(["<5", "a,b", "[pro]"]) | TEXTS,
            "region": st.none() | st.sampled_from(["r1", "r2"]) | TEXTS,
            "since": st.none() | st.dates().map(str),
            "comment": st.none() | st.sampled_from(["love it", "hate the crashes"]) | TEXTS,
        }
    ),
    min_size=1,
    max_size=5,
)
Row = dict[str, Any]
Start = Callable[..., Server]


def listed(rows: list[Row]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in EXAMPLE}


def tensors(rows: list[Row]) -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": [len(rows)], "datatype": DATATYPES.get(name, "BYTES"), "data": values}
        for name, values in listed(rows).items()
    ]


def as_csv(rows: list[Row]) -> bytes:
    sheet = io.StringIO(newline="")
    writer = csv.writer(sheet)
    writer.writerow(EXAMPLE)
    writer.writerows(["" if row[name] is None else row[name] for name in EXAMPLE] for row in rows)
    return sheet.getvalue().encode()


def as_parquet(rows: list[Row]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(listed(rows)), sink)
    return sink.getvalue()


def predictions(reply: Reply) -> list[Row]:
    assert reply.status == 200, reply.body
    assert reply.json["request_id"] == reply.headers["x-request-id"]
    return [{name: row[name] for name in FIELDS} for row in reply.json["predictions"]]


def outputs(reply: Reply) -> list[Row]:
    assert reply.status == 200, reply.body
    columns = {output["name"]: output["data"] for output in reply.json["outputs"]}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def without_commit(rows: list[Row]) -> list[Row]:
    """What outputs have of records: the commit stands beside them, once."""
    return [{name: value for name, value in row.items() if name != "commit"} for row in rows]


@given(rows=ROWS)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_form_of_the_same_rows_scores_as_predict_does(service: Server, rows: list[Row]) -> None:
    expected = predictions(service.post("/predict", {"records": rows}))
    values = [[row[name] for name in EXAMPLE] for row in rows]
    for body in (
        {"dataframe_split": {"columns": list(EXAMPLE), "data": values}},
        {"dataframe_records": [{**row, "unread": 1} for row in rows]},
        {"instances": rows},
        {"instances": values},
        {"inputs": listed(rows)},
    ):
        assert predictions(service.post("/invocations", body)) == expected
    assert predictions(service.post("/invocations", as_csv(rows), CSV)) == expected
    assert predictions(service.post("/invocations", as_parquet(rows), PARQUET)) == expected
    assert predictions(service.post("/v1/models/churn:predict", {"instances": values})) == expected
    assert outputs(service.post("/v2/models/churn/infer", {"inputs": tensors(rows)})) == without_commit(expected)


def test_small_answers_of_the_protocols(service: Server) -> None:
    assert (service.get("/ping").status, service.get("/ping").body) == (200, b"\n")
    assert service.get("/").json == {"status": "alive"}
    assert service.get("/v1/models").json == service.get("/v2/models").json == {"models": ["churn"]}
    assert service.get("/v1/models/churn").json == service.get("/v2/models/churn/ready").json
    assert service.get("/v2").body == service.get("/v2/").body
    assert service.get("/v2/models/churn/versions/v1.0.0").json == service.get("/v2/models/churn").json
    assert service.get("/v2/health/live").json == {"live": True}
    assert service.get("/v2/health/ready").json == {"ready": True}


def test_an_id_is_echoed_or_made_and_everything_leads_back(service: Server) -> None:
    body = {"inputs": tensors([EXAMPLE]), "outputs": [{"name": "prediction"}], "model_name": "churn"}
    made = service.post("/v2/models/churn/infer", body, {"X-Request-ID": "crm-17"}).json
    assert made["id"] == "crm-17"
    assert made["parameters"] == {"request_id": "crm-17", "variant": "prod", "commit": COMMIT}
    assert [output["name"] for output in made["outputs"]] == ["prediction"]
    own = service.post("/v2/models/churn/versions/v1.0.0/infer", {**body, "id": "mine"}).json
    assert (own["id"], own["model_name"], own["model_version"]) == ("mine", "churn", "v1.0.0")
    assert own["parameters"]["request_id"] != "mine"


def test_probabilities_alone_when_asked_for(service: Server) -> None:
    body = {"instances": [EXAMPLE], "params": {"output": "probability", "unknown": 1}}
    expected = predictions(service.post("/predict", {"records": [EXAMPLE]}))[0]["churn_probability"]
    assert service.post("/invocations", body).json["predictions"] == [expected]


def test_compressed_bodies(service: Server) -> None:
    body = zlib.compress(json.dumps({"instances": [EXAMPLE]}).encode())
    assert service.post("/invocations", body, {"Content-Encoding": "deflate"}).status == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON;charset=UTF-8", 200),
        ("application/json; charset=latin-1", 415),
        ("application/json; format=pandas-split", 415),
        ("text/plain", 415),
        ("", 415),
    ],
)
def test_content_types_of_invocations(service: Server, content_type: str, status: int) -> None:
    body = json.dumps({"instances": [EXAMPLE]}).encode()
    reply = service.request("POST", "/invocations", body, {"Content-Type": content_type} if content_type else {})
    assert reply.status == status
    if status == 415:
        assert reply.headers["content-type"].startswith("text/plain")
        assert b"application/json, text/csv, application/vnd.apache.parquet" in reply.body


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/v2/models/churn/infer", {"inputs": []}, 400, "inputs is empty"),
        ("/v2/models/churn/infer", {}, 400, "Object missing required field `inputs`"),
        ("/v2/models/churn/infer", b"\xff", 400, "the body is not JSON"),
        ("/v2/models/other/infer", {"inputs": []}, 404, "model 'other' is none here"),
        ("/v2/models/churn/versions/v0/infer", {"inputs": []}, 404, "version 'v0' of churn is not loaded"),
        ("/v1/models/other:predict", {"instances": []}, 404, "model 'other' is none here"),
        ("/v1/models/churn:predict", {"instances": []}, 400, "instances: is empty"),
        ("/v1/models/churn:predict", {"inputs": []}, 400, '{"instances": […]} is needed'),
        ("/v1/models/churn:predict", [], 400, '{"instances": […]} is needed'),
        ("/v1/models/churn:predict", {"instances": [{**EXAMPLE, "x": 1}]}, 400, "instances[0].x: is no column"),
        (
            "/v1/models/churn:predict",
            {"instances": [{**EXAMPLE, "sessions": 1.5}]},
            400,
            "instances[0].sessions: is 1.5",
        ),
    ],
)
def test_refusals_of_tensors_and_instances(service: Server, path: str, body: Any, status: int, said: str) -> None:
    reply = service.post(path, body)
    assert (reply.status, list(reply.json)) == (status, ["error"])
    assert said in reply.json["error"]


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"instances": [{**EXAMPLE, "sessions": 1.5}]}, "INVALID_PARAMETER_VALUE", "instances[0].sessions: is 1.5"),
        ({"dataframe_split": {"data": [[1]]}}, "INVALID_PARAMETER_VALUE", "dataframe_split[0]: has 1 values"),
        ({"instance": []}, "BAD_REQUEST", "the body has no table"),
        (b"{", "BAD_REQUEST", "the body is not JSON"),
        (
            {"instances": [EXAMPLE], "params": {"output": "x"}},
            "BAD_REQUEST",
            "params.output is 'x'; one of record, prob",
        ),
    ],
)
def test_refusals_of_invocations(service: Server, body: Any, code: str, said: str) -> None:
    reply = service.post("/invocations", body)
    assert (reply.status, reply.json["error_code"]) == (400, code)
    assert said in reply.json["message"]
    assert reply.json.keys() == {"error_code", "message"}


def test_refusals_are_counted_by_their_reason(service: Server) -> None:
    before = service.metric("churn_refused_total", route="v2_infer", reason="malformed")
    service.post("/v2/models/churn/infer", {"inputs": []})
    assert service.metric("churn_refused_total", route="v2_infer", reason="malformed") == before + 1


def test_too_many_rows_are_refused_in_each_form(start: Start) -> None:
    server, rows = start(max_rows=2), [EXAMPLE] * 3
    for path, body, headers in [
        ("/invocations", {"instances": rows}, None),
        ("/invocations", as_csv(rows), CSV),
        ("/invocations", as_parquet(rows), PARQUET),
        ("/v1/models/churn:predict", {"instances": rows}, None),
        ("/v2/models/churn/infer", {"inputs": tensors(rows)}, None),
    ]:
        reply = server.post(path, body, headers)
        assert reply.status == 413, (path, reply.body)
        assert "error" in reply.json or "error_code" in reply.json


def test_without_a_model_probes_say_so(start: Start) -> None:
    server = start(unpromoted="refuse", wait=503)
    assert server.get("/ping").status == 404
    for path in ("/v2/health/ready", "/v2/models/churn/ready", "/v1/models/churn"):
        reply = server.get(path)
        assert (reply.status, list(reply.json)) == (503, ["error"]), path
    reply = server.post("/invocations", {"instances": [EXAMPLE]})
    assert (reply.status, reply.json["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert server.get("/v2/health/live").json == {"live": True}


def test_customers_are_routed_as_predict_routes_them(start: Start, project: Path, versions: Versions) -> None:
    promote(project, versions, {"canary": 0.5}, prod="v1.0.0", canary="v2.0.0")
    server = start()
    rows = [{**EXAMPLE, "customer_id": f"C-{i}"} for i in range(40)]
    expected = predictions(server.post("/predict", {"records": rows}))
    assert {row["variant"] for row in expected} == {"prod", "canary"}
    assert predictions(server.post("/invocations", {"dataframe_records": rows})) == expected
    ids = {"name": "customer_id", "shape": [40], "datatype": "BYTES", "data": [row["customer_id"] for row in rows]}
    answer = server.post("/v2/models/churn/infer", {"inputs": [*tensors(rows), ids]})
    assert outputs(answer) == without_commit(expected)
    assert answer.json["parameters"]["variant"] == "canary,prod"
    assert server.get("/v2/models/churn").json["versions"] == ["v1.0.0", "v2.0.0"]
    pinned = server.post("/v2/models/churn/versions/v2.0.0/infer", {"inputs": [*tensors(rows), ids]})
    assert {row["version"] for row in outputs(pinned)} == {"v2.0.0"}
    assert pinned.json["model_version"] == "v2.0.0"


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/invocations", "message"),
        ("/v1/models/churn:predict", "error"),
        ("/v2/models/churn/infer", "error"),
        ("/v2/models/churn/versions/v1.0.0/infer", "error"),
    ],
)
def test_what_no_handler_sees_is_refused_in_the_same_form(start: Start, path: str, key: str) -> None:
    server = start(max_body_bytes=1000, api_keys="crm:" + hashlib.sha256(b"open sesame").hexdigest())
    keyed = {"X-API-Key": "open sesame"}
    for status, reply in {
        401: server.post(path, {}),
        413: server.post(path, b" " * 2000, keyed),
        400: server.post(path, b"no gzip", {**keyed, "Content-Encoding": "gzip"}),
        405: server.request("PUT", path, b"", keyed),
    }.items():
        assert (reply.status, key in reply.json) == (status, True), reply.body


@pytest.mark.parametrize("path", ["/v2/models/churn/config", "/v2/models/a:b/ready", "/v2/nothing", "/v1/x"])
def test_paths_that_nobody_knows_are_refused_in_the_form_of_their_protocol(service: Server, path: str) -> None:
    reply = service.get(path)
    assert (reply.status, list(reply.json)) == (404, ["error"])
    assert service.get("/nothing").json["detail"]
