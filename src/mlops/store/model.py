"""The model of a commit: where it is, by which digest, and who made it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlops.errors import StoreError, nearest
from mlops.git import Git
from mlops.store import lock, pipeline
from mlops.store.lock import Out

Origin = Literal["pipeline", "notebook"]
TRIAL = ("sweep.json", "metrics/evaluate/metrics.json")
"""A trial of a sweep has the first and lacks the second: the pipeline did not run for it."""


@dataclass(frozen=True)
class Model:
    """The model of a commit. origin: `pipeline` can be rebuilt from the commit, `notebook` cannot."""

    commit: str
    path: str
    out: Out
    origin: Origin


def model(git: Git, commit: str, name: str) -> Model:
    """The model that `artifacts:` of a commit's dvc.yaml names.

    Args:
        git: the repository.
        commit: its full hash.
        name: of the artifact, such as churn.

    Raises:
        StoreError: the commit names no such model, or nobody made it: what is missing and what to type.
    """
    declared = pipeline.pipeline(git, commit)
    short = commit[:8]
    record, evaluated = git.contents([f"{commit}:{path}" for path in TRIAL])
    if record is not None and evaluated is None:
        raise StoreError(
            f"commit {short} is a trial of a sweep, which keeps no model; `mlops sweep --apply` runs the pipeline with"
            " the best one, `dvc exp apply` and `dvc repro` with any"
        )
    if declared is None:
        raise StoreError(f"commit {short} has no {pipeline.FILE}: it is no version of this project; see `git log`")
    if name not in declared.artifacts:
        hint = nearest(name, declared.artifacts) or f"; add {name} with its path under artifacts and commit"
        raise StoreError(f"{pipeline.FILE} of commit {short} names no artifact {name!r}{hint}")
    path = declared.artifacts[name]
    pointed = lock.pointer(git, commit, path)
    if pointed:
        return Model(commit, path, pointed, "notebook")
    locked = lock.read(git, commit)
    made = locked.out(path)
    if made is None:
        raise StoreError(
            f"{path} of commit {short} was made by no stage of {lock.FILE} and has no .dvc file;"
            f" `dvc repro && git add {lock.FILE} && git commit`, or `dvc add {path}` for a model of your own"
        )
    if any(path in stage.uncached for stage in locked.stages.values()):
        raise StoreError(
            f"{path} of commit {short} has `cache: false` in {pipeline.FILE}: DVC does not keep it; drop that"
        )
    return Model(commit, path, made, "pipeline")
