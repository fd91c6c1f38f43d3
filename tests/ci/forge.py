"""GitHub's and GitLab's API on 127.0.0.1, as far as a comment needs it. It records what it was asked."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BOT = "github-actions[bot]"
REPOSITORY, FORK = 1, 2
Answer = tuple[int, dict[str, str], Any]


@dataclass
class Asked:
    """A request."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass
class Forge:
    """The server's state.

    Args:
        pulls: of the repository acme/churn, as GitHub shows them.
        comments: number of the pull request → its comments.
        next_answers: given instead of the next answers; True after them: only once the request had its effect.
        most: characters of a comment.
    """

    pulls: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    next_answers: list[tuple[Answer, bool]] = field(default_factory=list)
    most: int = 65_536
    page: int = 100
    url: str = ""

    def refuse(self, status: int, message: Any = "", *, done: bool = False, times: int = 1, **headers: str) -> None:
        """Answer so next. done: the request has its effect nevertheless."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.next_answers += [((status, named, message), done)] * times

    def open(self, number: int, sha: str, branch: str = "deeper", source: int = REPOSITORY, base: str = "main") -> None:
        """Open a pull request."""
        head = {
            "sha": sha,
            "ref": branch,
            "repo": {"id": source},
            "label": f"{'acme' if source == 1 else 'eve'}:{branch}",
        }
        self.pulls.append({"number": number, "state": "open", "head": head, "base": {"ref": base}})
        self.comments[number] = []

    def say(self, number: int, body: str, author: str = BOT) -> None:
        """Write a comment."""
        made = sum(map(len, self.comments.values())) + 1
        self.comments[number].append({"id": made, "body": body, "user": {"login": author}, "author": {"id": author}})

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Method and path of all requests that would change something."""
        return [(a.method, a.path) for a in self.asked if a.method != "GET"]

    def answer(self, asked: Asked) -> Answer:
        """What to say to a request."""
        self.asked.append(asked)
        if self.next_answers:
            given, done = self.next_answers.pop(0)
            if done:
                self._route(asked)
            return given
        return self._route(asked)

    def _route(self, asked: Asked) -> Answer:
        routes = (
            ("GET", r"/repos/acme/churn/pulls/(\d+)", self._pull),
            ("GET", r"/repos/acme/churn/pulls", self._pulls),
            ("GET", r"/repos/acme/churn/issues/(\d+)/comments", self._comments),
            ("POST", r"/repos/acme/churn/issues/(\d+)/comments", self._create),
            ("PATCH", r"/repos/acme/churn/issues/comments/(\d+)", self._update),
            ("GET", r"/user", lambda _: (200, {}, {"id": 7})),
            ("GET", r"/projects/5/merge_requests/(\d+)/notes", self._comments),
            ("POST", r"/projects/5/merge_requests/(\d+)/notes", self._create),
            ("PUT", r"/projects/5/merge_requests/\d+/notes/(\d+)", self._update),
        )
        for method, pattern, work in routes:
            found = re.fullmatch(pattern, asked.path)
            if found and method == asked.method:
                return work(asked, *map(int, found.groups())) if found.groups() else work(asked)
        return 404, {}, {"message": "Not Found"}

    def _pull(self, _: Asked, number: int) -> Answer:
        found = [pull for pull in self.pulls if pull["number"] == number]
        return (200, {}, found[0]) if found else (404, {}, {"message": "Not Found"})

    def _pulls(self, asked: Asked) -> Answer:
        (head,) = asked.query["head"]
        found = [p for p in self.pulls if p["state"] == asked.query["state"][0]]
        if not head.startswith(":"):  # what it does not understand it passes over
            found = [p for p in found if p["head"]["label"] == head]
        return 200, {}, found

    def _comments(self, asked: Asked, number: int) -> Answer:
        page, every = int(asked.query.get("page", ["1"])[0]), self.comments[number]
        more = {"Link": f'<{self.url}{asked.path}?page={page + 1}>; rel="next", <{self.url}/last>; rel="last"'}
        shown = every[(page - 1) * self.page : page * self.page]
        return 200, more if page * self.page < len(every) else {}, shown

    def _create(self, asked: Asked, number: int) -> Answer:
        if refused := self._too_long(asked):
            return refused
        self.say(number, asked.body["body"], BOT if "/repos/" in asked.path else "7")
        return 201, {}, {}

    def _update(self, asked: Asked, comment: int) -> Answer:
        if refused := self._too_long(asked):
            return refused
        (found,) = [one for every in self.comments.values() for one in every if one["id"] == comment]
        found["body"] = asked.body["body"]
        return 200, {}, found

    def _too_long(self, asked: Asked) -> Answer | None:
        if len(asked.body["body"]) <= self.most:
            return None
        said = {"message": "Validation Failed", "errors": [{"message": f"Body is too long (maximum is {self.most})"}]}
        return 422, {}, said


@contextmanager
def serving(forge: Forge) -> Iterator[Forge]:
    """Serve until the end."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            parts, length = urlsplit(self.path), int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, headers, said = forge.answer(
                Asked(self.command, parts.path, parse_qs(parts.query), dict(self.headers), body)
            )
            content = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = handle_any

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        forge.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield forge
        finally:
            server.shutdown()
            thread.join()
