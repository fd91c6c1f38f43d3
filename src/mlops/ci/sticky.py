"""The one comment of a pull request: found by a mark that no reader sees and by its author, made or else updated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from mlops.ci.rest import TooLongError

MARK = "<!-- mlops-report:v1 -->"


class Comment(NamedTuple):
    """A comment and who wrote it, by whatever name or number the forge tells people apart."""

    number: int
    author: str
    body: str


class Board(Protocol):
    """The comments of one pull request."""

    @property
    def limit(self) -> int:
        """Characters of a comment."""

    @property
    def author(self) -> str:
        """Whom we write as."""

    def comments(self) -> Iterator[Comment]:
        """All of them, the oldest first."""

    def create(self, body: str) -> None:
        """Add one."""

    def update(self, number: int, body: str) -> None:
        """Replace one."""


def put(board: Board, compose: Callable[[int], str]) -> str:
    """Write the comment; returns what was done.

    Anybody may write the mark into a comment, and a bot many comments: only both together make it ours.

    Args:
        board: where to.
        compose: makes the text, given how many characters it may have.

    Raises:
        TooLongError: the forge takes not even half of what it promises.
    """
    ours = next((c for c in board.comments() if c.author == board.author and c.body.startswith(MARK)), None)
    try:
        return _write(board, ours, compose(board.limit - len(MARK) - 1))
    except TooLongError:
        return _write(board, ours, compose(board.limit // 2))


def _write(board: Board, ours: Comment | None, text: str) -> str:
    body = f"{MARK}\n{text}"
    if ours is None:
        board.create(body)
        return "created"
    if ours.body == body:
        return "unchanged"
    board.update(ours.number, body)
    return "updated"
