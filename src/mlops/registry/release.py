"""`mlops release`: what a pushed tag releases, if its stage serves just that. A pattern of names cannot tell.

Release automation starts at a name such as churn#prod#7. Until it runs, the version may have been replaced, taken away
or archived, and somebody's tag may be one that nobody follows: then nothing may be built from it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from mlops.errors import RegistryError, nearest
from mlops.registry.look import Registry
from mlops.registry.tags import ASSIGN, Tag
from mlops.store import model

_IMAGE = re.compile(r"[a-z0-9.-]+(?::\d+)?(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)+")
"""A registry's host and a path, as the OCI distribution specification, version 1.1, has them."""


class Release(NamedTuple):
    """What a tag releases.

    origin: `pipeline` can be rebuilt from the commit, `notebook` cannot. image_tag: of the container image, another one
    for each assignment: v1.2.0-prod.7. image: the image's name without it, reference: with it; empty unless asked for.
    """

    tag: str
    stage: str
    version: str
    commit: str
    origin: str
    image_tag: str
    image: str = ""
    reference: str = ""


def release(registry: Registry, name: str, image: str | None = None) -> Release:
    """What the tag of this name releases.

    Args:
        registry: of this repository.
        name: of a tag, with or without refs/tags/ before it.
        image: what the container image shall be called; capitals, which GitHub's names may have and images' may not,
            become small letters.

    Raises:
        RegistryError: it assigns nothing, is not followed, or its stage serves something else by now.
        StoreError: its commit has no model.
    """
    tag = _assignment(registry, name.removeprefix("refs/tags/"))
    stage = str(tag.stage)
    serving = registry.picture.stages.get(stage)
    if serving is None or serving.object != tag.object:
        raise RegistryError(_why_not(registry, tag))
    origin = model.model(registry.git, tag.commit, registry.name).origin
    count = "" if tag.counter is None else f".{tag.counter}"
    image_tag = f"{serving.version}-{stage}{count}".replace("+", "_")
    if image is None:
        return Release(tag.name, stage, serving.version, tag.commit, origin, image_tag)
    called = image.lower()
    if not _IMAGE.fullmatch(called):
        raise RegistryError(f"{image!r} is no name of a container image; ghcr.io/acme/churn is one")
    return Release(tag.name, stage, serving.version, tag.commit, origin, image_tag, called, f"{called}:{image_tag}")


def _assignment(registry: Registry, name: str) -> Tag:
    """The assignment of this name, which must be one that is followed."""
    tag = next((t for t in registry.tags if t.name == name), None)
    if tag is None or tag.object in registry.ignored:
        said = next((line for line in registry.warnings if line.startswith(f"tag {name} is ")), None)
        known = [t.name for t in registry.tags if t.kind == ASSIGN]
        hint = nearest(name, known) or "; `git fetch --tags` gets those that are new"
        raise RegistryError(said or f"there is no tag {name} here{hint}")
    if tag.kind != ASSIGN:
        serving = [a.tag for a in registry.picture.stages.values() if tag.stage in (None, a.stage)]
        there = f"; released are assignments: {', '.join(serving)}" if serving else ""
        raise RegistryError(f"tag {name} gives no stage a version{there}")
    return tag


def _why_not(registry: Registry, tag: Tag) -> str:
    """Why a stage does not serve what a tag assigned to it."""
    picture, stage = registry.picture, tag.stage
    version = picture.version_at(tag.commit)
    known = picture.versions.get(version)
    last = next((e.tag.name for e in reversed(picture.events) if stage in e.changes), None)
    serving = picture.stages.get(str(stage))
    why = f"{version} was archived" if known and known.archived else f"{last or 'a later tag'} came after it"
    now = f"{serving.version}, by tag {serving.tag}: release that" if serving else "nothing"
    return f"tag {tag.name} is over: {why}; {stage} serves {now}"


def append(found: Release, path: Path) -> None:
    """Append a release to a file as lines of NAME=VALUE, as workflow steps hand their results on."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in found._asdict().items())
