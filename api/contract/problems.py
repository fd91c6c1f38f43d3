"""What is wrong with a request's rows, and how much of it is told."""

from __future__ import annotations

from collections.abc import Sequence

from api.contract.fields import shown
from api.door.messages import Invalid, Problem

MOST_PROBLEMS = 20
"""So many are told of one request."""

At = tuple[str | int, ...]


def refuse(problems: Sequence[Problem]) -> None:
    """Refuse the request if there are problems.

    Raises:
        Invalid: tells the first of them.
    """
    if problems:
        more = (Problem((), "and more", "more"),) if len(problems) > MOST_PROBLEMS else ()
        raise Invalid((*problems[:MOST_PROBLEMS], *more))


def some(rows: Sequence[object], at: At) -> None:
    """Refuse a request without rows.

    Raises:
        Invalid: there are none.
    """
    if not len(rows):
        raise Invalid((Problem(at, "is empty; at least one row is needed", "empty"),))


def not_of_width(rows: Sequence[object], width: int, at: At) -> list[Problem]:
    """Which rows are no lists of so many values: the first of them, more than anybody is told."""
    problems = []
    for i, row in enumerate(rows):
        if not isinstance(row, (list, tuple)):
            problems.append(Problem((*at, i), f"is {shown(row)}; a list of {width} values is needed", "type"))
        elif len(row) != width:
            problems.append(Problem((*at, i), f"has {len(row)} values; {width} are needed", "shape"))
        if len(problems) > MOST_PROBLEMS:
            break
    return problems
