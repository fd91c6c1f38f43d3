"""`python client.py PORT PATH BODIES SECONDS COUNT`: one connection, one request after the other, every one timed.

Ends after so many seconds or requests, whichever comes first. Prints plain percentiles in milliseconds as JSON.
BODIES is a file with one body a line. Plain means: as they were, not corrected for requests that were never sent.
"""

import gc
import json
import socket
import sys
import time
from pathlib import Path

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"


def answer(connection: socket.socket) -> bytes:
    """One whole answer."""
    received = connection.recv(1 << 16)
    while HEAD_END not in received:
        received += connection.recv(1 << 16)
    head, _, body = received.partition(HEAD_END)
    lower = head.lower()
    start = lower.index(LENGTH) + len(LENGTH)
    missing = int(lower[start : start + 12].split(b"\r")[0]) - len(body)
    while missing > 0:
        part = connection.recv(1 << 20)
        received += part
        missing -= len(part)
    return received


def main() -> None:
    """Ask, and print what it took."""
    port, path, bodies, seconds, count = sys.argv[1:]
    requests = [
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(line)}\r\n\r\n".encode()
        + line
        for line in Path(bodies).read_bytes().splitlines()
    ]
    took: list[int] = []
    gc.disable()
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        until = time.perf_counter_ns() + int(float(seconds) * 1e9)
        now = 0
        while now < until and len(took) < int(count):
            asked = time.perf_counter_ns()
            connection.sendall(requests[len(took) % len(requests)])
            received = answer(connection)
            now = time.perf_counter_ns()
            if not received.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"error: {received[:500]!r}")
            took.append(now - asked)
    took.sort()
    shares = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
    shown = {name: took[int(share * (len(took) - 1))] / 1e6 for name, share in shares.items()}
    print(json.dumps({"requests": len(took), **shown, "max": took[-1] / 1e6}))


if __name__ == "__main__":
    main()
