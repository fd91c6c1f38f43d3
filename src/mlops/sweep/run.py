"""A sweep that runs: trials are taken, judged and finished, what they found is kept, and filed as an experiment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mlops.errors import ExperimentError
from mlops.experiments import filing
from mlops.features import Floats
from mlops.sweep import study as studies
from mlops.sweep import trial_commit, workers
from mlops.sweep.data import Data
from mlops.sweep.objective import Measured
from mlops.sweep.study import Study
from mlops.sweep.workers import Loop, Outcome, Work
from mlops.sweep.workspace import Workspace


class Watcher(Protocol):
    """What is told of a sweep while it runs."""

    def began(self, sweep: Running, total: int) -> None:
        """It runs now."""

    def finished(self, sweep: Running, number: int, outcome: Outcome) -> None:
        """A trial came to its end."""


@dataclass(frozen=True)
class Running:
    """An open study with all that its trials need.

    Args:
        study: asked and told.
        work: what trials are made of.
        rows: the rows.
        limits: cost → the most it may be, None for no limit.
        place: the folder for what Optuna does not keep.
        workspace: what trials are experiments of.
        facts: what every trial's record says.
    """

    study: Study
    work: Work
    rows: Data
    limits: Mapping[str, float | None]
    place: Path
    workspace: Workspace
    facts: Mapping[str, Any]

    @property
    def metric(self) -> str:
        """What decides."""
        return self.work.task.metric

    def trials(self, total: int, jobs: int, watcher: Watcher) -> None:
        """Run trials until there are so many in all."""
        going: set[int] = set()

        def take() -> Any:
            if self.study.done() + len(going) >= total:
                return None
            taken = self.study.take()
            going.add(taken[0])
            return taken

        def finish(number: int, outcome: Outcome) -> None:
            self.finish(number, outcome)
            going.discard(number)
            watcher.finished(self, number, outcome)

        loop = Loop(take, self.study.behind, finish)
        watcher.began(self, total)
        if jobs == 1:
            workers.here(self.work, loop, self.rows)
        else:
            workers.apart(self.work, loop, jobs)

    def finish(self, number: int, outcome: Outcome) -> None:
        """Keep what a trial found, and file it."""
        if isinstance(outcome, str):
            if number == 0:  # which is not told to the study, so that it is tried again
                raise ExperimentError(f"params.yaml as it is cannot be fitted ({outcome}); put that right first")
            self.study.fail(number, outcome)
            return
        if outcome.stopped is None:
            self._keep(number, outcome)
        self.study.tell(number, _result(outcome), self.limits)
        self.file()

    def mend(self) -> None:
        """Finish what a process that was killed had begun to keep and to file."""
        self.study.conclude(self.limits)
        self.file()

    def file(self) -> None:
        """File the finished trials that are not experiments yet."""
        for trial in self.study.unfiled():
            name = self.called(trial.number)
            there = self._there(name)
            if there is None:
                record = self._record(trial.number, trial.user_attrs)
                changes = trial_commit.changes(self.workspace, trial.user_attrs[studies.SETTINGS], record)
                git, head = self.workspace.git, self.workspace.head
                there = filing.file(git, name=name, base=head, changes=changes).commit
            self.study.filed(trial.number, there)

    def called(self, number: int) -> str:
        """The experiment of a trial."""
        return f"{self.study.name}-{number:03d}"

    def scored(self, number: int) -> tuple[list[Floats], list[float]] | None:
        """Probabilities and threshold of each fold of a finished trial; None where they are gone."""
        try:
            with np.load(self._kept(number)) as held:
                folds = len(held["thresholds"])
                return [held[f"p{i}"] for i in range(folds)], held["thresholds"].tolist()
        except (OSError, ValueError, KeyError):
            return None

    def _kept(self, number: int) -> Path:
        return self.place / self.study.name / f"{number}.npz"

    def _keep(self, number: int, outcome: Measured) -> None:
        place = self._kept(number)
        place.parent.mkdir(exist_ok=True)
        fresh = place.with_name(f".{place.name}.new")
        try:
            with fresh.open("wb") as file:
                arrays: dict[str, Any] = {f"p{i}": p for i, p in enumerate(outcome.p)}
                np.savez(file, thresholds=np.array(outcome.thresholds), **arrays)
            os.replace(fresh, place)
        finally:
            fresh.unlink(missing_ok=True)

    def _there(self, name: str) -> str | None:
        """The commit of the experiment, where a process that was killed filed it."""
        git = self.workspace.git
        listed = git.text("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps/")
        found = [line.split(" ")[0] for line in listed.split("\n") if line.endswith(f"/{name}")]
        records = git.contents([f"{commit}:{trial_commit.RECORD}" for commit in found])
        for commit, content in zip(found, records, strict=True):
            if content is not None and json.loads(content).get("study") == self.study.name:
                return commit
        return None

    def _record(self, number: int, attrs: Mapping[str, Any]) -> dict[str, Any]:
        result = attrs[studies.RESULT]
        spread = result["std"].get(self.metric)
        metrics = result["mean"] | ({f"{self.metric}_std": spread} if spread is not None else {}) | result["cost"]
        return {
            "study": self.study.name,
            "number": number,
            "name": self.called(number),
            "state": "finished",
            "baseline": bool(attrs.get(studies.BASELINE)),
            "params": attrs[studies.SETTINGS],
            "metrics": {self.work.validate.method: metrics},
            "folds": result["folds"],
            "seconds": result["seconds"],
            **self.facts,
        }


def _result(outcome: Measured) -> dict[str, Any]:
    """A trial's result as the study keeps it."""
    if not outcome.folds:
        return {"stopped": outcome.stopped, "seconds": outcome.seconds}
    return {
        "mean": outcome.mean(),
        "std": outcome.std(),
        "folds": [{name: round(value, 6) for name, value in fold.items()} for fold in outcome.folds],
        "cost": dict(outcome.cost),
        "seconds": outcome.seconds,
        "stopped": outcome.stopped,
    }
