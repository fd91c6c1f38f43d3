"""A run into the registry: what `mlops promote` does, said from a notebook."""

from __future__ import annotations

import sys
from typing import Any

from mlops import policy as policies
from mlops.errors import ExperimentError, nearest
from mlops.experiments import board, recorded
from mlops.experiments.direction import higher_is_better
from mlops.git import Git
from mlops.registry import best, outcome
from mlops.registry import promote as work
from mlops.registry.look import Registry


def promote(git: Git, name: str, **asked: Any) -> bool:
    """Promote an experiment by name and print what came of it; whether it is promoted.

    Raises:
        ExperimentError: there is no such experiment, or it is one that cannot be promoted.
        RegistryError: what else stands in the way.
    """
    registry = _registry(git)
    return _promoted(registry, find(registry, name), name, asked)


def promote_best(git: Git, metric: str | None, **asked: Any) -> bool:
    """Promote the experiment with the best value of a metric; whether it is promoted.

    Raises:
        ExperimentError: there is no experiment, or none has the metric; the nearest is named.
        RegistryError: what else stands in the way.
    """
    registry = _registry(git)
    wanted = metric or registry.policy.gate.metric
    experiments = board.read(git)
    board.some(experiments)
    board.check_metric(experiments, wanted)
    chosen = best.best(registry, wanted, higher_is_better(wanted))
    return _promoted(registry, chosen, registry.named(chosen).name, asked)


def find(registry: Registry, name: str) -> str:
    """The commit of an experiment; of several of one name that of HEAD, as DVC chooses.

    Raises:
        ExperimentError: there is none; the nearest is named.
    """
    commits = registry.experiments.get(name, [])
    if not commits:
        known = registry.experiments
        raise ExperimentError(f"there is no experiment {name!r}{nearest(name, known) or '; `dvc exp list` shows them'}")
    if len(commits) == 1:
        return commits[0]
    head = registry.git.commit("HEAD")
    own = registry.git.attempt("rev-parse", "--verify", "--quiet", f"refs/exps/{head[:2]}/{head[2:]}/{name}")
    if own.returncode:
        raise ExperimentError(
            f"{len(commits)} experiments of other commits are called {name!r};"
            f" `mlops promote` takes one of these: {', '.join(c[:8] for c in commits)}"
        )
    return own.stdout.decode().strip()


def _registry(git: Git) -> Registry:
    registry = Registry(git, policies.load(git.folder / policies.PATH))
    registry.warn()
    return registry


def _promoted(registry: Registry, commit: str, name: str, asked: dict[str, Any]) -> bool:
    (facts,) = board.facts(registry.git, [commit])
    if why := recorded.why_failed(facts.record):
        raise ExperimentError(f"run {name} failed ({why}); a failed run is never promoted")
    if why := recorded.why_not_served(facts.record):
        raise ExperimentError(f"run {name} cannot be promoted: {why}")
    try:
        request = work.Request(commit, **asked)
    except TypeError:
        known = [field for field in work.Request.__dataclass_fields__ if field != "revision"]
        strange = next((key for key in asked if key not in known), "")
        raise ExperimentError(f"promote takes no {strange}{nearest(strange, known)}: {', '.join(known)}") from None
    done = work.promote(registry, request, lambda line: print(line, file=sys.stderr, flush=True))
    outcome.tell(done, registry)
    return done.done
