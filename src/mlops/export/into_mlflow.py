"""One export into MLflow: what the server lacks is written, aliases are moved, nothing is written twice."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mlops.errors import ExperimentError
from mlops.export import address, choose
from mlops.export.address import Mlflow
from mlops.export.choose import EXPERIMENT, Subject
from mlops.export.facts import Facts
from mlops.export.models import Changed, Models
from mlops.export.tracking import PRUNED, There, Tracking
from mlops.git import Git
from mlops.registry.look import Registry

LOCK = Path(".dvc/tmp/mlops-export.lock")


@dataclass
class Done:
    """What an export did. renamed: names that MLflow refuses, and what they became there."""

    address: str
    experiment: str
    id: str
    new: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    there: int = 0
    pruned: int = 0
    lacking: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    models: Changed = field(default_factory=Changed)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "address": self.address, "experiment": self.experiment, "new": self.new, "finished": self.finished,
            "there": self.there, "pruned": self.pruned, "without_model": self.lacking, "renamed": self.renamed,
            "versions": self.models.new, "aliases": self.models.moved, "versions_left": self.models.left,
        }  # fmt: skip


@dataclass(frozen=True)
class Wishes:
    """What is asked for. experiment: MLflow's, the registry's name where it is None; see `choose.subjects`."""

    experiment: str | None = None
    since: datetime | None = None
    history: bool = False
    prune: bool = False


def export(registry: Registry, mlflow: Mlflow, wishes: Wishes) -> Done:
    """Bring a server up to date.

    Raises:
        ExperimentError: it does not answer, or another export of this clone runs.
    """
    with _alone(registry.git), address.told(mlflow.address):
        subjects = choose.subjects(registry, wishes.since, history=wishes.history)
        name = wishes.experiment or registry.name
        tracking = Tracking(mlflow, name, _repository(registry.git))
        there = tracking.there()
        done = Done(mlflow.address, name, tracking.id)
        _write(registry, tracking, subjects, there, done)
        if wishes.prune:
            done.pruned = _prune(tracking, registry, there)
        runs = {commit: known.run for commit, known in tracking.there().items() if not known.deleted}
        done.models = Models(mlflow, registry).write(runs)
    return done


def _write(
    registry: Registry, tracking: Tracking, subjects: Sequence[Subject], there: Mapping[str, There], done: Done
) -> None:
    facts = Facts(registry.git, registry.name)
    todo = [s for s in subjects if _is_open(there.get(s.commit))]
    done.there = len(subjects) - len(todo)
    for subject in tqdm(todo, "export", unit="run", disable=None, leave=False):
        known = there.get(subject.commit)
        run = facts.read(subject)
        if known is not None and known.finished and not run.has_model:
            done.there += 1
            done.lacking.append(subject.name)
            continue
        tracking.write(run, facts.unpack, known)
        (done.new if known is None else done.finished).append(subject.name)
        if "model" in run.contents.missing:
            done.lacking.append(subject.name)
    done.renamed = tracking.renamed


def _is_open(known: There | None) -> bool:
    """Whether something is left to be written; what somebody deleted over there stays deleted."""
    if known is None or known.state == PRUNED:
        return True
    return not known.deleted and (not known.finished or known.lacks_model)


def _prune(tracking: Tracking, registry: Registry, there: Mapping[str, There]) -> int:
    """Remove experiments of this repository that this clone has not, whatever --since says."""
    own = _repository(registry.git)
    here = {subject.commit for subject in choose.subjects(registry)}
    gone = [
        known
        for commit, known in there.items()
        if commit not in here and known.kind == EXPERIMENT and known.repository == own and not known.deleted
    ]
    for known in gone:
        tracking.prune(known)
    return len(gone)


def _repository(git: Git) -> str:
    """What all clones of a repository have in common: its first commit."""
    return git.text("rev-list", "--max-parents=0", "HEAD").split("\n")[-1]


@contextmanager
def _alone(git: Git) -> Iterator[None]:
    """Two exports of one clone at once would both write what neither found."""
    place = git.folder / LOCK
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExperimentError("another export of this clone runs; wait for it, or end it") from None
        yield
