"""`mlops rollback`, `mlops unassign`, `mlops archive`: going back is a new tag too; no tag is ever moved or deleted."""

from __future__ import annotations

from dataclasses import dataclass

from mlops.errors import RegistryError, nearest
from mlops.registry import changes, facts
from mlops.registry.changes import Change, Draft, Plan
from mlops.registry.facts import Facts
from mlops.registry.look import Registry
from mlops.registry.resolve import Assignment, Event
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
    target = _target(registry, stage, live, to)
    _had(registry, target)
    before = registry.facts(target.object)
    kept = {k: before.get(k) for k in ("origin", "experiment", "weight", "metrics", "digests", "verdict", "forced")}

    def plan(now: Registry) -> Plan:
        said = {"version": target.version, "stage": stage, "commit": target.commit, "from": live.version, "why": why}
        stated = changes.stamped(now.git, "rollback", {**said, **kept})
        title = f"{now.name} {target.version} → {stage}, back from {live.version}"
        tag = f"{now.name}#{stage}#{now.next_counter()}"
        return Plan((Draft(tag, target.commit, facts.write(title, _why(why), stated)),), {stage: live})

    (made,) = change.publish(plan)
    return Withdrawn(stage, live.version, target.version, made.name, tuple(change.notes))


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
    after = registry.picture.stages.get(stage)
    return Withdrawn(stage, live.version, after.version if after else None, made.name, tuple(change.notes))


def archive(registry: Registry, name: str, why: str | None, force: bool) -> Withdrawn:
    """Archive a version for good: no stage serves it any more.

    Raises:
        RegistryError: it is archived already, or a stage serves it and `force` is not given.
    """
    change = Change(registry)
    version = registry.version(name)
    if version.archived is not None:
        raise RegistryError(f"{version.name} is archived since {version.archived:%Y-%m-%d %H:%M} UTC")
    serving = {s: a for s, a in registry.picture.stages.items() if a.version == version.name}
    if serving and not force:
        stage = next(iter(serving))
        raise RegistryError(
            f"{version.name} serves {', '.join(serving)}; `mlops rollback --stage {stage}` first, or --force to archive"
            " it all the same: the stage then serves what it served before"
        )

    def plan(now: Registry) -> Plan:
        said = changes.stamped(now.git, "archive", {"version": version.name, "commit": version.commit, "why": why})
        text = facts.write(f"{now.name} {version.name} is archived", _why(why), said)
        return Plan((Draft(f"{now.name}@{version.name}!", version.commit, text),), dict(serving))

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
    said = facts.of(registry.git, [e.tag.object for e in registry.picture.events])
    below: list[Assignment] = []
    seen: dict[str, Assignment] = {}
    for event, fact in zip(registry.picture.events, said, strict=True):
        served = _served(event, stage)
        if served is None:
            continue
        seen[served.version] = served
        if _goes_back(fact):
            while below and below[-1].commit != served.commit:
                below.pop()
        elif not below or below[-1].commit != served.commit:
            below.append(served)
    alive = registry.picture.versions
    able = [
        a for a in below if a.commit != live.commit and (a.version not in alive or alive[a.version].archived is None)
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


def _served(event: Event, stage: str) -> Assignment | None:
    """What an assignment of the stage made it serve; None for any other event."""
    return event.changes.get(stage) if event.tag.stage == stage and event.tag.kind == ASSIGN else None


def _goes_back(fact: Facts) -> bool:
    return fact.get("action") == "rollback"


def _had(registry: Registry, target: Assignment) -> None:
    """Refuse to go back to a model that is nowhere."""
    found = model.model(registry.git, target.commit, registry.name)
    if Store(registry.git.folder).missing([found.out]):
        raise RegistryError(
            f"the model of {target.version} ({found.out.md5[:8]}…) is neither in DVC's cache nor in the remote; go back"
            " to another with --to, or make it again: `git switch --detach` to its commit and `dvc repro`"
        )
