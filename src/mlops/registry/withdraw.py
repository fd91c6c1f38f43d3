"""`mlops rollback`, `mlops unassign`, `mlops archive`: going back is a new tag too; no tag is ever moved or deleted."""

from __future__ import annotations

from dataclasses import dataclass

from mlops.errors import RegistryError, nearest
from mlops.registry import changes, facts
from mlops.registry.changes import Change, Draft, Plan
from mlops.registry.look import Registry
from mlops.registry.resolve import Assignment
from mlops.registry.tags import ASSIGN
from mlops.store import model
from mlops.store.objects import Store


@dataclass(frozen=True)
class Withdrawn:
    """What was done. before and after: what the stage served and serves, None for nothing; tag: the one made."""

    stage: str | None
    before: str | None
    after: str | None
    tag: str
    notes: tuple[str, ...] = ()


def rollback(registry: Registry, stage: str | None, to: str | None, why: str | None) -> Withdrawn:
    """Make a stage serve again what it served before, or an older version of it.

    No gate is asked: what goes back has been judged before, and there may be no time. The model must be to be had,
    though: a stage that names what nobody can load would be worse.

    Raises:
        RegistryError: there is nothing to go back to.
    """
    stage = registry.policy.stage(stage or registry.policy.promotion.stage)
    change = Change(registry)
    live = _live(registry, stage)
    _had(registry, _target(registry, stage, live, to))

    def plan(now: Registry) -> Plan:
        target = _target(now, stage, live, to)  # somebody may have archived what it was before
        before = now.facts(target.object)
        kept = {k: before.get(k) for k in ("origin", "experiment", "weight", "metrics", "digests", "verdict", "forced")}
        said = {"version": target.version, "stage": stage, "commit": target.commit, "from": live.version, "why": why}
        stated = changes.stamped(now.git, "rollback", {**said, **kept})
        title = f"{now.name} {target.version} → {stage}, back from {live.version}"
        tag = f"{now.name}#{stage}#{now.next_counter()}"
        return Plan((Draft(tag, target.commit, facts.write(title, _why(why), stated)),), {stage: live})

    (made,) = change.publish(plan)
    return Withdrawn(stage, live.version, _serves(registry, stage), made.name, tuple(change.notes))


def unassign(registry: Registry, stage: str, why: str | None) -> Withdrawn:
    """Take the serving version away from a stage; what it served before comes back, if there was something.

    Raises:
        RegistryError: the stage serves nothing.
    """
    stage = registry.policy.stage(stage)
    change = Change(registry)
    live = _live(registry, stage)

    def plan(now: Registry) -> Plan:
        said = {"version": live.version, "stage": stage, "commit": live.commit, "why": why}
        text = facts.write(
            f"{now.name} {live.version} leaves {stage}", _why(why), changes.stamped(now.git, "unassign", said)
        )
        return Plan((Draft(f"{now.name}#{stage}!#{now.next_counter()}", live.commit, text),), {stage: live})

    (made,) = change.publish(plan)
    return Withdrawn(stage, live.version, _serves(registry, stage), made.name, tuple(change.notes))


def archive(registry: Registry, name: str, why: str | None, force: bool) -> Withdrawn:
    """Archive a version for good: no stage serves it any more.

    Raises:
        RegistryError: it is archived already, or a stage serves it and `force` is not given.
    """
    change = Change(registry)
    version = registry.version(name)
    if version.archived is not None:
        raise RegistryError(f"{version.name} is archived since {version.archived:%Y-%m-%d %H:%M} UTC")

    def plan(now: Registry) -> Plan:
        serving = {s: a for s, a in now.picture.stages.items() if a.version == version.name}
        if serving and not force:
            raise RegistryError(
                f"{version.name} serves {', '.join(serving)}; `mlops rollback --stage {next(iter(serving))}` first, or"
                " --force to archive it all the same: the stage then serves what it served before"
            )
        said = changes.stamped(now.git, "archive", {"version": version.name, "commit": version.commit, "why": why})
        text = facts.write(f"{now.name} {version.name} is archived", _why(why), said)
        # With a number, no clock decides when it was.
        return Plan((Draft(f"{now.name}@{version.name}!#{now.next_counter()}", version.commit, text),), dict(serving))

    (made,) = change.publish(plan)
    return Withdrawn(None, version.name, None, made.name, tuple(change.notes))


def _why(why: str | None) -> list[str]:
    return [f"Why: {why}"] if why else []


def _live(registry: Registry, stage: str) -> Assignment:
    live = registry.picture.stages.get(stage)
    if live is None:
        there = ", ".join(registry.picture.stages) or "no stage does"
        raise RegistryError(f"{stage} serves nothing ({there}); `mlops promote --stage {stage}` gives it a version")
    return live


def _target(registry: Registry, stage: str, live: Assignment, to: str | None) -> Assignment:
    """The assignment to go back to: the one below the serving one, or the last of a given version.

    A rollback undoes what came after its target: the next one goes further back, not forward again.
    """
    below, seen = _past(registry, stage)
    last = max((i for i, a in enumerate(below) if a.commit == live.commit), default=len(below))
    alive = registry.picture.versions
    able = [
        a
        for a in below[:last]
        if a.commit != live.commit and (a.version not in alive or alive[a.version].archived is None)
    ]
    if to is None:
        if not able:
            raise RegistryError(
                f"{stage} served nothing before {live.version} that it could go back to; see `mlops history`"
            )
        return able[-1]
    wanted = to if to in seen or to.startswith("v") else f"v{to}"
    if wanted not in seen:
        known = [v for v in seen if v != live.version]
        raise RegistryError(
            f"{stage} never served {to}{nearest(wanted, known)}; `mlops promote {to}` would judge it first"
        )
    if wanted == live.version:
        raise RegistryError(f"{stage} serves {wanted} already")
    if wanted in alive and alive[wanted].archived is not None:
        raise RegistryError(
            f"{wanted} is archived, for good; go back to another, or promote its commit anew with --version"
        )
    return seen[wanted]


def _past(registry: Registry, stage: str) -> tuple[list[Assignment], dict[str, Assignment]]:
    """What a stage served, one upon the other, without what was taken away or undone; and all that it ever served."""
    events = [e for e in registry.picture.events if e.tag.stage == stage]
    said = facts.of(registry.git, [e.tag.object for e in events])
    below: list[Assignment] = []
    seen: dict[str, Assignment] = {}
    for event, fact in zip(events, said, strict=True):
        served = event.changes.get(stage)
        if event.tag.kind != ASSIGN:
            below = [a for a in below if a.commit != event.tag.commit]
        elif served is not None:
            seen[served.version] = served
            if fact.get("action") == "rollback":
                while below and below[-1].commit != served.commit:
                    below.pop()
            if not below or below[-1].commit != served.commit:
                below.append(served)
    return below, seen


def _serves(registry: Registry, stage: str) -> str | None:
    now = registry.picture.stages.get(stage)
    return now.version if now else None


def _had(registry: Registry, target: Assignment) -> None:
    """Refuse to go back to a model that is nowhere."""
    found = model.model(registry.git, target.commit, registry.name)
    if Store(registry.git.folder).missing([found.out]):
        raise RegistryError(
            f"the model of {target.version} ({found.out.md5[:8]}…) is neither in DVC's cache nor in the remote; go back"
            " to another with --to, or make it again: `git switch --detach` to its commit and `dvc repro`"
        )
