"""What stands behind a logged prediction: the tag that made its version serve, the commit, the data, the reasons."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mlops.errors import StoreError
from mlops.registry import describe, moments, past, show
from mlops.registry.logged import Batch
from mlops.registry.look import Registry
from mlops.registry.resolve import Assignment, Picture, unregistered
from mlops.registry.tags import ASSIGN
from mlops.store import model

Record = dict[str, Any]


def of(registry: Registry, batch: Batch) -> Record:
    """Version, tag, commit, parameters, digests, metrics, who decided it and why; `notes` on what is not as it should
    be, a line each. What nobody knows is None.
    """
    if batch.version.startswith(past.UNPROMOTED):
        note = f"{batch.version} was never promoted: who answers for it, and from which commit it came, is not known"
        return _nothing(batch, None) | {"notes": [note]}
    registered = registry.picture.versions.get(batch.version)
    commit = batch.commit or (registered.commit if registered else None)
    known = commit is not None and past.here(registry.git, commit)
    assignment = _assignment(registry, batch, commit)
    record = _nothing(batch, commit)
    if assignment is not None:
        record |= _told(registry, assignment)
    if known and commit is not None:
        record |= _made_of(registry, commit, record)
    return record | {"notes": _notes(registry, batch, commit, assignment)}


def _nothing(batch: Batch, commit: str | None) -> Record:
    named = {"version": batch.version, "commit": commit}
    unknown = ("tag", "since", "by", "why", "verdict", "origin", "experiment", "proof")
    return {**named, **dict.fromkeys(unknown), "digests": {}, "metrics": {}, "params": {}}


def _assignment(registry: Registry, batch: Batch, commit: str | None) -> Assignment | None:
    """The tag by which the stage served the commit when the prediction was made; without any, its registration."""
    when = datetime.fromisoformat(batch.at)
    given = [e for e in registry.picture.events if e.tag.commit == commit]
    made = [e for e in given if e.tag.kind == ASSIGN and e.tag.stage == batch.variant]
    # The service's clock may be behind the tagger's: then its first predictions seem older than the tag.
    event = next((e for e in reversed(made) if e.at <= when), made[0] if made else None)
    event = event or next((e for e in given if e.tag.version == batch.version), None)
    if event is None or commit is None:
        return None
    return Assignment(batch.variant, batch.version, commit, event.tag.name, event.tag.object, event.at)


def _told(registry: Registry, assignment: Assignment) -> Record:
    """What its tag says, as `mlops history --at` tells it."""
    picture = Picture({assignment.stage: assignment})
    record = show.stages(registry, picture)[assignment.stage]
    said = registry.facts(assignment.object)
    return record | {"digests": said.get("digests") or {}, "metrics": said.get("metrics") or {}}


def _made_of(registry: Registry, commit: str, record: Record) -> Record:
    """What the commit itself says; where both speak, the commit counts: a tag's message is only a copy."""
    try:
        found = model.model(registry.git, commit, registry.name)
        digests = describe.digests(registry.git, commit, found)
    except StoreError:  # told by whoever needs the model
        digests = {}
    return {
        "digests": record["digests"] | digests,
        "metrics": describe.metrics(registry.git, commit) or record["metrics"],
        "params": describe.flat(describe.parameters(registry.git, commit)),
    }


def _notes(registry: Registry, batch: Batch, commit: str | None, assignment: Assignment | None) -> list[str]:
    version, name = batch.version, registry.name
    registered = registry.picture.versions.get(version)
    notes = []
    if registered is None and (commit is None or version != unregistered(commit)):
        notes.append(
            f"there is no tag {name}@{version} that can be followed; if it was deleted, which nobody should, `git fetch"
            " --tags` brings it back from where it is shared"
        )
    if registered is not None and commit != registered.commit:
        notes.append(
            f"tag {registered.tag} names commit {registered.commit[:8]}, the log says {commit and commit[:8]}: the tag"
            " was moved, and tags are never to be moved; the log's commit is followed here"
        )
    if assignment is None or "#" not in assignment.tag:
        notes.append(f"no tag gives {version} to {batch.variant}: who decided that is not known")
    if registered is not None and registered.archived is not None:
        notes.append(f"{version} is archived since {moments.shown(registered.archived)}")
    return notes
