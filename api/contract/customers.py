"""Ids of customers: texts or whole numbers, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeGuard

from api.contract.fields import Wrong, shown
from api.contract.problems import MOST_PROBLEMS, At, refuse
from api.contract.record import LONGEST_ID
from api.door.messages import Problem


def customers(ids: Sequence[object], where: Callable[[int], At]) -> list[str | None]:
    """Each row's id as text. where: the place of a row's id.

    Raises:
        Invalid: names those that are no ids.
    """
    if _short_texts(ids):
        return list(ids)
    found, problems = [], []
    for i, given in enumerate(ids):
        try:
            found.append(customer(given))
        except Wrong as wrong:
            problems.append(Problem(where(i), wrong.message, wrong.kind))
            if len(problems) > MOST_PROBLEMS:
                break
    refuse(problems)
    return found


def _short_texts(ids: Sequence[object]) -> TypeGuard[Sequence[str | None]]:
    """Whether `customer` would leave all as they are: nearly always."""
    if not set(map(type, ids)) <= {str, type(None)}:
        return False
    return max((len(text) for text in ids if isinstance(text, str)), default=0) <= LONGEST_ID


def customer(given: object) -> str | None:
    """A customer's id as text; whole numbers are taken too.

    Raises:
        Wrong: it is something else, or too long.
    """
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        raise Wrong("type", f"is {shown(given)}; a text or a whole number is needed")
    text = str(given)
    if len(text) > LONGEST_ID:
        raise Wrong("range", f"is longer than {LONGEST_ID} characters")
    return text
