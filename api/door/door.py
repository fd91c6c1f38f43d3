"""The ASGI application: every request passes here, so what is done for each is done once, and cheaply.

Routes of the table are answered from here; the docs go on to FastAPI.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import partial
from typing import Any

import msgspec

from api.door.inflate import inflate
from api.door.keys import presented
from api.door.limits import Patience, RateLimit
from api.door.logs import FIELDS
from api.door.messages import JSON, Answer, Headers, Refused, Request, Route
from api.door.table import Routes
from api.protocols import forms
from api.service import Service

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Client = tuple[str, int]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
LARGE_BODY = 8 << 10
"""Bodies from this size on are answered in a thread, so that small ones do not wait behind them."""
SECURITY: Headers = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
OTHER = "other"
ERRAND_SECONDS = 30.0
"""A scrape may take so long: it waits for no request, but the interpreter runs one thread at a time."""

log = logging.getLogger("api.requests")


class Door:
    """`await door(scope, receive, send)`.

    Args of its making: the service; its routes; `beyond`, the application for `others` and all paths below them.
    """

    def __init__(self, service: Service, routes: Routes, others: tuple[str, ...], beyond: Application) -> None:
        settings = service.settings
        self._service, self._routes, self._beyond = service, routes, beyond
        self._others, self._below = others, tuple(f"{path}/" for path in others)
        self._seconds = settings.request_seconds
        self._limit, self._most = settings.max_body_bytes, settings.max_concurrency
        self._keys = settings.api_keys if settings.api_keys.names else None
        self._rate = RateLimit(settings.rate_per_minute) if settings.rate_per_minute else None
        self.patience = Patience(settings.body_seconds)
        self.in_flight = 0
        service.in_flight = lambda: self.in_flight
        prefix = os.urandom(10).hex()
        self._made = (f"{prefix}{n:012x}" for n in itertools.count(1))
        self._log_all, self._log_errors = settings.access_log == "all", settings.access_log != "off"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        started = time.perf_counter()
        request = self._request(scope["method"], scope["path"], scope["headers"], scope.get("client"))
        name = OTHER
        self.in_flight += 1
        try:
            found = self._routes.find(request.method, request.path)
            if found is None:
                if request.path not in self._others and not request.path.startswith(self._below):
                    raise Refused(404, "path", f"{request.path} is no path of this service; see /docs")
                await self._beyond(scope, receive, _with_headers(send, request.id))
                return
            route, request.path_params = found
            name = route.name
            if self.in_flight > self._most and not route.open:  # probes are answered all the same
                raise Refused(503, "busy", "too many requests are in flight; try again", headers=_after(1))
            request.query = scope["query_string"]
            self._admit(request, route)
            if request.method == "POST":
                request.body = await self._body(request.headers, receive)
            if route.heavy or len(request.body) > LARGE_BODY:
                threads = self._service.errands if route.open else self._service.threads
                seconds = max(self._seconds, ERRAND_SECONDS) if route.open else self._seconds
                answer = await threads.run(partial(route.handle, self._service, request), seconds)
            else:
                answer = route.handle(self._service, request)
        except Exception as error:
            answer = self._failed(error, request, name)
        finally:
            self.in_flight -= 1
        await send({"type": "http.response.start", "status": answer.status, "headers": _headers_of(answer, request.id)})
        await send({"type": "http.response.body", "body": answer.body})
        self._note(request, name, answer.status, time.perf_counter() - started)

    def route_at_once(self, method: str, path: str) -> Route | None:
        """The route, if `at_once` may answer it: no pattern in its path, nothing that waits or computes for long."""
        route = self._routes.exact.get((method, path))
        return None if route is None or route.heavy else route

    def at_once(
        self, route: Route, headers: Sequence[tuple[bytes, bytes]], body: bytes, client: Client | None
    ) -> tuple[Answer, str]:
        """Answer a small request whose body is here, as it is, without ever waiting.

        Returns the answer and the request's id.
        """
        started = time.perf_counter()
        request = self._request(route.method, route.path, headers, client)
        try:
            if self.in_flight >= self._most and not route.open:
                raise Refused(503, "busy", "too many requests are in flight; try again", headers=_after(1))
            self._admit(request, route)
            if len(body) > self._limit:
                raise self._too_large()
            request.body = body
            answer = route.handle(self._service, request)
        except Exception as error:
            answer = self._failed(error, request, route.name)
        self._note(request, route.name, answer.status, time.perf_counter() - started)
        return answer, request.id

    def _request(
        self, method: str, path: str, headers: Sequence[tuple[bytes, bytes]], client: Client | None
    ) -> Request:
        named = dict(headers)
        given = named.get(b"x-request-id")
        made = given is None or not REQUEST_ID.fullmatch(given)
        request_id = next(self._made) if made else given.decode("ascii")  # type: ignore[union-attr]
        request = Request(method, path, named, b"", request_id)
        request.client = client[0] if client else "unknown"
        return request

    def _failed(self, error: Exception, request: Request, name: str) -> Answer:
        if isinstance(error, Refused):
            return self._refusal(error, request, name)
        log.error("%s %s failed", request.method, name, exc_info=error, extra={FIELDS: {"request_id": request.id}})
        said = "the service failed; its log says why, under this request id"
        return self._refusal(Refused(500, "fault", said), request, name)

    def _admit(self, request: Request, route: Route) -> None:
        """Refuse who has no key, or asked too often."""
        if route.open or (self._keys is None and self._rate is None):
            return
        client = request.client
        if self._keys is not None:
            key = presented(request.headers)
            request.key = None if key is None else self._keys.client(key)
            if request.key is None:
                raise Refused(
                    401,
                    "key",
                    "a valid key is needed: X-API-Key, or Authorization: Bearer",
                    headers=((b"www-authenticate", b"Bearer"),),
                )
            client = request.key
        wait = self._rate.wait(client) if self._rate is not None else 0.0
        if wait:
            label = request.key or "address"
            self._service.meters.counter("churn_rate_limited_total", key=label).add(1)
            raise Refused(
                429,
                "rate",
                f"more than {self._service.settings.rate_per_minute} requests a minute",
                headers=_after(wait),
            )

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The whole body, inflated; refused as soon as it is known to be too large."""
        announced = headers.get(b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > self._limit:
            raise self._too_large()
        task = asyncio.current_task()
        assert task is not None
        self.patience.waiting[task] = time.monotonic()
        try:
            message = await receive()
            body: bytes = message.get("body", b"")
            if message.get("more_body"):
                body = await self._rest(body, receive)
            elif message["type"] == "http.disconnect":
                raise Refused(400, "disconnected", "the client left before its body was here")
        except asyncio.CancelledError:
            if not self.patience.was_late(task):
                raise
            task.uncancel()
            seconds = self._service.settings.body_seconds
            raise Refused(
                408, "slow_body", f"the body did not arrive within {seconds:g} s", headers=((b"connection", b"close"),)
            ) from None
        finally:
            del self.patience.waiting[task]
        if len(body) > self._limit:
            raise self._too_large()
        coding = headers.get(b"content-encoding")
        return body if coding is None else inflate(body, coding, self._limit)

    async def _rest(self, first: bytes, receive: Receive) -> bytes:
        parts, size = [first], len(first)
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "disconnected", "the client left before its body was here")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._limit:
                raise self._too_large()
            if not message.get("more_body"):
                return b"".join(parts)

    def _too_large(self) -> Refused:
        return Refused(
            413,
            "too_large",
            f"the body is larger than {self._limit} bytes; send fewer records at once",
            headers=((b"connection", b"close"),),
        )

    def _refusal(self, refused: Refused, request: Request, route: str) -> Answer:
        """Counted, and answered in the form that clients of its path read."""
        self._service.meters.counter("churn_refused_total", route=route, reason=refused.reason).add(1)
        spoken = forms.refusal(request.path, refused)
        if spoken is not None:
            return spoken
        where = ["header", "X-API-Key"] if refused.status == 401 else ["body"]
        problems = [{"loc": [*where, *p.loc], "msg": p.msg, "type": p.type} for p in refused.problems]
        body = msgspec.json.encode({"detail": problems, "request_id": request.id})
        return Answer(refused.status, body, JSON, refused.headers)

    def _note(self, request: Request, route: str, status: int, seconds: float) -> None:
        requests, latency = self._service.request_cells(route, status)
        requests.add(1)
        latency.observe(seconds)
        if self._log_all or (status >= 400 and self._log_errors):
            facts = {
                "request_id": request.id,
                "method": request.method,
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 3),
                "key": request.key,
            }
            log.info("request", extra={FIELDS: facts})


def _after(seconds: float) -> Headers:
    return ((b"retry-after", str(max(1, round(seconds + 0.5))).encode("ascii")),)


def _headers_of(answer: Answer, request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", answer.content_type),
        *SECURITY,
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-request-id", request_id.encode("ascii")),
        *answer.headers,
    ]


def _with_headers(send: Send, request_id: str) -> Send:
    """For answers that FastAPI makes: the request id and what browsers are told."""
    added = [(b"x-request-id", request_id.encode("ascii")), *SECURITY]

    async def wrapped(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *added]
        await send(message)

    return wrapped
