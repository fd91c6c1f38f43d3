"""Parts of the report as facts: decisions, groups, what was changed, data, what the model costs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mlops.datadiff import words
from mlops.datadiff.diff import diff
from mlops.errors import MlopsError
from mlops.git import Git
from mlops.report import numbers
from mlops.report.base import Base
from mlops.report.decisions import Decisions
from mlops.report.facts import LINE, SHOWN, clip
from mlops.report.groups import Slice
from mlops.report.judged import Judged
from mlops.report.result import Result
from mlops.store import lock
from mlops.store.objects import Store

Facts = dict[str, Any]
TIMINGS = "metrics/timings.json"
GROUPS = 5
COLUMNS = 12
GAPS, ROWS = 2, 3
"""Places in the cells of a column: its missing share, rows with another value."""
DRIFTS = ("moderate", "large")
VALUE = 200


def lines(given: Sequence[str]) -> list[str]:
    """Sentences, cut to what the document takes."""
    return [clip(line, LINE) for line in given][:SHOWN]


def decisions(found: Decisions | None) -> Facts | None:
    """Whose decision flips."""
    if found is None:
        return None
    return {
        **asdict(found),
        "p_value": numbers.rounded(found.p_value),
        "predicted": [numbers.rounded(p) for p in found.predicted],
        "money": [amount if math.isfinite(amount) else None for amount in found.money],
        "groups": [
            {"column": clip(g.column), "level": clip(g.level), "rows": g.rows, "flipped": g.flipped}
            for g in found.groups[:GROUPS]
        ],
    }


def slices(result: Result) -> Facts | None:
    """Groups that got worse; None where none was judged."""
    if not result.slices:
        return None
    worse = [s for s in result.slices if s.broken or s.change.oriented(result.metric).high < 0]
    return {
        "judged": len(result.slices),
        "worse": [_slice(s) for s in worse[:SHOWN]],
        "worst": _slice(result.slices[0]),
    }


def _slice(group: Slice) -> Facts:
    numbers = {name: value for name, value in group.change.facts().items() if name != "better"}
    return {
        "column": clip(group.column), "level": clip(group.level), "rows": group.rows, **numbers,
        "broken": group.broken,
    }  # fmt: skip


def values(entries: Sequence[Mapping[str, Any]]) -> Facts:
    """Entries of `mlops.report.changed`."""
    shown = [
        {
            "name": clip(entry["name"]),
            **{side: None if entry[side] is None else clip(entry[side], VALUE) for side in ("before", "after")},
            "stages": [clip(stage) for stage in entry["stages"]][:SHOWN],
        }
        for entry in entries[:SHOWN]
    ]
    return {"count": len(entries), "shown": shown}


def code(found: Mapping[str, Any]) -> Facts:
    """What `mlops.report.changed.code` found."""
    files = [
        {**file, "path": clip(file["path"]), "stages": [clip(stage) for stage in file["stages"]][:SHOWN]}
        for file in found["files"][:SHOWN]
    ]
    others = [{"name": clip(name), "files": count} for name, count in list(found["others"].items())[:SHOWN]]
    outputs = [clip(path) for path in found["outputs"]][:SHOWN]
    return {"count": len(found["files"]), "files": files, "others": others, "outputs": outputs}


def data(git: Git, store: Store, base: Base) -> Facts | None:
    """What became of the data, in the words of `mlops data diff`; None where nothing did."""
    try:
        found = diff(git, store, base.commit, base.head)
    except MlopsError as error:
        return {"lines": lines([f"the data cannot be compared: {error}"]), "others": 0, "columns": []}
    if found.before.digest == found.after.digest and not (found.schema or found.sides):
        return None
    told = found.facts()
    differ = [(column, words.cells(column)) for column in words.changed(told)]
    shown = [
        {"name": clip(column["name"]), "cells": [clip(cell, LINE) for cell in cells]}
        for column, cells in differ
        if cells[GAPS] or cells[ROWS] or (column["drift"] or {}).get("reading") in DRIFTS
    ][:COLUMNS]
    return {"lines": lines(list(words.lines(told))), "others": len(differ) - len(shown), "columns": shown}


def cost(git: Git, base: Base, found: Judged) -> Facts:
    """Bytes of the served models, the time of one row, and how long training took where this folder knows."""
    mine, other = found.sides
    size = None if mine is None else [mine.size, None if other is None else other.size]
    latency = next((c.words for c in found.result.checks if c.name == "latency"), None)
    return {"size": size, "latency": latency, "train_seconds": _trained(git, base)}


def _trained(git: Git, base: Base) -> float | None:
    """Seconds of the last training in this folder; None where the folder's dvc.lock is not the commit's."""
    try:
        if (git.folder / lock.FILE).read_bytes() != git.read(base.head, lock.FILE):
            return None
        seconds = json.loads((git.folder / TIMINGS).read_bytes())["train_time_seconds"]
        return round(float(seconds), 3) if 0 <= float(seconds) < 1e9 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
