"""What differs between the data of two commits, read column by column out of DVC's cache or its remote."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from mlops.datadiff import change, pair, structure
from mlops.datadiff.matching import Matching
from mlops.datadiff.outcome import outcome
from mlops.datadiff.raw import Raw, opened
from mlops.datadiff.recorded import RAW, Recorded, lacking, recorded
from mlops.datadiff.result import Column, Compared, DataDiff, SchemaChange, Version
from mlops.datadiff.sides import sides
from mlops.errors import StoreError, one_line
from mlops.git import Git
from mlops.store.objects import Store

Parts = dict[str, Any]


def diff(git: Git, store: Store, before: str, after: str) -> DataDiff:
    """What differs between the raw tables, their schemas and the sides of the split.

    Data that cannot be had is no error: `unavailable` says why, and the schemas are compared all the same.

    Args:
        git: the repository.
        store: where the bytes are.
        before, after: a commit each.

    Raises:
        GitError: one of them names no commit.
        StoreError: dvc.lock of one of them is not valid.
    """
    was, now = (recorded(git, git.commit(name)) for name in (before, after))
    flaws = tuple(dict.fromkeys(side.flaw for side in (was, now) if side.flaw))
    common: Parts = {"sides": sides(store, was, now), "notes": flaws}
    told = tuple(structure.declared(was.schema, now.schema))
    same = was.raw is not None and now.raw is not None and was.raw.md5 == now.raw.md5
    if same and was.reading == now.reading:
        return _unread(was, now, told, True, None, common)
    try:
        with _open(store, was) as old, _open(store, now) as new:
            found = compare(old, new)
    except StoreError as error:
        return _unread(was, now, told, same, str(error), common)
    except pa.ArrowException as error:  # values of a type that no table of ours has
        return _unread(was, now, told, same, f"{RAW} holds what cannot be compared: {one_line(error)[:200]}", common)
    return DataDiff(
        before=_version(was, found.rows.before),
        after=_version(now, found.rows.after),
        same=same,
        unavailable=None,
        rows=found.rows,
        outcome=found.outcome,
        schema=(*told, *found.schema),
        columns=found.columns,
        **common,
    )


def _open(store: Store, side: Recorded) -> Raw:
    if side.raw is None:
        raise lacking(side)
    return opened(store, side)


def _unread(
    was: Recorded, now: Recorded, told: tuple[SchemaChange, ...], same: bool, why: str | None, common: Parts
) -> DataDiff:
    versions = _version(was, None), _version(now, None)
    return DataDiff(*versions, same, why, rows=None, outcome=None, schema=told, columns=(), **common)


def _version(side: Recorded, rows: int | None) -> Version:
    return Version(side.commit, side.raw.md5 if side.raw else None, rows)


def compare(old: Raw, new: Raw) -> Compared:
    """What differs between two tables; one column of both is in memory at a time.

    Raises:
        StoreError: a column cannot be read.
    """
    key = _key(old, new)
    pairs = [pair.codes(old.column(name), new.column(name)) for name in key]
    _release()
    matching = Matching((old.rows, new.rows), key, pairs)
    del pairs
    columns = [_column(old, new, matching, name, key) for name in old.kinds if name in new.kinds]
    return Compared(
        rows=matching.rows(),
        outcome=outcome(old, new, matching, bool(key)),
        schema=tuple(structure.stored(old, new)),
        columns=tuple(sorted(columns, key=_size)),
    )


def _key(old: Raw, new: Raw) -> tuple[str, ...]:
    """The id, and the time where there is one, as the later schema has them; empty where a table lacks the id."""
    roles = [column.name for kind in ("id", "time") if new.schema and (column := new.schema.role(kind))]
    found = tuple(name for name in roles if name in old.kinds and name in new.kinds)
    return found if found and new.kinds[found[0]] == "id" else ()


def _column(old: Raw, new: Raw, matching: Matching, name: str, key: tuple[str, ...]) -> Column:
    form = change.form(old, new, name)
    values = change.read(old, new, name, form)
    _release()
    changed = matching.compare(name, values)
    return change.change(name, new.kinds[name], form, values, None if name in key else changed)


def _release() -> None:
    """Give back what reading and decompressing a column took; Arrow would keep it, 70 MB of them at a million rows."""
    pa.default_memory_pool().release_unused()


def _size(column: Column) -> tuple[float, int, str]:
    """Sorts columns: the largest change first."""
    score = column.drift.score if column.drift else 0.0
    return (-round(score, 3) if math.isfinite(score) else 0.0, -(column.changed or 0), column.name)
