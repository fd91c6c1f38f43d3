"""Which model scores: a promoted version of models/production/, or the workspace's own models/serving/."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlops import bundle, production
from mlops.bundle import Bundle
from mlops.errors import BundleError, nearest

PROD = "prod"


@dataclass(frozen=True)
class Model:
    """A loaded model and what each of its predictions says of it. commit and stage are None where it is unpromoted."""

    folder: Path
    bundle: Bundle
    version: str
    commit: str | None
    stage: str | None


def choose(models: Path, stage: str | None) -> Model:
    """The version that a stage serves; without a stage prod's, or models/serving/ where nothing is promoted to prod.

    Raises:
        BundleError: nothing is promoted to the stage, or the model is missing, altered or of another release.
    """
    root = models / "production"
    state = production.read_state(root)
    stages = {} if state is None else state.stages
    if stage is not None and stage not in stages:
        known = f"; promoted: {', '.join(sorted(stages))}" if stages else ""
        raise BundleError(
            f"{root}: nothing is promoted to {stage!r}{nearest(stage, stages) or known}; without --stage prod's model"
            " scores, or the workspace's own"
        )
    stage = stage or PROD
    if stage in stages:
        return _promoted(production.folder(root, stage, stages[stage]), stage)
    folder = models / "serving"
    digest = production.manifest_digest(folder)
    return Model(folder, bundle.load(folder), f"unpromoted-{digest[:8]}", None, None)


def _promoted(folder: Path, stage: str) -> Model:
    release = production.read_release(folder)
    if production.manifest_digest(folder) != release["digests"]["manifest"]:
        raise BundleError(f"{folder} holds another model than its release.json names; promote the version again")
    return Model(folder, bundle.load(folder), str(release["version"]), release.get("commit"), stage)
