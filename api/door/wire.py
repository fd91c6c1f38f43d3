"""HTTP/1.1 by uvicorn's protocol, with a short way for small requests that arrive whole.

ASGI costs a task, an event, a scope and two system calls for each answer: more than the prediction itself. A request
that is complete in one read, small, and for a route that never waits is answered from the parser's callback, in one
write. Everything else (bodies in pieces, pipelines that wait, upgrades, `Expect`, CORS, the docs) goes uvicorn's own
way, through the same door.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.door.door import LARGE_BODY, SECURITY, Door
from api.door.messages import Answer, Route

METHODS = {b"GET": "GET", b"POST": "POST"}
STATUS = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode("ascii") for s in HTTPStatus}


class Wire(HttpToolsProtocol):
    """One connection. `_route` is set while a request is held back until it is known whether it is complete."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._route: Route | None = None
        self._door: Door | None = None
        self._body = b""
        self._heads = _Heads()

    def on_message_begin(self) -> None:
        """Only what uvicorn's own callbacks fill; the scope is made when the request goes uvicorn's way."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Hold the request back if it could be answered at once, else hand it on."""
        self._body = b""
        self._route = self._short_way()
        if self._route is None:
            self._hand_on()

    def _short_way(self) -> Route | None:
        door: Door | None = getattr(self.app, "door", None)
        method = METHODS.get(self.parser.get_method())
        if (
            door is None
            or method is None
            or self.expect_100_continue
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.pipeline
            or self.flow.write_paused
            or self.parser.get_http_version() != "1.1"
            or self.parser.should_upgrade()
            or any(name == b"content-encoding" for name, _ in self.headers)  # it may inflate to a thousand times
        ):
            return None
        self._door = door
        return door.route_at_once(method, self.url.decode("latin-1"))

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._route is None:
            super().on_body(body)
            return
        self._body = body if not self._body else self._body + body
        if len(self._body) > LARGE_BODY:
            self._hand_on()

    def on_message_complete(self) -> None:
        """The request is whole: answer it."""
        if self._route is None:
            super().on_message_complete()
            return
        route, self._route = self._route, None
        assert self._door is not None
        answer, request_id = self._door.at_once(route, self.headers, self._body, self.client)
        self._write(answer, request_id)

    def data_received(self, data: bytes) -> None:
        """What is not whole after a read waits as uvicorn's requests wait: with a limit of its own."""
        super().data_received(data)
        if self._route is None:
            return
        if self.transport.is_closing():  # what followed the headers was no HTTP, and was told so
            self._route = None
        else:
            self._hand_on()

    def _hand_on(self) -> None:
        """Go on as uvicorn would have from the beginning."""
        body, headers, url, expects = self._body, self.headers, self.url, self.expect_100_continue
        self._route, self._body = None, b""
        super().on_message_begin()
        self.headers[:] = headers
        self.url, self.expect_100_continue = url, expects
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def _write(self, answer: Answer, request_id: str) -> None:
        stays = self.parser.should_keep_alive()
        head = self._heads.of(self.server_state.default_headers, answer.status, answer.content_type)
        more, closing = b"", False
        for name, value in answer.headers:
            more += b"%b: %b\r\n" % (name, value)
            closing = closing or name == b"connection"
        if not stays and not closing:
            more += b"connection: close\r\n"
        size = b"%d" % len(answer.body)
        self.transport.write(
            b"%bcontent-length: %b\r\nx-request-id: %b\r\n%b\r\n%b"
            % (head, size, request_id.encode("ascii"), more, answer.body)
        )
        if stays and not closing:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.transport.close()


class _Heads:
    """What a connection's answers of a status and type begin with, put together once a second: the date is in it."""

    def __init__(self) -> None:
        self._made_for: object = None
        self._made: dict[tuple[int, bytes], bytes] = {}

    def of(self, default: list[tuple[bytes, bytes]], status: int, content_type: bytes) -> bytes:
        """Status line and headers up to where answers differ."""
        if default is not self._made_for:
            self._made_for, self._made = default, {}
        head = self._made.get((status, content_type))
        if head is None:
            lines = [b"%b: %b\r\n" % pair for pair in (*default, (b"content-type", content_type), *SECURITY)]
            head = self._made[status, content_type] = STATUS[status] + b"".join(lines)
        return head
