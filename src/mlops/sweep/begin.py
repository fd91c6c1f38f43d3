"""How a sweep begins: what it searches is checked, its study is opened, and what a kill left is mended."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from mlops import git as repository
from mlops import policy as policies
from mlops.errors import ExperimentError, nearest, one_line
from mlops.experiments import filing
from mlops.metrics.measure import HIGHER_IS_BETTER
from mlops.policy import Policy, Sweep
from mlops.store import settings as stores
from mlops.sweep import data, identity, workers, workspace
from mlops.sweep import space as spaces
from mlops.sweep import study as studies
from mlops.sweep.objective import Task
from mlops.sweep.run import Running
from mlops.sweep.study import Study
from mlops.sweep.workers import Work
from mlops.sweep.workspace import Workspace

Say = Callable[[str], None]
DEFAULT_TRIALS = 100
NAMES = {"max_latency_ms": "latency_ms", "max_size_mb": "size_mb"}
"""Limit of policy.yaml → what it limits."""


@dataclass(frozen=True)
class Asked:
    """What somebody typed. trials: None for the default."""

    trials: int | None = None
    jobs: int = 1
    metric: str | None = None
    name: str = "sweep"
    apply: bool = False


@contextmanager
def begun(asked: Asked, say: Say) -> Iterator[Running]:
    """Check everything, open the study and mend it. The current folder has to be the repository's.

    Raises:
        MlopsError: what stands in the way, and what to type.
    """
    git = repository.here()
    policy = policies.load(git.folder / policies.PATH)
    metric = _checked(asked, policy)
    stores.of(git.folder)
    found = workspace.look(git)
    space = spaces.checked(policy.sweep.params, found.document())
    workspace.check_features(git.folder)
    rows = data.load(policy.sweep.validate_, policy.sweep.seed)
    limits = _limits(policy)
    parts = identity.parts(space, policy.sweep, metric, limits)
    name = f"{asked.name}-{identity.short(parts)}"
    facts = {"metric": metric, studies.CALLED: asked.name, studies.PARTS: parts}
    place = git.folder / studies.PLACE
    _notes(found, say)
    with _disk(place), studies.opened(place, name, facts) as (opened, before):
        if before is not None:
            say(_why(name, before, parts, metric))
        study = Study(opened, space, policy.sweep.seed, policy.sweep.startup)
        task = Task(metric, policy.sweep.pruner, any(v is not None for v in limits.values()), _threads(asked.jobs))
        work = Work(space, policy.sweep.validate_, policy.sweep.seed, task)
        record = _facts(policy.sweep, metric, parts, found)
        running = Running(study, work, rows, limits, place, found, record)
        running.mend()
        yield running


def _checked(asked: Asked, policy: Policy) -> str:
    """The metric, when everything that was typed can be."""
    if asked.jobs < 1:
        raise ExperimentError(f"--jobs {asked.jobs}: at least 1 process is needed")
    if asked.trials is not None and asked.trials < 1:
        raise ExperimentError(f"--trials {asked.trials}: at least 1 is needed; it counts those that are done, too")
    filing.check(f"{asked.name}-000")
    metric = asked.metric or policy.sweep.metric or policy.gate.metric
    if metric not in HIGHER_IS_BETTER:
        hint = nearest(metric, HIGHER_IS_BETTER) or f"; there are {', '.join(HIGHER_IS_BETTER)}"
        raise ExperimentError(f"--metric {metric}: trials have no such metric{hint}")
    return metric


def _limits(policy: Policy) -> dict[str, float | None]:
    """What the best trial may cost."""
    own = policy.sweep.constraints
    return {
        cost: getattr(policy.gate, limit) if getattr(own, limit) is None else getattr(own, limit)
        for limit, cost in NAMES.items()
    }


def _threads(jobs: int) -> int | None:
    return None if jobs == 1 else workers.threads(jobs)


def _facts(sweep: Sweep, metric: str, parts: Mapping[str, str], found: Workspace) -> dict[str, Any]:
    return {
        "metric": metric,
        "validate": sweep.validate_.model_dump(),
        "seed": sweep.seed,
        "data": parts["data"],
        "code": found.head,
    }


def _notes(found: Workspace, say: Say) -> None:
    if found.changed:
        names = list(found.changed)
        listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        say(f"not as in HEAD: {listed}; each trial's experiment has them as they are now")


def _why(name: str, before: Mapping[str, Any], parts: Mapping[str, str], metric: str) -> str:
    """Why this is a new study."""
    then = before[studies.PARTS]
    changed = [words for part, words in identity.WORDS.items() if then.get(part) != parts[part]]
    if identity.WORDS["space"] in changed:  # which params are left to params.yaml changed with it
        changed = [word for word in changed if word != identity.WORDS["params"]]
    if before["metric"] != metric:
        changed = [word for word in changed if word != identity.WORDS["space"]] + ["the metric"]
    return f"{name} is a new study: {', '.join(changed)} changed since {before['name']}"


@contextmanager
def _disk(place: Path) -> Iterator[None]:
    """What SQLite cannot write becomes a line that says so."""
    try:
        yield
    except Exception as error:
        if not any(
            isinstance(e, (SQLAlchemyError, sqlite3.Error)) for e in (error, error.__cause__, error.__context__)
        ):
            raise
        why = one_line(str(error.__cause__ or error)).partition(" [SQL")[0]
        raise ExperimentError(
            f"{place / studies.FILE} cannot be read or written ({why}); what finished is kept: free the disk, or"
            " whatever it is, and run the same again"
        ) from error
