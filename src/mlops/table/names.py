"""Column names as a file gives them, made usable: one each, no blanks around, none reserved."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlops.errors import TableError, nearest
from mlops.schema import RESERVED

SHOWN = 12  # names that an error message still lists


def clean(raw: Sequence[str], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names for the columns, and what was changed.

    An empty name becomes c0, c1, … by its place; a repeated one gets .1, .2; the reserved prefix is taken off.
    """
    names: list[str] = []
    warnings = []
    taken = {text.strip() for text in raw}
    for place, text in enumerate(raw):
        wanted = " ".join(text.split())
        if wanted.startswith(RESERVED):
            wanted = wanted.lstrip("_")
            called = wanted or f"c{place}"
            warnings.append(f"{where}: column {text.strip()!r} is called {called}: names with {RESERVED} are reserved")
        name = wanted or f"c{place}"
        repeat = 0
        while name in names or (repeat and name in taken):
            repeat += 1
            name = f"{wanted or f'c{place}'}.{repeat}"
        if repeat and wanted:
            warnings.append(f"{where}: a second column {wanted} is called {name}")
        names.append(name)
    return tuple(names), tuple(warnings)


def find(name: str, known: Sequence[str], where: str) -> str:
    """The column that a person means by `name`.

    Raises:
        TableError: there is none; with the nearest name, and all of them when they are few.
    """
    if name in known:
        return name
    listed = f"; its columns are {', '.join(known)}" if len(known) <= SHOWN else f"; it has {len(known)} columns"
    if re.fullmatch(r"c\d+", name):
        listed = f"{listed}; if its first line is a row already, add --no-header"
    raise TableError(f"{where}: no column {name!r}{nearest(name, known) or listed}")


def match(wanted: Sequence[str], found: Sequence[str]) -> dict[str, str]:
    """For each wanted name the found one: the same, or the only one that differs in case and blanks alone."""
    folded: dict[str, list[str]] = {}
    for name in found:
        folded.setdefault("".join(name.casefold().split()), []).append(name)
    matched = {}
    for name in wanted:
        alike = folded.get("".join(name.casefold().split()), [])
        if name in found:
            matched[name] = name
        elif len(alike) == 1 and alike[0] not in wanted:
            matched[name] = alike[0]
    return matched
