"""`mlops show` and `mlops history`: what the stages serve, what they served, who decided it and on what grounds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mlops.errors import StoreError, one_line
from mlops.registry import describe, facts, moments
from mlops.registry.facts import Facts
from mlops.registry.look import Registry
from mlops.registry.remote import Remote
from mlops.registry.resolve import Assignment, Event, Picture
from mlops.registry.tags import ARCHIVE, ASSIGN, DEPRECATE, REGISTER, shown
from mlops.store import model

Record = dict[str, Any]


def stages(registry: Registry, picture: Picture, *, deep: bool = False) -> dict[str, Record]:
    """What each stage serves, in policy.yaml's order of stages.

    Args:
        registry: of this repository.
        picture: now, or of another time.
        deep: also data version, parameters and all metrics, from the commit.
    """
    known = registry.policy.registry.stages
    serving = sorted(picture.stages.values(), key=lambda a: known.index(a.stage) if a.stage in known else len(known))
    said = facts.of(registry.git, [a.object for a in serving])
    return {a.stage: _record(registry, a, f, deep) for a, f in zip(serving, said, strict=True)}


def _record(registry: Registry, assignment: Assignment, said: Facts, deep: bool) -> Record:
    by = {key: shown(text) for key, text in (said.get("by") or _tagger(registry, assignment.tag)).items()}
    record = {
        "version": assignment.version,
        "commit": assignment.commit,
        "tag": assignment.tag,
        "since": moments.iso(assignment.at),
        "by": by,
        "why": plain(said.get("why")),
        "verdict": facts.verdict(said),
        "origin": plain(said.get("origin")),
        "experiment": plain(said.get("experiment")),
        "weight": said.get("weight"),
        "proof": plain((said.get("proof") or {}).get("verdict")),
    }
    if deep:
        record |= {
            "digests": said.get("digests") or _digests(registry, assignment.commit),
            "metrics": said.get("metrics") or describe.metrics(registry.git, assignment.commit),
            "params": describe.flat(describe.parameters(registry.git, assignment.commit)),
        }
    return record


def plain(text: str | None) -> str | None:
    """A text of a tag on one line, without what steers a terminal."""
    return None if text is None else shown(one_line(text))


def _digests(registry: Registry, commit: str) -> dict[str, str]:
    """What the commit itself says, for a tag that states nothing."""
    try:
        return describe.digests(registry.git, commit, model.model(registry.git, commit, registry.name))
    except StoreError:  # a commit without a model: whoever needs it says so
        return {}


def _tagger(registry: Registry, name: str) -> dict[str, str]:
    who = next((t.tagger for t in registry.tags if t.name == name), "")
    person, _, email = who.partition(" <")
    return {"name": person, "email": email.rstrip(">")}


def nothing(registry: Registry) -> str:
    """Why no stage serves anything, and what to type."""
    if registry.tags:
        return "No stage serves anything: all was taken away or archived; see `mlops history`."
    remote = registry.policy.registry.remote
    if remote and registry.git.config(f"remote.{remote}.url"):
        return f"No tags here: `git fetch {remote} --tags` gets those of {remote}, `mlops promote` makes the first."
    return "No stage serves anything yet; `mlops promote` makes the first version prod."


def versions(registry: Registry) -> list[Record]:
    """All registered versions, the highest first."""
    return [
        {
            "version": version.name,
            "commit": version.commit,
            "tag": version.tag,
            "registered": moments.iso(version.at),
            "archived": moments.iso(version.archived) if version.archived else None,
            "stages": [s for s, a in registry.picture.stages.items() if a.version == version.name],
        }
        for version in registry.picture.versions.values()
    ]


def history(registry: Registry, stage: str | None, most: int | None) -> list[Record]:
    """All changes, the latest first: of one stage, or of all."""
    events = [
        e for e in reversed(registry.picture.events) if stage is None or e.tag.stage == stage or stage in e.changes
    ]
    chosen = events if most is None else events[:most]
    said = facts.of(registry.git, [e.tag.object for e in chosen])
    return [_change(registry, event, fact) for event, fact in zip(chosen, said, strict=True)]


def _change(registry: Registry, event: Event, said: Facts) -> Record:
    tag = event.tag
    person, _, email = tag.tagger.partition(" <")
    return {
        "at": moments.iso(event.at),
        "tag": tag.name,
        "action": said.get("action") if tag.kind == ASSIGN and said.get("action") == "rollback" else tag.kind,
        "stage": tag.stage,
        "version": tag.version or _version(registry, event),
        "commit": tag.commit,
        "by": {"name": person, "email": email.rstrip(">")},
        "why": plain(said.get("why")),
        "verdict": facts.verdict(said) if tag.kind == ASSIGN else None,
        "serves": {stage: a.version if a else None for stage, a in event.changes.items()},
    }


def _version(registry: Registry, event: Event) -> str:
    """What a stage's change was about, under the name that it had then."""
    served = event.changes.get(str(event.tag.stage))
    if served is not None and served.commit == event.tag.commit:
        return served.version
    return registry.picture.version_at(event.tag.commit)


def unfinished(registry: Registry) -> list[str]:
    """Publications that were cut off and that the next change will finish or withdraw, a line each."""
    remote = Remote(registry.git, registry.policy.registry.remote, registry.name)
    return [
        f"{name} was made here, and whether it reached {remote.name or 'others'} is not known; it does not count yet."
        " The next `mlops promote` or `mlops rollback` finds out"
        for name in remote.pending()
    ]


def words(event: Record) -> str:
    """What a change did, in words."""
    version, stage = event["version"], event["stage"]
    return {
        REGISTER: f"{version} registered",
        ARCHIVE: f"{version} archived",
        DEPRECATE: "everything archived",
        ASSIGN: f"{version} → {stage}",
        "rollback": f"{version} → {stage} (back)",
    }.get(event["action"], f"{version} leaves {stage}")


def local(text: str) -> str:
    """A time of a record, as people read it."""
    return moments.shown(datetime.fromisoformat(text))


def metric_lines(record: Record, names: Sequence[str] | None = None) -> list[str]:
    """Metrics with their intervals, a line each."""
    found = record.get("metrics") or {}
    return [
        f"{name} {m['value']:.4f} [{m['low']:.4f}, {m['high']:.4f}]"
        for name, m in found.items()
        if names is None or name in names
    ]
