"""A forge's REST API: GitHub's or GitLab's. JSON both ways, pages by Link headers, refusals as one line.

Redirections are not followed: they would carry the token to wherever they lead.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from http.client import HTTPException
from typing import Any, NoReturn, TypeVar

from mlops.errors import MlopsError, one_line

TIMEOUT = 30
"""Seconds until an answer."""
ATTEMPTS = 5
LONGEST = 300
"""Seconds that a limit of requests may tell us to wait; a job does not wait longer."""
PAGES = 100

Result = TypeVar("Result")


class ForgeError(MlopsError):
    """What a forge refused, or did not answer."""


class TooLongError(ForgeError):
    """A comment is longer than the forge allows."""


class TransientError(Exception):
    """What may go well in a while. wait: seconds that the forge asks for, None where it does not say."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait


class Api:
    """A forge.

    Args:
        url: of the API, without / at its end.
        headers: sent with each request, the token among them.
        hints: status → what to do about it.
    """

    def __init__(self, url: str, headers: Mapping[str, str], hints: Mapping[int, str]) -> None:
        if not re.fullmatch(r"https?://[^\s?#]+", url):
            raise ForgeError(f"{url!r} is no address of an API; it is in $GITHUB_API_URL or $CI_API_V4_URL")
        self._url, self._headers, self._hints = url.rstrip("/"), dict(headers), hints
        self._opener = urllib.request.build_opener(_NoRedirect)

    def get(self, path: str) -> Any:
        """The document at a path."""
        return self._ask("GET", f"{self._url}{path}")[0]

    def pages(self, path: str) -> Iterator[Any]:
        """The entries of a list, page after page."""
        address: str | None = f"{self._url}{path}"
        for _ in range(PAGES):
            if address is None:
                return
            entries, headers = self._ask("GET", address)
            yield from entries
            address = _next(headers)
            if address and not address.startswith(f"{self._origin}/"):
                raise ForgeError(f"the next page of {path} is on another server than {self._origin}; it is not read")

    def send(self, method: str, path: str, document: Mapping[str, Any]) -> Any:
        """Send a document."""
        return self._ask(method, f"{self._url}{path}", json.dumps(document).encode())[0]

    @property
    def _origin(self) -> str:
        return "/".join(self._url.split("/")[:3])

    def _ask(self, method: str, address: str, content: bytes | None = None) -> tuple[Any, Message]:
        kind = {"Content-Type": "application/json"} if content is not None else {}
        request = urllib.request.Request(  # noqa: S310 — http and https alone, by the constructor
            address, content, {**self._headers, **kind}, method=method
        )
        what = f"{method} {address.removeprefix(self._url).partition('?')[0]}"
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return json.loads(answer.read()), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                self._refuse(what, error)
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise TransientError(f"{what} at {self._origin}: {one_line(reason)}") from None

    def _refuse(self, what: str, error: urllib.error.HTTPError) -> NoReturn:
        said = _message(error)
        text = f"{self._origin} answered {error.code} to {what}: {said}"
        limited = error.code == 429 or (error.code == 403 and _is_limit(error.headers, said))
        if limited or error.code >= 500 or error.code == 408:
            raise TransientError(text, _wait(error.headers))
        if error.code in (400, 422) and "too long" in said:
            raise TooLongError(text)
        hint = self._hints.get(error.code)
        raise ForgeError(f"{text}; {hint}" if hint else text)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow none."""


def patiently(work: Callable[[], Result], sleep: Callable[[float], object] = time.sleep) -> Result:
    """Do something again until it goes well: all of it, since a request that failed may have had its effect.

    Raises:
        ForgeError: it did not go well `ATTEMPTS` times, or the forge asks to wait longer than a job should.
    """
    for attempt in range(ATTEMPTS):
        try:
            return work()
        except TransientError as error:
            wait = 2.0**attempt if error.wait is None else error.wait
            if wait > LONGEST:
                raise ForgeError(f"{error}; it asks to wait {wait:.0f} s: run the job again then") from None
            if attempt == ATTEMPTS - 1:
                raise ForgeError(f"{error}; tried {ATTEMPTS} times: run the job again later") from None
        sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _message(error: urllib.error.HTTPError) -> str:
    """What an error's body says, as one line of bounded length."""
    content = error.read(100_000).decode("utf-8", "replace")
    try:
        document = json.loads(content)
        parts = [document.get("message") or document.get("error")]
        parts += [e.get("message") if isinstance(e, dict) else e for e in document.get("errors") or ()]
        content = "; ".join(str(part) for part in parts if part)
    except (ValueError, AttributeError, TypeError):
        content = re.sub(r"<[^>]*>", " ", content)  # a proxy's page
    return one_line(content)[:300] or str(error.reason)


def _is_limit(headers: Message, said: str) -> bool:
    """GitHub says 403 also of too many requests, and of too many at once."""
    return "Retry-After" in headers or headers.get("X-RateLimit-Remaining") == "0" or "rate limit" in said.lower()


def _wait(headers: Message) -> float | None:
    after, reset = headers.get("Retry-After", ""), headers.get("X-RateLimit-Reset", "")
    if after.isdigit():
        return float(after)
    if headers.get("X-RateLimit-Remaining") == "0" and reset.isdigit():
        return max(1.0, float(reset) - time.time())
    return None


def _next(headers: Message) -> str | None:
    found = re.search(r'<([^<>]+)>\s*;[^,]*\brel="?next"?', headers.get("Link", ""))
    return found[1] if found else None
