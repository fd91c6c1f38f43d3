"""Which version number comes next."""

from __future__ import annotations

import re
from collections.abc import Collection

from mlops.errors import RegistryError
from mlops.registry.look import Registry
from mlops.registry.tags import SEMVER, order

FIRST = "v1.0.0"
BUMPS = ("major", "minor", "patch")


def choose(registry: Registry, commit: str, wanted: str | None, bump: str) -> str:
    """The version that a commit is promoted as: its own, the one asked for, or the next.

    Args:
        registry: with the versions there are.
        commit: to be promoted.
        wanted: a version that somebody asked for, with or without its v.
        bump: major, minor or patch.

    Raises:
        RegistryError: the version belongs to another commit, is archived, or is no version.
    """
    versions = registry.picture.versions
    own = [v for v in versions.values() if v.commit == commit]
    if wanted is None:
        alive = [v.name for v in own if v.archived is None]
        if alive:
            return alive[0]
        if own:
            raise RegistryError(
                f"{own[0].name} is archived since {own[0].archived:%Y-%m-%d}, for good; what it is serves again only"
                " under a new version: `mlops promote … --version` with one"
            )
        return following(registry.taken, bump)
    name = wanted if wanted.startswith("v") else f"v{wanted}"
    if not re.fullmatch(SEMVER, name):
        raise RegistryError(f"{wanted!r} is no semantic version such as v1.2.0 or v2.0.0-rc.1")
    taken = versions.get(name)
    if name in registry.taken and (taken is None or taken.commit != commit or taken.archived is not None):
        state = "not followed" if taken is None else "archived" if taken.archived else f"commit {taken.commit[:8]}"
        raise RegistryError(
            f"version {name} is taken ({state}); without --version it is {following(registry.taken, bump)}"
        )
    return name


def following(versions: Collection[str], bump: str) -> str:
    """The version after the highest of all there ever were."""
    if not versions:
        return FIRST
    highest = max(versions, key=order)
    major, minor, patch = (int(n) for n in re.split(r"[-+]", highest[1:], maxsplit=1)[0].split("."))
    if bump == "major":
        return f"v{major + 1}.0.0"
    return f"v{major}.{minor + 1}.0" if bump == "minor" else f"v{major}.{minor}.{patch + 1}"
