"""What the gate asks besides metrics: that clients can go on, that a model is quick and small, that dvc.lock holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops.bundle import Bundle
from mlops.features import Scalar
from mlops.git import Git
from mlops.policy import Gate
from mlops.report.side import Side
from mlops.store import lock
from mlops.store.objects import Store

SHOWN = 3
CALLS, WARMING = 300, 30
SOME_DAY = 20_000.0
"""A date, in days since 1970; whatever day it is costs the same."""


@dataclass(frozen=True)
class Check:
    """words: what was found and the limit, in one line."""

    name: str
    passed: bool
    words: str


def current(git: Git, commit: str, store: Store) -> Check:
    """Whether dvc.lock is what the commit says.

    Raises:
        StoreError: the commit has no valid dvc.lock.
    """
    stale = lock.stale(git, commit, store.listing)
    if not stale:
        return Check("lock", True, "dvc.lock is what the commit's code, params and data say")
    more = f" (and {len(stale) - 1} more)" if len(stale) > 1 else ""
    return Check("lock", False, f"{stale[0]}{more}: `dvc repro`, then commit dvc.lock")


def of_models(candidate: Side, baseline: Side | None, policy: Gate) -> list[Check]:
    """Signature, latency and size, as far as the policy asks for them."""
    found = []
    if baseline is not None and policy.signature == "compatible":
        found.append(_signature(candidate, baseline))
    if policy.max_latency_ms is not None:
        found.append(_latency(candidate, baseline, policy.max_latency_ms))
    if policy.max_size_mb is not None:
        size, limit = candidate.size / 1e6, policy.max_size_mb
        found.append(Check("size", size <= limit, f"the served model has {size:.3g} MB, limit {limit:g} MB"))
    return found


def _signature(candidate: Side, baseline: Side) -> Check:
    found = list(incompatible(baseline.bundle.signature, candidate.bundle.signature))
    if not found:
        return Check("signature", True, f"whoever sends rows to {baseline.name} can send them to {candidate.name}")
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    words = f"clients of {baseline.name} would be refused: {'; '.join(found[:SHOWN])}{more}"
    return Check("signature", False, f"{words} (gate.signature: any allows it)")


def incompatible(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What a client that sends rows as the old signature says must change for the new one.

    Every column must be sent and no other, so a new column is as much a change as one that is gone.
    """
    before = {column["name"]: column for column in old["inputs"]}
    after = {column["name"]: column for column in new["inputs"]}
    yield from (f"{name} is a new column" for name in after if name not in before)
    for name, column in before.items():
        if name not in after:
            yield f"{name} is not read any more"
        else:
            yield from (f"{name} {change}" for change in _narrower(column, after[name]))
    if old.get("id") is not None and new.get("id") != old["id"]:
        yield f"the id {old['id']} is not taken any more"


def _narrower(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    kinds = [{"category": "text"}.get(column["kind"], column["kind"]) for column in (old, new)]
    if kinds[0] != kinds[1]:
        yield f"was a {old['kind']} and is a {new['kind']}"
        return
    if old["nullable"] and not new["nullable"]:
        yield "may not be missing any more"
    if new.get("whole") and not old.get("whole"):
        yield "must be a whole number now"
    if old.get("format") is not None and new.get("format") != old["format"]:
        yield f"is not read as {old['format']} any more"


def _latency(candidate: Side, baseline: Side | None, limit: float) -> Check:
    sides = [candidate] if baseline is None else [candidate, baseline]
    spent = milliseconds([side.bundle for side in sides])
    words = f"one row takes {spent[0]:.3f} ms"
    if baseline is not None:
        words += f" ({spent[1]:.3f} ms with {baseline.name})"
    return Check("latency", spent[0] <= limit, f"{words}, limit {limit:g} ms")


def milliseconds(models: list[Bundle]) -> list[float]:
    """The median time in which each scores its signature's example; in turns, so that noise hits all alike."""
    calls: list[Callable[[], object]] = [_scoring(model) for model in models]
    spent = np.empty((CALLS + WARMING, len(calls)))
    for times in spent:
        for i, call in enumerate(calls):
            started = time.perf_counter()
            call()
            times[i] = time.perf_counter() - started
    medians: list[float] = (np.median(spent[WARMING:], axis=0) * 1000).tolist()
    return medians


def _scoring(model: Bundle) -> Callable[[], object]:
    row: dict[str, Scalar] = {}
    for column in model.signature["inputs"]:
        example = column["example"]
        if column["kind"] in ("category", "text"):
            row[column["name"]] = example
        elif column["kind"] == "date":
            row[column["name"]] = SOME_DAY
        else:
            row[column["name"]] = float("nan") if example is None else float(example)
    return lambda: model.score_row(row)
