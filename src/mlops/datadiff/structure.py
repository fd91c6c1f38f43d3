"""What data/schema.yaml, or the table itself, says otherwise of its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import pyarrow as pa

from mlops.datadiff.raw import Raw, guess
from mlops.datadiff.result import SchemaChange
from mlops.schema import Column, Schema

ALIKE = ("name", "kind", "why")
"""Keys of a column that are told otherwise, or decide nothing."""


def declared(was: Schema | None, now: Schema | None) -> Iterator[SchemaChange]:
    """What the schemas say otherwise; nothing where one is missing."""
    if was is None or now is None:
        return
    before, after = ({c.name: c for c in side.columns} for side in (was, now))
    kinds = [{name: c.kind for name, c in side.items()} for side in (before, after)]
    yield from _kinds(*kinds)
    for name in before:
        if name in after:
            yield from _rules(before[name], after[name])
    derived = [{d.name: f"{d.op} of {d.inputs[0]}, {d.inputs[1]}" for d in side.derived} for side in (was, now)]
    for name in {**derived[0], **derived[1]}:
        words = derived[0].get(name), derived[1].get(name)
        if words[0] != words[1]:
            yield SchemaChange(name, "derived", *words)


def stored(was: Raw, now: Raw) -> Iterator[SchemaChange]:
    """What the tables have otherwise, and the schemas do not say."""
    known = [{c.name for c in raw.schema.columns} if raw.schema else set() for raw in (was, now)]
    untold = [{name: kind for name, kind in raw.kinds.items() if name not in known[0] & known[1]} for raw in (was, now)]
    if not (was.schema and now.schema):
        yield from _kinds(*untold)
    for name, kind in was.types.items():
        if name in now.types and _type(kind) != _type(now.types[name]):
            yield SchemaChange(name, "stored", _type(kind), _type(now.types[name]))


def _kinds(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[SchemaChange]:
    """Added, removed, and of another kind."""
    for name in {**before, **after}:
        was, now = before.get(name), after.get(name)
        if was != now:
            yield SchemaChange(name, "added" if was is None else "removed" if now is None else "kind", was, now)


def _rules(was: Column, now: Column) -> Iterator[SchemaChange]:
    for field in fields(Column):
        before, after = (_value(getattr(side, field.name)) for side in (was, now))
        if field.name not in ALIKE and before != after:
            yield SchemaChange(was.name, field.name, before, after)


def _value(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _type(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return "date with a time zone"
    return {"category": "text"}.get(guess(kind), guess(kind))
