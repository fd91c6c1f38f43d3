"""POST /predict and /explain over a socket: forms, refusals, limits."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest

from mlops import bundle
from tests.service.conftest import COMMIT, EXAMPLE, Versions
from tests.service.server import Server

DAYS = 16_616.0  # 2015-06-30


def raw(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "auto": float(record["auto"]), "since": DAYS}


def test_one_record_is_answered_with_who_answered(service: Server, versions: Versions) -> None:
    reply = service.post("/predict", {**EXAMPLE, "customer_id": 'Zoë "1"'}, {"X-Request-ID": "crm-42"})
    assert reply.status == 200
    loaded = bundle.load(versions["v1.0.0"])
    p = round(loaded.score_row(raw(EXAMPLE))[1], 6)
    churn = p >= loaded.threshold
    assert reply.json == {
        "customer_id": 'Zoë "1"',
        "churn_probability": p,
        "prediction": churn,
        "confidence": pytest.approx(p if churn else 1 - p),
        "model": "churn",
        "version": "v1.0.0",
        "variant": "prod",
        "commit": COMMIT,
        "request_id": "crm-42",
    }
    assert reply.headers["x-request-id"] == "crm-42"
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_every_form_gives_the_same_score(service: Server) -> None:
    one = service.post("/predict", EXAMPLE).json["churn_probability"]
    values = list(EXAMPLE.values())
    forms = [
        {"records": [EXAMPLE, {**EXAMPLE, "customer_id": 7}]},
        {"features": [values, values], "customer_ids": [None, 7]},
    ]
    for form in forms:
        answer = service.post("/predict", form).json
        assert [p["churn_probability"] for p in answer["predictions"]] == [one, one]
        assert [p["customer_id"] for p in answer["predictions"]] == [None, "7"]
    single = service.post("/predict", {"features": values, "customer_id": "a"}).json
    assert (single["churn_probability"], single["customer_id"]) == (one, "a")


def test_ids_of_requests_are_made_and_differ(service: Server) -> None:
    bad = service.post("/predict", EXAMPLE, {"X-Request-ID": "a b<script>"}).json["request_id"]
    other = service.post("/predict", EXAMPLE).json["request_id"]
    assert len({bad, other, "a b<script>"}) == 3


def test_an_unknown_level_is_scored_named_and_counted(service: Server) -> None:
    before = service.metric("churn_unknown_levels_total", feature="region")
    reply = service.post("/predict", {**EXAMPLE, "region": "Atlantis"})
    assert reply.json["unknown_levels"] == ["region"]
    many = service.post("/predict", {"records": [{**EXAMPLE, "region": r} for r in ("Atlantis", "r1", "Mu")]})
    assert many.json["unknown_levels"] == {"region": 2}
    assert service.metric("churn_unknown_levels_total", feature="region") - before == 3


def without(name: str) -> dict[str, Any]:
    return {k: v for k, v in EXAMPLE.items() if k != name}


@pytest.mark.parametrize(
    ("body", "status", "loc", "kind"),
    [
        (without("minutes"), 422, ["body", "minutes"], "missing"),
        ({**EXAMPLE, "minutes": "42"}, 422, ["body", "minutes"], "type"),
        ({**EXAMPLE, "sessions": 1.5}, 422, ["body", "sessions"], "whole"),
        ({**EXAMPLE, "sessions": None}, 422, ["body", "sessions"], "null"),
        ({**EXAMPLE, "minutes": 1e39}, 422, ["body", "minutes"], "range"),
        ({**EXAMPLE, "since": "yesterday"}, 422, ["body", "since"], "date"),
        ({**EXAMPLE, "age": 5}, 422, ["body", "age"], "extra"),
        ({**EXAMPLE, "customer_id": {}}, 422, ["body", "customer_id"], "type"),
        ({"records": []}, 422, ["body", "records"], "empty"),
        ({"records": {}}, 422, ["body", "records"], "type"),
        ({"records": [EXAMPLE, 5]}, 422, ["body", "records", 1], "type"),
        ({"records": [EXAMPLE, {**EXAMPLE, "auto": 1}]}, 422, ["body", "records", 1, "auto"], "type"),
        ({"records": [EXAMPLE], "threshold": 1}, 422, ["body", "threshold"], "extra"),
        ({"features": [1, 2]}, 422, ["body", "features", 0], "shape"),
        ({"features": list(EXAMPLE.values()), "customer_ids": ["a"]}, 422, ["body", "customer_ids"], "extra"),
        ({"features": [list(EXAMPLE.values())], "customer_ids": []}, 422, ["body", "customer_ids"], "shape"),
        ([EXAMPLE], 422, ["body"], "type"),
        (b"null", 422, ["body"], "type"),
        (b"", 400, ["body"], "json"),
        (b"{", 400, ["body"], "json"),
        (json.dumps({**EXAMPLE, "minutes": math.nan}).encode(), 400, ["body"], "json"),
        (json.dumps({**EXAMPLE, "minutes": math.inf}).encode(), 400, ["body"], "json"),
        (json.dumps(EXAMPLE).encode().replace(b"42.5", b"1e999"), 422, ["body"], "range"),
        (b'{"comment": "\xff"}', 400, ["body"], "utf8"),
        (b'{"comment": "\\ud800"}', 400, ["body"], "json"),
        (b"[" * 20_000, 400, ["body"], "depth"),
        (b'{"records":' * 5000, 400, ["body"], "depth"),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/explain"])
def test_what_is_wrong_is_named(service: Server, path: str, body: Any, status: int, loc: list[Any], kind: str) -> None:
    reply = service.post(path, body)
    assert reply.status == status, reply.body
    first = reply.json["detail"][0]
    assert (first["loc"], first["type"]) == (loc, kind)
    assert reply.json["request_id"] == reply.headers["x-request-id"]


def test_content_types_and_encodings(service: Server) -> None:
    body = json.dumps(EXAMPLE).encode()
    assert service.request("POST", "/predict", body).status == 200
    for good in ("application/json; charset=utf-8", "Application/JSON;charset=UTF8"):
        assert service.post("/predict", body, {"Content-Type": good}).status == 200
    for bad in ("text/csv", "application/json; charset=latin-1", "multipart/form-data", ""):
        assert service.post("/predict", body, {"Content-Type": bad}).status == 415
    zipped = {"Content-Encoding": "gzip"}
    assert service.post("/predict", gzip.compress(body), zipped).status == 200
    assert service.post("/predict", body, zipped).status == 400
    assert service.post("/predict", body, {"Content-Encoding": "br"}).status == 415
    bomb = service.post("/predict", gzip.compress(b" " * (11 << 20)), zipped)
    assert (bomb.status, bomb.json["detail"][0]["type"]) == (413, "too_large")


def test_methods_and_paths(service: Server) -> None:
    wrong = service.get("/predict")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert service.request("HEAD", "/health", None).status == 200
    nowhere = service.get("/nowhere")
    assert (nowhere.status, nowhere.json["detail"][0]["type"]) == (404, "path")
    assert "x-request-id" in nowhere.headers


def test_contributions_add_up_and_are_said_in_words(service: Server) -> None:
    told = service.post("/explain", {**EXAMPLE, "customer_id": "a"}).json
    total = told["base"] + sum(c["contribution"] for c in told["contributions"])
    assert total == pytest.approx(told["raw_score"], abs=1e-5)
    sizes = [abs(c["contribution"]) for c in told["contributions"]]
    assert sizes == sorted(sizes, reverse=True)
    assert told["churn_probability"] == service.post("/predict", EXAMPLE).json["churn_probability"]
    assert all(c["words"] for c in told["contributions"])
    many = service.post("/explain", {"records": [EXAMPLE, EXAMPLE]}).json["explanations"]
    assert many[0]["contributions"] == told["contributions"]
    assert service.post("/explain", {"records": [EXAMPLE] * 101}).status == 413


def test_the_model_tells_its_signature_metrics_and_lineage(service: Server, versions: Versions) -> None:
    told = service.get("/model").json
    assert [i["name"] for i in told["signature"]["inputs"]] == list(EXAMPLE)
    assert told["metrics"]["roc_auc"] == {"value": 0.8, "low": 0.78, "high": 0.82}
    digests = bundle.load(versions["v1.0.0"]).manifest["files"]
    assert digests.items() <= told["lineage"]["digests"].items()
    assert (told["promoted"], told["commit"], told["weight"]) == (True, COMMIT, 1.0)


def test_large_batches_are_answered_and_limited(start: Any) -> None:
    server = start(max_rows=500, max_body_bytes=300_000)
    many = server.post("/predict", {"records": [EXAMPLE] * 500})
    assert many.status == 200
    assert len(many.json["predictions"]) == 500
    rows = server.post("/predict", {"records": [EXAMPLE] * 501})
    assert (rows.status, rows.json["detail"][0]["type"]) == (413, "rows")
    large = server.post("/predict", b" " * 300_001)
    assert (large.status, large.json["detail"][0]["type"]) == (413, "too_large")
    assert server.post("/predict", EXAMPLE).status == 200


def test_the_schema_is_the_signature_s_and_its_example_is_taken(service: Server) -> None:
    document = service.get("/openapi.json").json
    record = document["components"]["schemas"]["Record"]
    assert set(EXAMPLE) == set(record["required"])
    assert record["properties"]["sessions"]["type"] == "integer"
    assert service.post("/predict", record["example"]).status == 200
    features = document["components"]["schemas"]["Features"]["example"]
    assert service.post("/predict", {"features": features}).status == 200
    assert document["info"]["version"] == "v1.0.0"


def test_the_docs_need_no_network(service: Server) -> None:
    page = service.get("/docs").body.decode()
    assert "://" not in page.split("<body>")[0].replace("http://www.w3.org", "")
    assert service.get("/docs/assets/swagger-ui-bundle.js").status == 200


def test_an_unpromoted_model_says_so(start: Any, project: Path) -> None:
    server = start()
    version = server.post("/predict", EXAMPLE).json["version"]
    assert version.startswith("unpromoted-")
    assert server.get("/health").json["models"][0]["promoted"] is False
    server.stop()
    refusing = start(wait=503, unpromoted="refuse")
    reply = refusing.post("/predict", EXAMPLE)
    assert reply.status == 503
    assert "retry-after" in reply.headers
    assert "nothing is promoted" in refusing.get("/health").json["refused"][0]["reason"]
