"""A sweep's study, as Optuna keeps it in one SQLite file: asked for trials, told of them, mended after a kill.

One process writes to it, whatever the number of jobs. What a trial found is written before its state, its state before
its experiment is filed, and that it is filed last: whatever a kill leaves, the next start knows what is missing.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import TPESampler
from optuna.study import Study as Optunas
from optuna.trial import FrozenTrial, Trial, TrialState

from mlops.errors import ExperimentError
from mlops.metrics.measure import HIGHER_IS_BETTER
from mlops.sweep.space import Settings, Space

PLACE = Path(".dvc/tmp/mlops-sweeps")
FILE = "studies.db"
WAIT = 60
"""Seconds that a look at the file waits for somebody else's write."""
KEEP, KEEP_OF_FOLDS = 0.1, 0.5
"""Of the trials before it a trial has to be among this share to go on after the part, and after each fold."""
SHARE = 0.125
"""Of the trials, those that go on after the part: later ones are better, so nearly all would be among the best."""
FEWEST = 4
"""Trials that a trial is compared with; with fewer, it goes on."""
DONE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
BASELINE, SETTINGS, RESULT, ERROR, PARTS, CALLED = "baseline", "settings", "result", "error", "parts", "called"
FILED = "filed:"

warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
optuna.logging.set_verbosity(optuna.logging.ERROR)


class Study:
    """A study that this process has to itself.

    Args:
        optuna_study: as Optuna has it.
        space: what it searches.
        seed, startup: of the sampler.
    """

    def __init__(self, optuna_study: Optunas, space: Space, seed: int, startup: int) -> None:
        self._study, self._space, self._seed, self._startup = optuna_study, space, seed, startup
        self._left = [t.number for t in self.trials() if t.state == TrialState.RUNNING]

    @property
    def name(self) -> str:
        """Of the study; its experiments are called so, with their numbers."""
        return self._study.study_name

    @property
    def metric(self) -> str:
        """What it is about."""
        return str(self._study.user_attrs["metric"])

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Its trials by number, of these states, of any unless told."""
        return self._study.get_trials(deepcopy=False, states=states or None)

    def done(self) -> int:
        """How many trials came to an end, with whatever result."""
        return len(self.trials(*DONE))

    def take(self) -> tuple[int, Settings]:
        """A trial to run: one that was running when its process ended, else a new one; number and settings."""
        if not self.trials():
            self._study.enqueue_trial(self._space.today(), user_attrs={BASELINE: True})
        if self._left:
            number = self._left.pop(0)
            trial = self._trial(number)
        else:
            trial = self._study.ask()
            number = trial.number
        # Drawn by its own number, and each param by its place, what is drawn together first: a sweep that was killed,
        # be it between two params, goes on with the trials that it would have had anyway.
        self._draw_by(number)
        _ = trial.relative_params
        found = self._space.suggest(trial, lambda place: self._draw_by(number, place + 1))
        if SETTINGS not in trial.user_attrs:
            settings = self._space.now() if trial.user_attrs.get(BASELINE) else found
            trial.set_user_attr(SETTINGS, self._space.whole(settings))
        return number, trial.user_attrs[SETTINGS]

    def behind(self, number: int, step: int, value: float) -> bool:
        """Note how far a trial is, and say whether it is behind the others, which is no use of time.

        Only trials of the same kind of model are compared. The baseline always goes on.
        """
        mine = self._trial(number)
        if step not in mine._get_latest_trial().intermediate_values:
            mine.report(value, step)
        if mine.user_attrs.get(BASELINE):
            return False
        kind = self._kind(mine.user_attrs[SETTINGS])
        among = [
            t
            for t in self.trials(TrialState.COMPLETE, TrialState.PRUNED)
            if step in t.intermediate_values and self._kind(t.user_attrs[SETTINGS]) == kind
        ]
        others = [t.intermediate_values[step] for t in among]
        if len(others) < FEWEST:
            return False
        keep = KEEP if step == 0 else KEEP_OF_FOLDS
        if step == 0 and sum(len(t.intermediate_values) > 1 for t in among) >= FEWEST + SHARE * len(among):
            keep = 0  # as many as may go on did: only a better one than all
        limit = float(np.quantile(others, 1 - keep if self.higher else keep))
        return value < limit if self.higher else value > limit

    def tell(self, number: int, result: Mapping[str, Any], limits: Mapping[str, float | None]) -> None:
        """A trial was measured, or stopped. limits: of what it costs."""
        trial = self._trial(number)
        trial.set_user_attr(RESULT, dict(result))
        self._conclude(trial, result, limits)

    def fail(self, number: int, error: str) -> None:
        """A trial could not be measured."""
        trial = self._trial(number)
        trial.set_user_attr(ERROR, error)
        self._study.tell(trial, state=TrialState.FAIL)

    def conclude(self, limits: Mapping[str, float | None]) -> None:
        """Finish the trials that were measured when their process ended, and told nobody."""
        for number in list(self._left):
            trial = self._trial(number)
            if ERROR in trial.user_attrs:
                self._study.tell(trial, state=TrialState.FAIL)
            elif RESULT in trial.user_attrs:
                self._conclude(trial, trial.user_attrs[RESULT], limits)
            else:
                continue
            self._left.remove(number)

    def unfiled(self) -> list[FrozenTrial]:
        """Finished trials of which it is not known that they are experiments."""
        known = self._study.user_attrs
        return [t for t in self.trials(TrialState.COMPLETE) if f"{FILED}{t.number}" not in known]

    def finished(self) -> list[FrozenTrial]:
        """Those that were measured to their end, the best first; before all, those that keep the limits."""
        found = self.trials(TrialState.COMPLETE)
        sign = -1 if self.higher else 1
        return sorted(found, key=lambda t: (not keeps(t), sign * _value(t), t.number))

    def best(self) -> FrozenTrial | None:
        """The best of those that keep the limits; None before there is one."""
        found = self.finished()
        return found[0] if found and keeps(found[0]) else None

    def baseline(self) -> FrozenTrial | None:
        """The trial with params.yaml as it was when the study began, once it is finished."""
        return next((t for t in self.trials(TrialState.COMPLETE) if t.user_attrs.get(BASELINE)), None)

    def filed(self, number: int, name: str, commit: str) -> None:
        """A trial is an experiment now."""
        self._study.set_user_attr(f"{FILED}{number}", [name, commit])

    def experiment(self, number: int) -> tuple[str, str] | None:
        """Name and commit of a trial's experiment; None before it is one."""
        found = self._study.user_attrs.get(f"{FILED}{number}")
        return (found[0], found[1]) if found else None

    @property
    def higher(self) -> bool:
        """Whether more of the metric is better."""
        return HIGHER_IS_BETTER[self.metric]

    @property
    def optuna(self) -> Optunas:
        """The study as Optuna has it."""
        return self._study

    def _draw_by(self, *numbers: int) -> None:
        """What is asked for next depends on nothing but these numbers and the trials that are done."""
        drawn = int(np.random.SeedSequence([self._seed, *numbers]).generate_state(1)[0])
        self._study.sampler = TPESampler(n_startup_trials=self._startup, seed=drawn)

    def _conclude(self, trial: Trial, result: Mapping[str, Any], limits: Mapping[str, float | None]) -> None:
        if result["stopped"] is not None:
            self._study.tell(trial, state=TrialState.PRUNED)
            return
        known = trial._get_latest_trial().constraints
        for name, limit in limits.items():
            if limit is not None and name not in known:
                trial.set_constraint(name, result["cost"][name] - limit)
        self._study.tell(trial, result["mean"][self.metric])

    def _trial(self, number: int) -> Trial:
        return Trial(self._study, self.trials()[number]._trial_id)

    def _kind(self, settings: Settings) -> Any:
        return settings.get("model", self._space.document["model"])


def keeps(trial: FrozenTrial) -> bool:
    """Whether a trial costs no more than it may."""
    return all(over <= 0 for over in trial.constraints.values())


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


@contextmanager
def opened(folder: Path, name: str, facts: Mapping[str, Any]) -> Iterator[tuple[Optunas, Mapping[str, Any] | None]]:
    """A study, made where there is none, which nobody else may run meanwhile.

    Args:
        folder: of the file, made where it is missing.
        name: of the study.
        facts: what it is about: metric, called (the name it was asked for by), parts (`identity.parts`).

    Returns:
        The study; and if it is new, the facts of the last one that was called so.

    Raises:
        ExperimentError: another process runs it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / f"{name}.lock", name):
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{_file(folder)}", engine_kwargs={"connect_args": {"timeout": WAIT}}
        )
        try:
            known = {s.study_name: s for s in optuna.get_all_study_summaries(storage)}
            same = [s for s in known.values() if s.user_attrs.get(CALLED) == facts[CALLED] and s.n_trials]
            before = None if name in known or not same else max(same, key=lambda s: s._study_id)
            higher = HIGHER_IS_BETTER[facts["metric"]]
            study = optuna.create_study(
                storage=storage, study_name=name, direction="maximize" if higher else "minimize", load_if_exists=True
            )
            for key, value in facts.items():
                if study.user_attrs.get(key) != value:
                    study.set_user_attr(key, value)
            yield study, {"name": before.study_name, **before.user_attrs} if before else None
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _file(folder: Path) -> Path:
    """The file, in a mode in which a writer need not wait for the disk twice."""
    place = folder / FILE
    with sqlite3.connect(place, timeout=WAIT) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return place


@contextmanager
def _alone(place: Path, name: str) -> Iterator[None]:
    handle = os.open(place, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            who = os.read(handle, 20).decode() or "another process"
            raise ExperimentError(
                f"{name} is running already (process {who}); wait for it, or sweep under another --name"
            ) from None
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)
