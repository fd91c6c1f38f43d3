"""The gate asked about a pull request: is what it made better than what its merge base made.

From Git's objects and DVC's bytes alone; the working tree is not looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlops import policy as policies
from mlops.errors import MlopsError, PolicyError, StoreError
from mlops.git import Git
from mlops.policy import Policy
from mlops.report import checks as ask
from mlops.report import gate, side
from mlops.report.base import Base
from mlops.report.result import Result
from mlops.report.rules import WAIVED
from mlops.report.side import PREDICTIONS, Side
from mlops.store import lock, model, pipeline
from mlops.store.objects import Store

SAME_BYTES = "the same bytes"
AT_HAND = "`mlops lock fetch` brings it here, or makes it again"
FOUND_BEFORE = "since before this branch, so it counts no more: delete it"
UNKNOWN_BEFORE = "which does not count: policy.yaml of the merge base is not valid, so nobody knows whether it is new"


@dataclass(frozen=True)
class Judged:
    """A judgement and what it was made from.

    Args:
        result: with the waivers that count.
        policy: of the commit that is judged.
        sides: the commit's version and its merge base's; None for what could not be had, or is not there.
        first: whether the merge base has no model yet, under whatever name.
        spent: checks whose waiver does not count → why.
    """

    result: Result
    policy: Policy
    sides: tuple[Side | None, Side | None]
    first: bool
    spent: Mapping[str, str]

    @property
    def notes(self) -> list[str]:
        """What a reviewer should know of waivers."""
        used = self.result.let_pass
        notes = [f"{WAIVED}{name}: {why}" for name, why in used.items()]
        notes += [
            f"gate.waive names {name}, which passes: delete it" for name in self.result.waived if name not in used
        ]
        return notes + [f"gate.waive names {name} {why}" for name, why in self.spent.items()]


def judge(git: Git, store: Store, base: Base) -> Judged:
    """Compare a commit with its merge base.

    Raises:
        PolicyError: the commit's policy.yaml is not valid.
        StoreError: its dvc.yaml or dvc.lock is not valid.
    """
    policy, before = _policy(git, base.head), _of_base(git, base.commit)
    name = policy.registry.name
    other_name = _baseline(git, base.commit, before.registry.name if before else name)
    first = other_name is None
    checks = [] if git.read(base.head, lock.FILE) is None else [ask.current(git, base.head, store)]
    mine, why = _loaded(git, store, (base.head, base.head[:8]), name)
    other, why_not = (None, "") if other_name is None else _loaded(git, store, (base.commit, base.name), other_name)
    if mine is not None and (first or other is not None):
        result = gate.judge(mine, other, policy.gate, checks)
    elif other_name is not None and _same_bytes(git, {base.head: name, base.commit: other_name}):
        words = f"its model and its scored test rows are those of {base.name}, byte for byte"
        result = Result("no worse", policy.gate, base.head[:8], base.name, SAME_BYTES, words, checks=tuple(checks))
    else:
        reason = why or why_not
        result = Result("not comparable", policy.gate, base.head[:8], base.name, "", reason, checks=tuple(checks))
        if mine is not None:
            result = gate.not_comparable(mine, base.name, policy.gate, reason, checks)
    waived, spent = _waivers(policy, before)
    return Judged(replace(result, waived=waived), policy, (mine, other), first, spent)


def _policy(git: Git, commit: str) -> Policy:
    content = git.read(commit, str(policies.PATH))
    if content is None:
        return Policy()
    return policies.parse(content.decode("utf-8", "replace"), Path(f"{policies.PATH} of {commit[:8]}"))


def _of_base(git: Git, commit: str) -> Policy | None:
    """The merge base's policy.yaml; None where it is not valid."""
    try:
        return _policy(git, commit)
    except PolicyError:
        return None


def _baseline(git: Git, commit: str, name: str) -> str | None:
    """The name under which a merge base has its model; None where it is from before the first one.

    Who renames the model, in policy.yaml or in dvc.yaml, has no first version by that. So its own policy.yaml (`name`)
    says which artifact it is, and where that one was not made, the only one that was.
    """
    with contextlib.suppress(StoreError):  # what is not valid is no beginning
        declared = pipeline.pipeline(git, commit)
        artifacts = declared.artifacts if declared else {}
        made = [artifact for artifact, path in artifacts.items() if _is_made(git, commit, path)]
        if not made:
            return None
        return made[0] if len(made) == 1 else name
    return name


def _is_made(git: Git, commit: str, path: str) -> bool:
    if lock.pointer(git, commit, path) is not None:
        return True
    return git.read(commit, lock.FILE) is not None and lock.read(git, commit).out(path) is not None


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


def _same_bytes(git: Git, names: Mapping[str, str]) -> bool:
    """Whether commits name the same model and the same scored rows. names: commit → artifact."""
    try:
        models = {model.model(git, commit, name).out.md5 for commit, name in names.items()}
        scored = [lock.read(git, commit).out(PREDICTIONS) for commit in names]
    except StoreError:
        return False
    return len(models) == 1 and None not in scored and len({out.md5 for out in scored if out}) == 1


def _waivers(policy: Policy, before: Policy | None) -> tuple[dict[str, str], dict[str, str]]:
    """Check → why of the waivers that this pull request brings, and check → why not of those that count no more.

    A waiver is for one pull request: what the merge base has already let something else pass, whatever it is said to
    be for now. Of a merge base that is not valid nobody knows what it has.
    """
    asked: dict[str, str] = {waiver.check: waiver.why for waiver in policy.gate.waive}
    if before is None:
        return {}, dict.fromkeys(asked, UNKNOWN_BEFORE)
    found = {waiver.check for waiver in before.gate.waive}
    fresh = {check: why for check, why in asked.items() if check not in found}
    return fresh, {check: FOUND_BEFORE for check in asked if check in found}
