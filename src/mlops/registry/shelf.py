"""models/production/ besides what serves: one writer at a time, what was there before, and old versions.

backups/20260315T140000Z.json   state.json as it was until then, with the releases that it named
.sync.lock                      held by whoever writes
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from mlops import production
from mlops.errors import BundleError, RegistryError
from mlops.production import State

BACKUPS = "backups"
LOCK = ".sync.lock"
TEMPORARY = ".fetch-"
PATIENCE = 60
"""Seconds: for another writer; and how old a folder must be before it may go, for somebody may just be reading it."""


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Be the only writer of models/production/. What a killed one left half-done is removed.

    Raises:
        RegistryError: another one does not end.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / LOCK).open("a") as lock:
        _wait(lock.fileno(), root)
        for path in (*root.glob(f"{TEMPORARY}*"), *root.glob("*/.*.new"), *root.glob("*/.*.old")):
            shutil.rmtree(path, ignore_errors=True)
        yield


def _wait(lock: int, root: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline:
                raise RegistryError(
                    f"another `mlops sync` has been writing {root} for {PATIENCE} seconds; wait for it, or stop it"
                ) from None
            time.sleep(0.1)


def state(root: Path) -> State | None:
    """state.json; None also where it cannot be read: it is about to be written anew."""
    try:
        return production.read_state(root)
    except BundleError:
        return None


def mark(root: Path) -> object:
    """What changes when somebody removes or alters what serves: state.json, and size and time of the files of each
    version that it names. Nothing is read of them.
    """
    named = state(root)
    try:
        document = (root / production.STATE).read_bytes()
    except OSError:
        document = b""
    files = [
        (path, facts.st_size, facts.st_mtime_ns)
        for stage, version in (named.stages.items() if named else ())
        for path in sorted(production.folder(root, stage, version).glob("*"))
        if (facts := path.stat())
    ]
    return document, files


def put(place: Path, bundle: Path, release: dict[str, Any]) -> None:
    """Install a release whose folder is missing or damaged; a damaged one is replaced."""
    old = place.with_name(f".{place.name}.{uuid4().hex[:8]}.old")
    if place.exists():
        os.replace(place, old)
    try:
        production.install(bundle, place.parent.parent, release)
    finally:
        if old.exists() and not place.exists():
            os.replace(old, place)
        shutil.rmtree(old, ignore_errors=True)


def restate(place: Path, release: dict[str, Any]) -> None:
    """Renew what release.json says of a version that a later tag made serve again. The model stays as it is."""
    there = production.read_release(place)
    digests = {**release["digests"], "manifest": there["digests"]["manifest"]}
    wanted = {"format": there["format"], **release, "digests": digests}
    if there != json.loads(json.dumps(wanted)):
        _write(place / production.RELEASE, wanted)


def backup(root: Path) -> Path | None:
    """Keep state.json and the releases that it names under the present time; None where there is no state.json."""
    try:
        document: Any = json.loads((root / production.STATE).read_bytes())
    except (OSError, ValueError):
        return None
    old = state(root)
    releases = {}
    for stage, version in old.stages.items() if old else ():
        try:
            releases[stage] = production.read_release(production.folder(root, stage, version))
        except BundleError:
            continue
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = root / BACKUPS
    folder.mkdir(exist_ok=True)
    same = sum(1 for _ in folder.glob(f"{name}*.json"))
    place = folder / (f"{name}_{same + 1}.json" if same else f"{name}.json")
    _write(place, {"until": name, "state": document, "releases": releases})
    return place


def prune(root: Path, stage: str, keep: int, spared: Collection[str]) -> list[str]:
    """Remove old versions of a stage, but for the `keep` latest, those that are spared and those that are fresh.

    Returns:
        Names of the versions that went.
    """
    dated = [
        (facts.stat().st_mtime, facts.parent)
        for facts in (root / stage).glob(f"*/{production.RELEASE}")
        if facts.parent.name not in spared and not facts.parent.name.startswith(".")
    ]
    went = []
    for age, place in sorted(dated, reverse=True)[keep:]:
        if time.time() - age > PATIENCE:
            gone = place.with_name(f".{place.name}.{uuid4().hex[:8]}.old")
            os.replace(place, gone)
            shutil.rmtree(gone)
            went.append(place.name)
    return went


def _write(path: Path, document: Any) -> None:
    fresh = path.with_name(f".{path.name}.{uuid4().hex[:8]}.new")
    content = json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"
    fresh.write_bytes(content)
    os.replace(fresh, path)
