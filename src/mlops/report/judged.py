"""The gate asked about a pull request: is what it made better than what its merge base made.

From Git's objects and DVC's bytes alone; the working tree is not looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlops import policy as policies
from mlops import strict
from mlops.errors import MlopsError, PolicyError, StoreError
from mlops.git import Git
from mlops.policy import Policy
from mlops.report import gate, side
from mlops.report.base import Base
from mlops.report.checks import Check
from mlops.report.result import Result
from mlops.report.side import PREDICTIONS, Side
from mlops.store import lock, model, pipeline
from mlops.store.objects import Store

SAME_BYTES = "the same bytes"
AT_HAND = "`mlops lock fetch` brings it here, or makes it again"


@dataclass(frozen=True)
class Judged:
    """A judgement and what it was made from.

    Args:
        result: with the waivers that count.
        policy: of the commit that is judged.
        sides: the commit's version and its merge base's; None for what could not be had, or is not there.
        first: whether the merge base has no model yet.
        spent: checks whose waiver was in the merge base already, and so counts no more.
    """

    result: Result
    policy: Policy
    sides: tuple[Side | None, Side | None]
    first: bool
    spent: tuple[str, ...]


def judge(git: Git, store: Store, base: Base) -> Judged:
    """Compare a commit with its merge base.

    Raises:
        PolicyError: the commit's policy.yaml is not valid.
        StoreError: its dvc.yaml or dvc.lock is not valid.
    """
    policy = _policy(git, base.head)
    name = policy.registry.name
    first = _is_first(git, base.commit, name)
    checks = _current(git, store, base.head)
    mine, why = _loaded(git, store, (base.head, base.head[:8]), name)
    other, why_not = (None, "") if first else _loaded(git, store, (base.commit, base.name), name)
    if mine is not None and (first or other is not None):
        result = gate.judge(mine, other, policy.gate, checks)
    elif not first and _same_bytes(git, base, name):
        words = f"its model and its scored test rows are those of {base.name}, byte for byte"
        result = Result("no worse", policy.gate, base.head[:8], base.name, SAME_BYTES, words, checks=tuple(checks))
    else:
        reason = why or why_not
        result = Result("not comparable", policy.gate, base.head[:8], base.name, "", reason, checks=tuple(checks))
        if mine is not None:
            result = gate.not_comparable(mine, base.name, policy.gate, reason, checks)
    waived, spent = _waivers(git, base, policy)
    return Judged(replace(result, waived=waived), policy, (mine, other), first, spent)


def _policy(git: Git, commit: str) -> Policy:
    content = git.read(commit, str(policies.PATH))
    if content is None:
        return Policy()
    return policies.parse(content.decode("utf-8", "replace"), Path(f"{policies.PATH} of {commit[:8]}"))


def _is_first(git: Git, commit: str, name: str) -> bool:
    """Whether a commit is from before the first model."""
    with contextlib.suppress(StoreError):  # what is not valid is no beginning
        declared = pipeline.pipeline(git, commit)
        path = declared.artifacts.get(name) if declared else None
        if path is None:
            return True
        if lock.pointer(git, commit, path) is None:
            return git.read(commit, lock.FILE) is None or lock.read(git, commit).out(path) is None
    return False


def _loaded(git: Git, store: Store, named: tuple[str, str], artifact: str) -> tuple[Side | None, str]:
    """A version, or why it cannot be had. named: commit and name."""
    try:
        return side.load(git, store, *named, artifact), ""
    except MlopsError as error:
        lacking = f"; {AT_HAND}" if _is_lacking(git, store, named[0], artifact) else ""
        return None, f"{error}{lacking}"


def _is_lacking(git: Git, store: Store, commit: str, artifact: str) -> bool:
    """Whether what a commit made, and names, is not to be had."""
    try:
        outs = [model.model(git, commit, artifact).out]
        if git.read(commit, lock.FILE) is not None:
            outs += [out for out in [lock.read(git, commit).out(PREDICTIONS)] if out]
        return bool(store.missing(outs))
    except StoreError:
        return False


def _current(git: Git, store: Store, commit: str) -> list[Check]:
    """The check that dvc.lock is what the commit says; none where no stage made the model."""
    if git.read(commit, lock.FILE) is None:
        return []
    stale = lock.stale(git, commit, store.listing)
    if not stale:
        return [Check("lock", True, "dvc.lock is what the commit's code, params and data say")]
    more = f" (and {len(stale) - 1} more)" if len(stale) > 1 else ""
    return [Check("lock", False, f"{stale[0]}{more}: `dvc repro`, then commit dvc.lock")]


def _same_bytes(git: Git, base: Base, name: str) -> bool:
    """Whether both commits name the same model and the same scored rows."""
    try:
        models = {model.model(git, commit, name).out.md5 for commit in (base.head, base.commit)}
        scored = [lock.read(git, commit).out(PREDICTIONS) for commit in (base.head, base.commit)]
    except StoreError:
        return False
    return len(models) == 1 and None not in scored and len({out.md5 for out in scored if out}) == 1


def _waivers(git: Git, base: Base, policy: Policy) -> tuple[dict[str, str], tuple[str, ...]]:
    """Check → why of the waivers that this pull request brings, and the checks of those that it found there.

    A waiver is for one pull request: what the merge base has already let something else pass.
    """
    before = set(_listed(git.read(base.commit, str(policies.PATH))))
    fresh: dict[str, str] = {w.check: w.why for w in policy.gate.waive if (w.check, w.why) not in before}
    return fresh, tuple(w.check for w in policy.gate.waive if (w.check, w.why) in before and w.check not in fresh)


def _listed(content: bytes | None) -> Iterable[tuple[str, str]]:
    """The waivers of a policy.yaml of whatever time; a file that is not valid has none."""
    if content is None:
        return
    with contextlib.suppress(PolicyError):
        document: Any = strict.read(content.decode("utf-8", "replace"), policies.PATH, PolicyError)
        section = document.get("gate") if isinstance(document, dict) else None
        listed = section.get("waive") if isinstance(section, dict) else None
        for entry in listed if isinstance(listed, list) else []:
            if isinstance(entry, dict):
                yield str(entry.get("check")), str(entry.get("why"))
