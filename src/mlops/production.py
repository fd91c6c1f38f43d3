"""models/production/: what is promoted, as files. Written by promotion, followed by the service and by batch scoring.

    state.json                   which version each stage serves, and the share of customers of each variant
    <stage>/<version>/           the files of models/serving/ and release.json: version, commit, tag, digests, metrics

A version's folder appears whole or not at all, and its model is never changed afterwards (release.json is replaced in
one step when the version is promoted again); so is state.json. So whoever reads state.json first finds every version
that it names.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from mlops.errors import BundleError

FORMAT = 1
STATE = "state.json"
RELEASE = "release.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


@dataclass(frozen=True)
class State:
    """Which version each stage serves. weights: variant → share of customers, 0 to 1; what is left is the stage's own.

    weights is None where state.json says nothing of them.
    """

    stages: Mapping[str, str]
    weights: Mapping[str, float] | None = None
    updated: str = field(default="", compare=False)


def folder(root: Path, stage: str, version: str) -> Path:
    """Where a version of a stage lies.

    Raises:
        BundleError: a name that could lead out of the folder.
    """
    for name in (stage, version):
        if not NAME.fullmatch(name):
            raise BundleError(f"{name!r} is no name of a stage or version; letters, digits and . _ + - make one")
    return root / stage / version


def read_state(root: Path) -> State | None:
    """What state.json says; None when there is none: nothing is promoted.

    Raises:
        BundleError: it cannot be read, or says what cannot be.
    """
    path = root / STATE
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, OSError, RecursionError) as error:
        raise BundleError(f"{path} cannot be read ({error}); write it again by promoting") from error
    try:
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}, this version reads {FORMAT}")
        stages = {str(stage): str(facts["version"]) for stage, facts in document["stages"].items()}
        for stage, version in stages.items():
            folder(root, stage, version)
        weights = document.get("weights")
        return State(stages, None if weights is None else checked_weights(weights), str(document.get("updated", "")))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{path} is not what promotion writes ({error!r}); promote again") from error


def checked_weights(weights: object) -> dict[str, float]:
    """Shares of customers by variant, as given in JSON or YAML.

    Raises:
        ValueError: a share that is no number from 0 to 1, or shares above 1 together.
    """
    if not isinstance(weights, Mapping):
        raise ValueError("weights: a share for each variant is needed, such as canary: 0.1")
    for variant, share in weights.items():
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ValueError(f"weights: {variant}: {share!r} is no share from 0 to 1")
    if sum(weights.values()) > 1:
        raise ValueError("weights: together they are more than 1")
    return {str(variant): float(share) for variant, share in weights.items()}


def write_state(root: Path, stages: Mapping[str, str], weights: Mapping[str, float] | None = None) -> None:
    """Replace state.json in one step. Every version it names must be installed."""
    for stage, version in stages.items():
        if not (folder(root, stage, version) / RELEASE).exists():
            raise BundleError(f"{folder(root, stage, version)} is not installed; install it before it is served")
    document: dict[str, Any] = {
        "format": FORMAT,
        "stages": {stage: {"version": version} for stage, version in stages.items()},
        "updated": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if weights is not None:
        document["weights"] = checked_weights(weights)
    _replace(root / STATE, json.dumps(document, indent=1).encode() + b"\n")


def install(bundle: Path, root: Path, release: Mapping[str, Any]) -> Path:
    """Copy a bundle to where its release belongs; the folder appears whole. Returns it.

    Args:
        bundle: a folder such as models/serving/.
        root: models/production/.
        release: at least stage, version and commit; `digests.manifest` and `format` are added.
    """
    place = folder(root, str(release["stage"]), str(release["version"]))
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}.{uuid4().hex[:8]}.new")
    shutil.copytree(bundle, fresh)
    digests = {**release.get("digests", {}), "manifest": manifest_digest(bundle)}
    document = {"format": FORMAT, **release, "digests": digests}
    (fresh / RELEASE).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if place.exists():
        shutil.rmtree(fresh)
        if read_release(place)["digests"]["manifest"] != digests["manifest"]:
            raise BundleError(f"{place} is there with another model; a version never changes: take the next one")
        return place
    os.replace(fresh, place)
    return place


def manifest_digest(bundle: Path) -> str:
    """The sha256 of a bundle's manifest, which holds the digests of all its files: the model's own digest."""
    try:
        return hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    except OSError as error:
        raise BundleError(f"{bundle}/manifest.json cannot be read ({error.strerror}); `dvc repro` makes it") from error


def read_release(place: Path) -> dict[str, Any]:
    """The release.json of an installed version.

    Raises:
        BundleError: it is missing, or is not the release of this folder.
    """
    path = place / RELEASE
    try:
        release = json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError) as error:
        raise BundleError(f"{path} cannot be read ({error}); promote the version again") from error
    if not isinstance(release, dict) or release.get("format") != FORMAT:
        raise BundleError(f"{path}: this version reads format {FORMAT}; promote the version again")
    if (release.get("stage"), release.get("version")) != (place.parent.name, place.name):
        raise BundleError(f"{path} belongs to another stage or version; promote the version again")
    if not isinstance(release.get("digests"), dict) or not isinstance(release["digests"].get("manifest"), str):
        raise BundleError(f"{path} lacks the manifest's digest; promote the version again")
    return release


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{uuid4().hex[:8]}.new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
