"""`app`, the ASGI application: `uvicorn api.main:app`. Importing it loads no model; starting it does."""

from __future__ import annotations

import asyncio
import logging

from api import settings as environment
from api.door import logs
from api.door.door import Application, Door, Receive, Scope, Send
from api.door.messages import Route
from api.door.table import Routes
from api.protocols import ROUTES as PROTOCOLS
from api.routes import about, explain, feedback, predict
from api.service import Service
from api.settings import Settings
from mlops.errors import MlopsError, one_line

ROUTES: tuple[Route, ...] = (*predict.ROUTES, *explain.ROUTES, *feedback.ROUTES, *about.ROUTES, *PROTOCOLS)
DOCS = ("/docs", "/openapi.json")
"""What FastAPI answers, and all below it."""

log = logging.getLogger("api.main")


class Api:
    """The service behind its door. The door answers the routes of the table; FastAPI stands behind it for the docs.

    A hot route costs a third of what it would as a typed FastAPI route (docs/benchmarks.md); its schema stands in the
    docs all the same, made from the model's signature.
    """

    def __init__(self, given: Settings | None = None) -> None:
        self._given = given
        self.service: Service | None = None
        self.door: Door | None = None
        self._entrance: Application | None = None
        self._docs: Application | None = None
        self._watch: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. A server that says when it starts is believed; else the first request starts the service."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if self._entrance is None:
            await self.open()
        assert self._entrance is not None
        await self._entrance(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """ASGI's lifespan. What a user can put right ends the start in one line, without a traceback."""
        await receive()
        logs.configure()  # here: each worker is a process of its own
        try:
            await self.open()
        except MlopsError as error:
            await send({"type": "lifespan.startup.failed", "message": f"error: {one_line(error)}"})
            return
        except Exception as error:
            log.exception("the service could not start")
            await send({"type": "lifespan.startup.failed", "message": f"error: {error!r}"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def open(self) -> None:
        """Read the settings, start the service, put the door before everything."""
        settings = self._given or environment.load()
        self.service = Service(settings)
        await self.service.start()
        door = Door(self.service, Routes(ROUTES), DOCS, self._beyond)
        self._entrance = self.door = door
        if settings.cors_origins:
            self.door = None  # nothing may pass by the middleware
            from starlette.middleware.cors import CORSMiddleware

            self._entrance = CORSMiddleware(
                door,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=["X-Request-ID", "Retry-After"],
            )
        self._watch = asyncio.create_task(door.patience.watch())

    async def close(self) -> None:
        """End the service; what is not yet written is written."""
        assert self.service is not None
        assert self._watch is not None
        self._watch.cancel()
        await self.service.stop()
        self._entrance = self._docs = self.door = None

    async def _beyond(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._docs is None:
            assert self.service is not None
            from api import docs  # see there why it is imported so late

            self._docs = docs.application(self.service)
        await self._docs(scope, receive, send)


app = Api()
