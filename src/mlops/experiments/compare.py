"""Experiments side by side: the best first, beside main and production, with what they did differently."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops.errors import ExperimentError, GitError
from mlops.experiments import board
from mlops.experiments.board import Experiment, Facts
from mlops.experiments.compared import Board, Difference, Reference, Row
from mlops.experiments.direction import higher_is_better
from mlops.git import Git

if TYPE_CHECKING:
    from mlops.policy import Policy
    from mlops.report.paired import Change

SHOWN = 20
"""Experiments that are shown unless somebody asks for more; the rest is counted."""
COLUMNS = 30
"""Params that have a column; a run that logs thousands must not hide what all have."""
MAIN = ("main", "origin/main", "HEAD")


def compare(git: Git, metric: str | None = None, top: int | None = None) -> Board:
    """Compare all experiments of a repository.

    Args:
        git: the repository.
        metric: which decides; the gate's of policy.yaml unless told.
        top: how many are shown, 0 for all of them; intervals are made of these alone.

    Raises:
        ExperimentError: there is no experiment, none has the metric and some did not fail, or top is below 0.
    """
    if top is not None and top < 0:
        raise ExperimentError(f"top is {top}; 10 shows the ten best, 0 shows all")
    with ThreadPoolExecutor(1) as pool:  # what NumPy, Arrow and DVC take to load, Git takes to read
        loading = pool.submit(_load)
        found = board.read(git)
        loading.result()
    from mlops import policy as policies

    policy = policies.load(git.folder / policies.PATH)
    metric = metric or policy.gate.metric
    board.some(found)
    if any(e.state != board.FAILED for e in found):
        board.check_metric(found, metric)
    others = [e for e in found if e.origin != board.SWEEP or metric in e.metrics]
    ranked = board.ordered(others, metric)
    shown = ranked[: top or None] if top is not None else ranked[:SHOWN]
    references = _references(git, policy, metric)
    rows = _Rows(git, policy, metric, references).of(shown, found)
    params = _differing([e.params for e in shown], [r.params for r in references])
    columns = _most([e.params for e in shown], params)
    confidence = policy.gate.confidence
    trials = [e for e in found if e.origin == board.SWEEP and metric not in e.metrics]
    return Board(
        metric, higher_is_better(metric), rows, references, columns, tuple(ranked), confidence, _ranks(trials),
        len(params) - len(columns),
    )  # fmt: skip


def _most(of_rows: Sequence[Mapping[str, Any]], params: Sequence[str]) -> tuple[str, ...]:
    """The params that have a column: those that most of the rows have, in the order in which they came."""
    counted = sorted(params, key=lambda name: -sum(name in held for held in of_rows))
    kept = set(counted[:COLUMNS])
    return tuple(name for name in params if name in kept)


def _ranks(trials: Sequence[Experiment]) -> Mapping[str, int]:
    """By what trials of sweeps are ranked, and how many."""
    return Counter(name for e in trials for name in list(e.metrics)[:1])


def best(git: Git, metric: str | None = None) -> Experiment:
    """The best finished experiment, by the gate's metric of policy.yaml unless told.

    Raises:
        ExperimentError: there is none, or none has the metric.
    """
    from mlops import policy as policies

    return board.best(board.read(git), metric or policies.load(git.folder / policies.PATH).gate.metric)


def _load() -> None:
    """Load what a comparison needs."""
    for name in ("intervals", "compare_text"):
        importlib.import_module(f"mlops.experiments.{name}")
    importlib.import_module("mlops.registry.look")


def _references(git: Git, policy: Policy, metric: str) -> tuple[Reference, ...]:
    from mlops.registry.look import Registry

    name, commit = _main(git)
    labels = {commit: name}
    serves = Registry(git, policy).picture.stages.get(policy.promotion.stage)
    if serves:
        label = f"{serves.stage} {serves.version}"
        labels[serves.commit] = f"{labels[serves.commit]}, {label}" if serves.commit in labels else label
    found: Iterable[Facts] = board.facts(git, list(labels))
    return tuple(
        Reference(label, commit, facts.metrics.get(metric), facts.params, facts.origin)
        for (commit, label), facts in zip(labels.items(), found, strict=True)
    )


def _main(git: Git) -> tuple[str, str]:
    for name in MAIN[:-1]:
        try:
            return name, git.commit(name)
        except GitError:
            continue
    return MAIN[-1], git.commit(MAIN[-1])


@dataclass(frozen=True)
class _Rows:
    """Makes rows of experiments."""

    git: Git
    policy: Policy
    metric: str
    references: Sequence[Reference]

    def of(self, shown: Sequence[Experiment], among: Sequence[Experiment]) -> tuple[Row, ...]:
        """Their rows; a name that others have too gets the beginning of its commit's hash."""
        called = Counter(e.name for e in among)
        changes = self._changes(shown)
        return tuple(
            Row(
                place if self._value(e) is not None else None,
                f"{e.name} ({e.commit[:7]})" if called[e.name] > 1 else e.name,
                e,
                self._value(e),
                tuple(self._difference(changes.get((e.commit, r.commit)), e, r) for r in self.references),
            )
            for place, e in enumerate(shown, 1)
        )

    def _value(self, experiment: Experiment) -> float | None:
        return None if experiment.state == board.FAILED else experiment.metrics.get(self.metric)

    def _changes(self, shown: Sequence[Experiment]) -> Mapping[tuple[str, str], Change | None]:
        from mlops.experiments import intervals
        from mlops.experiments.scored import Asked

        told = [(r.commit, r.origin, r.value) for r in self.references]
        told += [(e.commit, e.origin, self._value(e)) for e in shown if e.origin != board.SWEEP]
        asked = {commit: Asked(commit, origin == board.NOTEBOOK, v) for commit, origin, v in told if v is not None}
        pairs = [(e.commit, r.commit) for e in shown for r in self.references if {e.commit, r.commit} <= asked.keys()]
        return intervals.changes(self.git, list(asked.values()), pairs, self.metric, self.policy.gate)

    def _difference(self, found: Change | None, experiment: Experiment, reference: Reference) -> Difference | None:
        value = self._value(experiment)
        if value is None or reference.value is None:
            return None
        if found is None:
            return Difference(value - reference.value)
        return Difference(value - reference.value, found.low, found.high, found.better)


_NOTHING = object()


def _differing(of_rows: Sequence[Mapping[str, Any]], of_references: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of params that are not the same everywhere. What a reference lacks, perhaps of another time, is no matter;
    what an experiment lacks is.
    """
    names = dict.fromkeys(name for params in of_rows for name in params)
    found = []
    for name in names:
        values = [params.get(name, _NOTHING) for params in of_rows]
        values += [params[name] for params in of_references if name in params]
        if any(value is not values[0] and value != values[0] for value in values):
            found.append(name)
    return tuple(found)
