"""How much one client may ask for in a minute, and who waited too long with a body."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

MOST_CLIENTS = 10_000


class RateLimit:
    """A bucket of tokens per client: a minute's worth at once, refilled evenly. One worker's own.

    Of more than ten thousand clients, those seen longest ago are forgotten: a full bucket is what they would get.
    """

    def __init__(self, per_minute: int) -> None:
        self._size = float(per_minute)
        self._rate = per_minute / 60
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Take a token; 0 when there was one, else the seconds until there is."""
        now = time.monotonic()
        tokens, since = self._buckets.pop(client, (self._size, now))
        tokens = min(self._size, tokens + (now - since) * self._rate)
        self._buckets[client] = (tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if tokens >= 1 else (1 - tokens) / self._rate


class Patience:
    """Cancels tasks that wait for a body longer than they may. Looks once a second: a timer for each request would
    cost more than the request.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.waiting: dict[asyncio.Task[None], float] = {}
        self._late: set[asyncio.Task[None]] = set()

    async def watch(self) -> None:
        """Look forever."""
        while True:
            await asyncio.sleep(min(1.0, self._seconds / 2))
            now = time.monotonic()
            for task, since in list(self.waiting.items()):
                if now - since > self._seconds:
                    self._late.add(task)
                    task.cancel()

    def was_late(self, task: asyncio.Task[None]) -> bool:
        """Whether it was cancelled here; asked once."""
        late = task in self._late
        self._late.discard(task)
        return late
