"""Assignments, and the folder that follows them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from mlops import bundle, production
from mlops.registry import facts
from mlops.registry.source import Source
from mlops.registry.sync import Request, sync
from mlops.registry.synced import Report
from tests.registry import files
from tests.registry.repository import Repository

STAGES = ("prod", "canary", "shadow")


def assign(repository: Repository, version: str, commit: str, *stages: str, **said: Any) -> None:
    """Register a commit, where it is not yet, and assign it; with facts only if some are given."""
    known = repository.git.text("tag", "--list", "churn#*").splitlines()
    if not repository.git.text("tag", "--list", f"churn@{version}"):
        repository.tag(f"churn@{version}", commit)
    for number, stage in enumerate(stages, len(known) + 1):
        text = facts.write("churn", [], said) if said else ""
        repository.git.raw(
            "tag", "--cleanup=verbatim", "--annotate", f"--message={text or 'mine'}", f"churn#{stage}#{number}", commit
        )


def local(repository: Repository) -> Source:
    return Source(repository.git, repository.folder)


def models(repository: Repository) -> Path:
    return repository.folder / "models" / "production"


def synced(repository: Repository, stages: tuple[str, ...] = STAGES, keep: int | None = None) -> Report:
    return sync(local(repository), Request(models(repository), stages, keep))


def serving(root: Path) -> dict[str, str]:
    state = production.read_state(root)
    assert state
    for stage, version in state.stages.items():
        place = production.folder(root, stage, version)
        assert production.read_release(place)["digests"]["manifest"] == production.manifest_digest(place)
        bundle.load(place)
    return dict(state.stages)


def trees(root: Path, stage: str = "prod") -> int:
    """How many trees the model of a stage has: by that the bundles v1 to v4 differ."""
    place = production.folder(root, stage, serving(root)[stage])
    number: int = json.loads((place / "manifest.json").read_bytes())["hyperparameters"]["n_estimators"]
    return number


def listing(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def put_back(repository: Repository, model: Path) -> None:
    """Only this model into the empty cache."""
    files.put_folder(model, repository.folder / "models/serving")
    files.Hashed(repository.folder, "models/serving").store(repository.cache)


def altered(model: Path, target: Path, name: str = "model.onnx") -> Path:
    """A copy of a model whose manifest does not know what one of its files holds."""
    shutil.copytree(model, target)
    (target / name).write_bytes(b"rubbish")
    return target
