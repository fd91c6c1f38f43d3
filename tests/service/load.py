"""Load on the service from a process of its own: keep-alive connections, at full speed or at a rate.

    python -m tests.service.load PORT SECONDS CONNECTIONS RATE BODY

RATE 0 is as fast as answers come. BODY is a file; it is sent to /predict. Prints one JSON object: what was sent, what
was answered by version, and what was not, with the reason.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any


class Load:
    """Counts of one run."""

    def __init__(self, port: int, seconds: float, rate: float, body: bytes) -> None:
        self.port, self.until, self.rate = port, time.monotonic() + seconds, rate
        self.sent, self.lost, self.mixed = 0, Counter[str](), 0
        self.answers: Counter[tuple[int, str]] = Counter()
        self.pause = 0.0
        self.ids: list[str] = []
        self.request = (
            f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    async def connection(self, number: int, of: int) -> None:
        """One client: it opens its connection again when the service closed it between two answers."""
        reader: asyncio.StreamReader | None = None
        due = time.monotonic() + (number / self.rate if self.rate else 0)
        writer: asyncio.StreamWriter | None = None
        while time.monotonic() < self.until:
            if self.rate:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                due += of / self.rate
            try:
                if reader is None or writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                self.sent += 1
                started = time.monotonic()
                writer.write(self.request)
                self.note(*await _answer(reader))
                self.pause = max(self.pause, time.monotonic() - started)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.lost[type(error).__name__] += 1
                reader = None
                await asyncio.sleep(0.01)
        if writer is not None:
            writer.close()

    def note(self, status: int, body: bytes) -> None:
        """Count an answer by its status and version."""
        answer: dict[str, Any] = json.loads(body)
        listed = answer.get("predictions", [answer])
        versions = {one.get("version", "") for one in listed}
        self.mixed += len(versions) > 1
        self.answers[status, versions.pop()] += 1
        self.ids.append(answer.get("request_id", ""))


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length"))
    return int(lines[0].split()[1]), await reader.readexactly(length)


async def run(port: int, seconds: float, connections: int, rate: float, body: bytes) -> dict[str, Any]:
    """Load for so long; the counts."""
    load = Load(port, seconds, rate, body)
    await asyncio.gather(*(load.connection(n, connections) for n in range(connections)))
    return {
        "sent": load.sent,
        "answered": sum(load.answers.values()),
        "lost": dict(load.lost),
        "mixed": load.mixed,
        "by": {f"{status} {version}": n for (status, version), n in load.answers.items()},
        "longest": load.pause,
        "ids": load.ids,
    }


if __name__ == "__main__":
    port, seconds, connections, rate, body = sys.argv[1:]
    counts = asyncio.run(run(int(port), float(seconds), int(connections), float(rate), Path(body).read_bytes()))
    print(json.dumps(counts))
