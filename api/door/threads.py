"""Threads for large requests, which would hold up small ones: bounded in what waits and in how long an end takes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

from api.door.messages import Refused

MOST_WAITING = 32
T = TypeVar("T")
Job = Callable[[], None]


class Threads:
    """A few daemon threads: unlike an executor's, they do not keep a process that was told to end."""

    def __init__(self, number: int, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name=f"{name}-{i}", daemon=True) for i in range(number)]
        for thread in self._threads:
            thread.start()

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """The result of `work`, done in a thread.

        Raises:
            Refused: 503 too much waits already, 504 it took too long. What has begun goes on; its result is dropped.
        """
        if self._jobs.qsize() >= MOST_WAITING:
            raise Refused(503, "busy", "too many large requests wait; try again", headers=((b"retry-after", b"5"),))
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def tell(value: T | None, error: BaseException | None) -> None:
            if result.done():
                return
            if error is None:
                result.set_result(value)  # type: ignore[arg-type]
            else:
                result.set_exception(error)

        def job() -> None:
            if result.done():  # whoever asked has gone
                return
            value, failed = None, None
            try:
                value = work()
            except BaseException as error:
                failed = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell, value, failed)

        self._jobs.put(job)
        try:
            return await asyncio.wait_for(result, seconds)
        except TimeoutError:
            raise Refused(504, "slow", f"no answer within {seconds:g} s; send fewer records at once") from None

    def close(self, seconds: float) -> None:
        """Drop what waits, and give what has begun so long to end."""
        try:
            while True:
                self._jobs.get_nowait()
        except Empty:
            pass
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
