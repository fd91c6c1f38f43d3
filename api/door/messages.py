"""Requests, answers and refusals: what the door and the routes say to each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from api.service import Service

JSON = b"application/json"
Headers = tuple[tuple[bytes, bytes], ...]


class Request:
    """One request with its whole body, already inflated.

    headers: names in lower case; id: the client's `X-Request-ID` or one that was made; client: its address; key: the
    name of its API key; path_params: what the route's pattern matched.
    """

    __slots__ = ("body", "client", "headers", "id", "key", "method", "path", "path_params", "query")

    def __init__(self, method: str, path: str, headers: Mapping[bytes, bytes], body: bytes, request_id: str) -> None:
        self.method, self.path, self.headers, self.body, self.id = method, path, headers, body, request_id
        self.query = b""
        self.client = "unknown"
        self.key: str | None = None
        self.path_params: Mapping[str, str] = {}

    def header(self, name: bytes) -> str | None:
        """A header's value, by its name in lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


class Answer(NamedTuple):
    """What a route answers."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: Headers = ()


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a request. loc: where, from the body inwards; type: a short word for programs."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class Refused(Exception):  # noqa: N818 - what the service does, not a fault of its own
    """A request that is refused as documented: a status, a reason for the metrics, and what is wrong.

    The door answers it as `{"detail": [{"loc", "msg", "type"}], "request_id"}`; protocols have forms of their own.
    """

    def __init__(
        self, status: int, reason: str, message: str, problems: tuple[Problem, ...] = (), headers: Headers = ()
    ) -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.headers = status, reason, message, headers
        self.problems = problems or (Problem((), message, reason),)


class Invalid(Refused):
    """Values that the model does not take: 422, each problem with its place."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(422, problems[0].type, described(problems), problems)


def described(problems: tuple[Problem, ...]) -> str:
    """All problems in one line, for protocols that answer with a text."""
    return "; ".join(f"{place(p.loc)}: {p.msg}" if p.loc else p.msg for p in problems)


def place(loc: tuple[str | int, ...]) -> str:
    """A place as people write it: records[3].price."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


Handle = Callable[["Service", Request], Answer]


@dataclass(frozen=True)
class Route:
    """Where a handler answers. path may hold `{name}` for one path segment; name is the metrics' label.

    open: answered without an API key; heavy: always runs in a worker thread, because it waits or computes for long.
    """

    method: str
    path: str
    handle: Handle
    name: str
    open: bool = False
    heavy: bool = False
    pattern: re.Pattern[str] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if "{" in self.path:
            parts = re.split(r"\{(\w+)\}", self.path)
            regex = "".join(f"(?P<{p}>[^/:]+)" if i % 2 else re.escape(p) for i, p in enumerate(parts))
            object.__setattr__(self, "pattern", re.compile(regex))
