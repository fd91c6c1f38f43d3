"""The experiments of a repository: of `dvc exp run`, of notebooks and of sweeps, read out of refs/exps alone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mlops.errors import ExperimentError, nearest
from mlops.experiments import trees
from mlops.experiments.direction import higher_is_better
from mlops.experiments.documents import Reader, flat, mapping
from mlops.git import Git

REFS = "refs/exps/"
METRICS = "metrics/evaluate/metrics.json"
FINISHED, FAILED = "finished", "failed"
PIPELINE, NOTEBOOK, SWEEP = "pipeline", "notebook", "sweep"
TRIAL = "sweep.json"
"""What a trial of a sweep says of itself."""
AT_ONCE = 1000
"""Commits whose files are held in memory at a time."""

_FORMAT = "%(objectname) %(tree) %(committerdate:unix) %(refname)%00%(contents)%00"
_HEAD = re.compile(
    r"(?P<commit>[0-9a-f]{40}) (?P<tree>[0-9a-f]{40}) (?P<at>\d+) "
    r"refs/exps/(?P<a>[0-9a-f]{2})/(?P<b>[0-9a-f]{38})/(?P<name>.+)"
)
_BY_DVC = "dvc: commit experiment"
_FILES = (METRICS, "params.yaml", "notebook.yaml", "notebook.json", TRIAL)


class Facts(NamedTuple):
    """What a commit says of its model. metrics: finite numbers; params: dotted key → value; origin: who made it.

    record: what a notebook's run left of itself; empty for a pipeline. trial: what a sweep's left, empty for others.
    """

    metrics: Mapping[str, float]
    params: Mapping[str, Any]
    origin: str
    record: Mapping[str, Any]
    trial: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment.

    Args:
        name: unique among those of one baseline.
        commit, baseline: full hashes of it, and of the commit that it is a variation of.
        at: when it was saved.
        metrics: name → finite number.
        params: dotted key → value, of params.yaml and what a notebook logged besides.
        note: what somebody said of it.
        state: finished or failed; error: why it failed.
        origin: pipeline, notebook or sweep.
    """

    name: str
    commit: str
    baseline: str
    at: datetime
    metrics: Mapping[str, float]
    params: Mapping[str, Any]
    note: str | None
    state: str
    error: str | None
    origin: str

    @property
    def ref(self) -> str:
        """Where Git keeps it."""
        return f"{REFS}{self.baseline[:2]}/{self.baseline[2:]}/{self.name}"


def read(git: Git) -> list[Experiment]:
    """All experiments, whatever their baseline, the newest first.

    What cannot be read of one is missing from it: another's broken file must not hide a thousand good ones.
    """
    listed = git.raw("for-each-ref", f"--format={_FORMAT}", REFS).decode("utf-8", "replace")
    found = []
    for entry in listed.split("\0\n"):
        head, _, message = entry.partition("\0")
        if fields := _HEAD.fullmatch(head):
            found.append((fields, message))
    bases = list(dict.fromkeys(f["a"] + f["b"] for f, _ in found))
    facts = _facts(git, [*(f"{base}^{{tree}}" for base in bases), *(f["tree"] for f, _ in found)])
    of_base = {base: next(facts) for base in bases}
    made = [_experiment(f, message, mine, of_base) for (f, message), mine in zip(found, facts, strict=True)]
    return sorted(made, key=lambda e: (e.at, e.commit), reverse=True)


def facts(git: Git, commits: Sequence[str]) -> list[Facts]:
    """What any commits say, in that order."""
    return list(_facts(git, [f"{commit}^{{tree}}" for commit in commits]))


def _facts(git: Git, named: Sequence[str]) -> Iterator[Facts]:
    """What trees say."""
    reader = Reader()
    for start in range(0, len(named), AT_ONCE):
        for metrics, params, more, record, trial in trees.contents(git, named[start : start + AT_ONCE], _FILES):
            told = mapping(record)
            merged = {**reader.flat(params), **(reader.flat(more) if told else {})}
            yield Facts(_numbers(metrics), merged, NOTEBOOK if told else PIPELINE, told, mapping(trial))


def _experiment(fields: re.Match[str], message: str, mine: Facts, of_base: Mapping[str, Facts]) -> Experiment:
    baseline = fields["a"] + fields["b"]
    base, (metrics, params, origin, record, trial) = of_base[baseline], mine
    if record and record == base.record:  # of the run that its baseline was made of
        origin, record = PIPELINE, {}
    if trial and trial != base.trial:
        origin, record, metrics = SWEEP, {}, _finite_of(trial.get("metrics"))
    if origin == NOTEBOOK and metrics == base.metrics:  # nothing that the run measured
        metrics = {}
    state = FAILED if record.get("state") == FAILED else FINISHED
    if state == FAILED:
        params = {key: value for key, value in params.items() if key != "failed"}
    return Experiment(
        fields["name"], fields["commit"], baseline, datetime.fromtimestamp(int(fields["at"]), UTC), metrics, params,
        _text(record.get("note")) if record else _note(message, fields["name"]), state,
        _text(record.get("error")) if state == FAILED else None, origin,
    )  # fmt: skip


def _note(message: str, name: str) -> str | None:
    """A person's words in the message of a commit that DVC or a sweep made."""
    first, _, rest = message.strip().partition("\n")
    text = (rest if first == name else message).strip()
    return None if text.startswith(_BY_DVC) else _text(text)


def _text(value: object) -> str | None:
    return " ".join(str(value).split()) or None if value is not None else None


def _numbers(content: bytes | None) -> dict[str, float]:
    """The finite numbers of a metrics file; NaN is no metric that could be better or worse."""
    return _finite_of(mapping(content))


def _finite_of(document: object) -> dict[str, float]:
    found = flat(document) if isinstance(document, Mapping) else {}
    return {name: value for name, value in found.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and _finite(value)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def check_metric(experiments: Iterable[Experiment], metric: str) -> None:
    """Raise unless some finished experiment has the metric.

    Raises:
        ExperimentError: names the nearest metric that there is.
    """
    known = dict.fromkeys(name for e in experiments if e.state != FAILED for name in e.metrics)
    if metric not in known:
        there = nearest(metric, known) or f"; there are {', '.join(known)}" if known else "; `dvc exp show` shows them"
        raise ExperimentError(f"no experiment has the metric {metric!r}{there}")


def ordered(experiments: Sequence[Experiment], metric: str) -> list[Experiment]:
    """The best first in the metric's own direction; then those without it, then the failed ones; the newest first."""
    sign = -1 if higher_is_better(metric) else 1

    def key(e: Experiment) -> tuple[int, float, float, str]:
        known = e.state != FAILED and metric in e.metrics
        group = 0 if known else 2 if e.state == FAILED else 1
        return group, sign * e.metrics[metric] if known else 0.0, -e.at.timestamp(), e.name

    return sorted(experiments, key=key)


def best(experiments: Sequence[Experiment], metric: str) -> Experiment:
    """The finished experiment with the best value.

    Raises:
        ExperimentError: there is no experiment, or none has the metric.
    """
    some(experiments)
    check_metric(experiments, metric)
    return ordered(experiments, metric)[0]


def some(experiments: Sequence[Experiment]) -> None:
    """Raise ExperimentError where there is no experiment."""
    if not experiments:
        raise ExperimentError(
            "there is no experiment here yet; `dvc exp run -S max_depth=4` makes one, and so does"
            " `with tracker.run(…)` in a notebook; `dvc exp pull origin` brings those of others"
        )


def find(experiments: Sequence[Experiment], name: str) -> Experiment:
    """The experiment of a name, or of a commit by the beginning of its hash.

    Raises:
        ExperimentError: there is none, or more than one.
    """
    some(experiments)
    found = [e for e in experiments if e.name == name]
    if not found and re.fullmatch(r"[0-9a-f]{7,40}", name):
        found = [e for e in experiments if e.commit.startswith(name)]
    if not found:
        known = [e.name for e in experiments]
        there = nearest(name, known) or "; `mlops compare` lists them"
        raise ExperimentError(f"there is no experiment {name!r}{there}")
    if len(found) > 1:
        listed = ", ".join(e.commit[:8] for e in found)
        raise ExperimentError(f"{len(found)} experiments are called {name!r}: {listed}; give one of these hashes")
    return found[0]


def delete(git: Git, name: str) -> Experiment:
    """Remove an experiment from this repository, unless somebody replaced it meanwhile; versions made of it stay.

    Raises:
        ExperimentError: there is none of that name, or more than one.
        GitError: Git refused.
    """
    found = find(read(git), name)
    git.raw("update-ref", "--no-deref", "-d", found.ref, found.commit)
    return found
