"""Keys, rates, limits, slow clients, headers, logs; and that nothing but the folder decides what is served."""

import gzip
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service.conftest import EXAMPLE
from tests.service.server import Server

pytestmark = pytest.mark.slow
KEY = "correct-horse-battery"
KEYS = f"crm:{hashlib.sha256(KEY.encode()).hexdigest()}"
Start = Callable[..., Server]


def test_with_keys_only_probes_and_metrics_are_open(start: Start) -> None:
    server = start(api_keys=KEYS, access_log="all")
    for path in ("/health", "/ready", "/metrics", "/ping", "/v2/health/live", "/v2/health/ready"):
        assert server.get(path).status == 200, path
    refused = server.post("/predict", EXAMPLE)
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    for path in ("/explain", "/feedback", "/invocations", "/v2/models/churn/infer", "/v1/models/churn:predict"):
        assert server.post(path, EXAMPLE).status == 401, path
    assert server.get("/model").status == 401
    assert server.post("/predict", EXAMPLE, {"X-API-Key": "wrong"}).status == 401
    assert server.post("/predict", EXAMPLE, {"X-API-Key": KEY}).status == 200
    assert server.post("/predict", EXAMPLE, {"Authorization": f"Bearer {KEY}"}).status == 200
    assert KEY not in server.log
    assert '"key":"crm"' in server.log


def test_a_rate_has_its_limit_per_key(start: Start) -> None:
    server = start(api_keys=KEYS, rate_per_minute=30)
    statuses = [server.post("/predict", EXAMPLE, {"X-API-Key": KEY}).status for _ in range(40)]
    assert statuses[:30] == [200] * 30
    limited = server.post("/predict", EXAMPLE, {"X-API-Key": KEY})
    assert limited.status == 429
    assert 1 <= int(limited.headers["retry-after"]) <= 3
    assert server.get("/health").status == 200
    assert server.metric("churn_rate_limited_total", key="crm") >= 5


def test_too_many_at_once_are_told_to_come_again(start: Start) -> None:
    server = start(max_concurrency=2, body_seconds=5)
    waiting = [half_a_request(server) for _ in range(2)]
    time.sleep(0.3)
    refused = server.post("/predict", EXAMPLE)
    assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    for client in waiting:
        client.close()
    server.until(lambda: server.post("/predict", EXAMPLE).status == 200, "room")


def half_a_request(server: Server) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    client.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    return client


def test_a_body_that_does_not_come_is_given_up(start: Start) -> None:
    server = start(body_seconds=0.5)
    client = half_a_request(server)
    answer = client.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 408")
    assert "slow_body" in answer or "slow_body" in client.recv(4096).decode()
    client.close()
    assert server.post("/predict", EXAMPLE).status == 200


def test_clients_that_leave_harm_nobody(start: Start) -> None:
    server = start()
    for _ in range(20):
        half_a_request(server).close()
    assert server.post("/predict", EXAMPLE).status == 200
    assert '"level":"error"' not in server.log


@pytest.mark.parametrize("coding", [None, "gzip"])
def test_a_large_request_does_not_hold_up_small_ones(start: Start, coding: str | None) -> None:
    server = start()
    many = json.dumps({"records": [EXAMPLE] * 20_000}).encode()
    if coding:
        many = gzip.compress(many)
        assert len(many) < 16_000  # small on the way, and not small at all
    headers = {"Content-Encoding": coding} if coding else {}
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(server.post("/predict", many, headers).status))
    thread.start()
    small = 0
    while thread.is_alive():
        assert server.post("/predict", EXAMPLE).status == 200
        small += 1
    thread.join()
    assert done == [200]
    assert small > 3


def test_cors_is_off_until_asked_for(start: Start) -> None:
    origin = {"Origin": "https://crm.example.com"}
    closed = start()
    assert "access-control-allow-origin" not in closed.post("/predict", EXAMPLE, origin).headers
    closed.stop()
    opened = start(cors_origins="https://crm.example.com")
    reply = opened.post("/predict", EXAMPLE, origin)
    assert reply.headers["access-control-allow-origin"] == "https://crm.example.com"
    preflight = {**origin, "Access-Control-Request-Method": "POST"}
    assert opened.request("OPTIONS", "/predict", None, preflight).status == 200
    stranger = opened.post("/predict", EXAMPLE, {"Origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in stranger.headers


def test_the_log_is_json_with_request_ids_and_no_inputs(start: Start) -> None:
    server = start(access_log="all")
    server.post("/predict", {**EXAMPLE, "comment": "my secret comment"}, {"X-Request-ID": "abc-1"})
    server.post("/predict", {**EXAMPLE, "minutes": "secret"}, {"X-Request-ID": "abc-2"})
    server.stop()
    lines = [json.loads(line) for line in server.log.splitlines()]
    requests = {line["request_id"]: line for line in lines if line["message"] == "request"}
    assert (requests["abc-1"]["status"], requests["abc-2"]["status"]) == (200, 422)
    assert "secret" not in server.log


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"prot": 1}, "did you mean MLOPS_PORT"),
        ({"workers": 0}, "MLOPS_WORKERS is '0'"),
        ({"log": "mysql://x"}, "mysql"),
    ],
)
def test_a_wrong_setting_ends_in_one_line(start: Start, settings: dict[str, object], said: str) -> None:
    server = start(wait=None, **settings)
    assert server.process.wait(60) != 0
    assert said in server.log
    assert "Traceback" not in server.log


def test_nothing_over_http_changes_what_is_served(start: Start, project: Path) -> None:
    server = start()
    before = server.get("/model").json["version"]
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        for path in ("/model", "/models", "/v2/repository/models/churn/load", "/v2/models/churn", "/reload"):
            assert server.request(method, path, b"{}").status in (404, 405), (method, path)
    assert server.get("/model").json["version"] == before


def test_probes_are_answered_when_nothing_else_is(start: Start) -> None:
    server = start(max_concurrency=2, body_seconds=5)
    waiting = [half_a_request(server) for _ in range(3)]
    time.sleep(0.3)
    for path in ("/health", "/ready", "/metrics"):
        assert server.get(path).status == 200, path
    for client in waiting:
        client.close()


def test_every_worker_logs_as_json(start: Start) -> None:
    server = start(workers=2, access_log="all")
    for _ in range(5):
        server.post("/predict", EXAMPLE)
    server.stop()
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert sum(line["message"] == "request" and line["route"] == "predict" for line in lines) == 5
    assert sum("prod serves" in line["message"] for line in lines) == 2


def test_abandoned_large_requests_end_with_the_service(start: Start) -> None:
    server = start(request_seconds=0.2, drain_seconds=1)
    body = json.dumps({"records": [EXAMPLE] * 60_000}).encode()
    statuses = [server.post("/predict", body).status for _ in range(3)]
    assert set(statuses) <= {200, 504}
    assert server.get("/metrics").status == 200
    assert server.stop() == 0


def test_a_wrong_batch_is_told_in_part_and_soon(start: Start) -> None:
    server = start()
    body = {"features": [[0] * 7] * 100_000}
    reply = server.post("/predict", body)
    assert reply.status == 422
    assert len(reply.json["detail"]) == 21
    assert reply.json["detail"][-1]["msg"] == "and more"


def test_keys_that_are_none_do_not_open_the_door(start: Start) -> None:
    server = start(wait=None, api_keys=",")
    assert server.process.wait(60) != 0
    assert "holds no key" in server.log


def test_an_address_in_a_header_is_not_believed(start: Start) -> None:
    server = start(rate_per_minute=3)
    statuses = [server.post("/predict", EXAMPLE, {"X-Forwarded-For": f"10.0.0.{i}"}).status for i in range(6)]
    assert statuses == [200] * 3 + [429] * 3


def test_a_taken_port_is_one_line(start: Start) -> None:
    first = start()
    second = start(wait=None, port=first.port)
    assert second.process.wait(60) == 1
    assert f"cannot listen on 127.0.0.1:{first.port}" in second.log
    assert len(second.log.splitlines()) == 1
