"""What differs between two versions: data, parameters, metrics, code, environment. `mlops diff` shows it."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from mlops.errors import MlopsError, StoreError
from mlops.git import Git
from mlops.registry import describe
from mlops.registry.look import Named, Registry
from mlops.store import lock, model
from mlops.store.objects import Store

Facts = dict[str, Any]
COMMITS = 20
"""Commits between the two that are listed."""
TOLD_ELSEWHERE = ("dvc.lock", "params.yaml", "requirements.txt")
REQUIREMENTS = "requirements.txt"
FEATURES = "data/features"


def diff(registry: Registry, before: str, after: str | None = None) -> Facts:
    """What differs, as --json prints it.

    Args:
        registry: where names have their meaning.
        before, after: a version, stage, experiment or commit each; after: HEAD where it is None.

    Raises:
        RegistryError: a name means nothing.
    """
    git = registry.git
    sides = registry.named(before), registry.named(after or "HEAD")
    commits = sides[0].commit, sides[1].commit
    kept = Store(git.folder)
    was, now = (_made(git, kept, commit, registry.name) for commit in commits)
    parameters = [_flat(describe.parameters(git, commit)) for commit in commits]
    return {
        "before": _named(git, sides[0]),
        "after": _named(git, sides[1]),
        "commits": _between(git, *commits),
        "params": _changed(*parameters),
        "data": {"before": was["data"], "after": now["data"]},
        "model": {"before": was["model"], "after": now["model"]},
        "metrics": _pairs(describe.metrics(git, commits[0]), describe.metrics(git, commits[1])),
        "gate": _gate(registry, kept, *sides),
        "code": _code(git, *commits),
        "environment": _changed(*(_packages(git, commit) for commit in commits)),
    }


def _named(git: Git, side: Named) -> Facts:
    return {"name": side.name, "commit": side.commit, "at": git.text("show", "-s", "--format=%cI", side.commit)}


def _between(git: Git, before: str, after: str) -> Facts:
    """How far the two are apart; added: in `after` only, missing: in `before` only."""
    missing, added = map(int, git.text("rev-list", "--left-right", "--count", f"{before}...{after}").split())
    fields = "%H%x00%an%x00%cI%x00%s"
    listed = git.text("log", f"--format={fields}", f"--max-count={COMMITS}", f"{before}..{after}")
    names = ("commit", "author", "at", "subject")
    log = [dict(zip(names, line.split("\0"), strict=True)) for line in listed.splitlines()]
    return {"added": added, "missing": missing, "log": log}


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Facts:
    """Name → {before, after} of what differs; what a side does not have is left out there."""
    changed: Facts = {}
    for name in {**before, **after}:
        values = {side: held[name] for side, held in (("before", before), ("after", after)) if name in held}
        if len(values) == 1 or values["before"] != values["after"]:
            changed[name] = values
    return changed


def _pairs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Facts:
    return {name: {"before": before.get(name), "after": after.get(name)} for name in {**before, **after}}


def _flat(document: Facts) -> Facts:
    return describe.flat(document) if document else {}


def _made(git: Git, kept: Store, commit: str, artifact: str) -> Facts:
    """Data and model of a commit; None for what it does not have.

    rows: of the raw table, where the summary that says so can be had.
    """
    recorded = None if git.read(commit, lock.FILE) is None else lock.read(git, commit)
    data = recorded.out(describe.DATA) if recorded else None
    rows = _rows(kept, recorded.out(FEATURES)) if recorded else None
    return {
        "data": {"digest": data.md5, "rows": rows} if data else None,
        "model": _model(git, commit, artifact),
    }


def _model(git: Git, commit: str, artifact: str) -> Facts | None:
    try:
        found = model.model(git, commit, artifact)
    except StoreError:  # a commit from before the first model can be compared all the same
        return None
    return {"digest": found.out.md5, "size": found.out.size, "origin": found.origin}


def _rows(kept: Store, features: lock.Out | None) -> int | None:
    if features is None:
        return None
    try:
        summary = kept.listing(features)["summary.json"]
        return int(json.loads(kept.file(summary).read_bytes())["rows"])
    except (StoreError, KeyError, TypeError, ValueError):
        return None


def _gate(registry: Registry, kept: Store, before: Named, after: Named) -> Facts:
    """The gate's comparison of both on the same rows; `reason` where there is none."""
    from mlops.report import gate, side

    if before.commit == after.commit:
        return {"reason": "both are the same commit"}
    try:
        was, now = (side.load(registry.git, kept, s.commit, s.name, registry.name) for s in (before, after))
    except MlopsError as error:
        return {"reason": f"{error}"}
    return gate.judge(now, was, registry.policy.gate).facts()


def _code(git: Git, before: str, after: str) -> Facts:
    """Folder → file → {added, removed} lines (None: not a text), of all files that Git holds but results."""
    results = {path for commit in (before, after) for path in _results(git, commit)}
    counted = git.raw("diff", "--numstat", "-z", "--no-renames", before, after)
    changed: Facts = {}
    for entry in filter(None, counted.decode("utf-8", "replace").split("\0")):
        added, removed, path = entry.split("\t", 2)
        place = PurePosixPath(path)
        if path in TOLD_ELSEWHERE or not results.isdisjoint(map(str, (place, *place.parents))):
            continue
        lines = {"added": _count(added), "removed": _count(removed)}
        changed.setdefault(str(place.parent), {})[place.name] = lines
    return dict(sorted(changed.items()))


def _count(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _results(git: Git, commit: str) -> Iterable[str]:
    """Outputs that Git holds itself."""
    if git.read(commit, lock.FILE) is None:
        return ()
    return {path for stage in lock.read(git, commit).stages.values() for path in stage.uncached}


def _packages(git: Git, commit: str) -> dict[str, str]:
    from mlops.verify import environment

    text = (git.read(commit, REQUIREMENTS) or b"").decode("utf-8", "replace")
    return dict(sorted(environment.pins(text, platform.python_version()).items()))
