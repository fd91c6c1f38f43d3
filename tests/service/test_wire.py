"""HTTP as bytes: however a request arrives, it is answered the same, in order, once."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.conftest import EXAMPLE
from tests.service.server import Server

BODY = json.dumps(EXAMPLE).encode()


def request(
    number: int, *, path: str = "/predict", body: bytes = BODY, headers: str = "", method: str = "POST"
) -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-Request-ID: n{number}\r\n{headers}{length}\r\n".encode() + body


def answers(client: socket.socket, number: int) -> list[tuple[int, dict[str, str], bytes]]:
    """So many answers from a connection."""
    found, data = [], b""
    while len(found) < number:
        while b"\r\n\r\n" not in data:
            data += _more(client)
        head, _, data = data.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        if status.split()[1] == "100":
            continue
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
        length = int(headers["content-length"])
        while len(data) < length:
            data += _more(client)
        found.append((int(status.split()[1]), headers, data[:length]))
        data = data[length:]
    assert data == b""
    return found


def _more(client: socket.socket) -> bytes:
    part = client.recv(65536)
    assert part, "the connection was closed too soon"
    return part


@pytest.fixture
def client(service: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["predict", "health", "missing", "large", "explain"]), min_size=1, max_size=6),
    st.lists(st.integers(1, 400), max_size=8),
)
def test_requests_cut_anywhere_are_answered_in_order(service: Server, kinds: list[str], cuts: list[int]) -> None:
    large = json.dumps({"records": [EXAMPLE] * 80}).encode()
    made = {
        "predict": lambda n: request(n),
        "health": lambda n: request(n, path="/health", method="GET", body=b""),
        "missing": lambda n: request(n, body=b"{}"),
        "large": lambda n: request(n, body=large),
        "explain": lambda n: request(n, path="/explain"),
    }
    stream = b"".join(made[kind](n) for n, kind in enumerate(kinds))
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in cuts:
            client.sendall(stream[:cut])
            stream = stream[cut:]
            time.sleep(0.001)
        client.sendall(stream)
        found = answers(client, len(kinds))
    assert [headers["x-request-id"] for _, headers, _ in found] == [f"n{n}" for n in range(len(kinds))]
    assert [status for status, _, _ in found] == [422 if kind == "missing" else 200 for kind in kinds]


def test_both_ways_answer_alike(client: socket.socket) -> None:
    """Whole in one read, and in two: the short way and uvicorn's."""
    client.sendall(request(1))
    (short,) = answers(client, 1)
    whole = request(1)
    client.sendall(whole[:200])
    time.sleep(0.05)
    client.sendall(whole[200:])
    (long,) = answers(client, 1)
    assert short[0] == long[0] == 200
    assert short[2] == long[2]
    assert short[1].keys() == long[1].keys()


def test_a_chunked_body_is_one_body(client: socket.socket) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:50], BODY[50:]))
    client.sendall(head + chunks + b"0\r\n\r\n")
    assert answers(client, 1)[0][0] == 200


def test_expect_is_answered_before_the_body_comes(client: socket.socket) -> None:
    whole = request(1, headers="Expect: 100-continue\r\n")
    client.sendall(whole[: -len(BODY)])
    assert client.recv(100).startswith(b"HTTP/1.1 100")
    client.sendall(BODY)
    assert answers(client, 1)[0][0] == 200


@pytest.mark.parametrize("ending", ["HTTP/1.1\r\nConnection: close", "HTTP/1.0"])
def test_a_connection_ends_when_the_client_says_so(client: socket.socket, ending: str) -> None:
    client.sendall(f"POST /predict {ending}\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
    status, headers, _ = answers(client, 1)[0]
    assert (status, headers["connection"]) == (200, "close")
    assert client.recv(1) == b""


def test_nonsense_is_400_and_the_end(client: socket.socket) -> None:
    client.sendall(b"NONSENSE\r\n\r\n")
    assert client.recv(100).startswith(b"HTTP/1.1 400")


def test_who_does_not_read_holds_up_only_himself(service: Server) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as deaf:
        deaf.setblocking(False)
        sent = 0
        try:
            for number in range(20_000):
                sent += deaf.send(request(number))
        except BlockingIOError:
            pass
        assert sent > 0
        assert service.post("/predict", EXAMPLE).status == 200
        assert service.get("/health").status == 200
