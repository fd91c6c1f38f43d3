"""A sweep that runs: trials are taken, judged and finished, what they found is kept, and filed as an experiment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mlops.errors import ExperimentError
from mlops.experiments import documents, filing
from mlops.features import Floats
from mlops.sweep import study as studies
from mlops.sweep import trial_commit, workers
from mlops.sweep.data import Data
from mlops.sweep.objective import Measured
from mlops.sweep.study import Study
from mlops.sweep.workers import Loop, Outcome, Work
from mlops.sweep.workspace import Workspace

_LISTED = "%(objectname) %(refname)"
_SAME = ("study", "number", "params", "folds")
"""By which a trial's record is known: not by what it cost, which is never measured twice alike."""


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
            record = self._record(trial.number, trial.user_attrs)
            name, commit = self._there(record) or self._filed(record)
            self.study.filed(trial.number, name, commit)

    def _filed(self, record: Mapping[str, Any]) -> tuple[str, str]:
        git, head = self.workspace.git, self.workspace.head
        changes = trial_commit.changes(self.workspace, record["params"], record)
        made = filing.file(git, name=record["name"], base=head, changes=changes)
        return made.name, made.commit

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

    def _there(self, record: Mapping[str, Any]) -> tuple[str, str] | None:
        """Name and commit of the experiment, where a process that was killed filed it.

        Another's of that name, from a study that is called alike, is not it: it has other params, or found otherwise.
        """
        git, called = self.workspace.git, re.compile(re.escape(record["name"]) + r"(-\d+)?")
        listed = [line.split(" ") for line in git.text("for-each-ref", f"--format={_LISTED}", "refs/exps/").split("\n")]
        found = [(ref.rsplit("/", 1)[-1], commit) for commit, ref in (pair for pair in listed if len(pair) == 2)]
        mine = [(name, commit) for name, commit in found if called.fullmatch(name)]
        records = git.contents([f"{commit}:{trial_commit.RECORD}" for _, commit in mine])
        for place, content in zip(mine, records, strict=True):
            there = documents.mapping(content)
            if all(there.get(key) == record[key] for key in _SAME):
                return place
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
