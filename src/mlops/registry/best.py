"""Which of DVC's experiments is the best of those that can be promoted: what `make promote` promotes."""

from __future__ import annotations

import json
import math

from mlops.errors import RegistryError
from mlops.metrics.measure import HIGHER_IS_BETTER
from mlops.registry.look import Registry

METRICS = "metrics/evaluate/metrics.json"
RECORD = "notebook.json"


def best(registry: Registry, metric: str | None = None, more_is_better: bool = True) -> str:
    """The commit of the experiment with the best value of a metric; the gate's, in its own direction, unless told.

    Runs of notebooks that failed, or have no model that can be served, are passed over.

    Raises:
        RegistryError: there is no experiment, or none has the metric.
    """
    if metric is None:
        metric = registry.policy.gate.metric
        more_is_better = HIGHER_IS_BETTER[metric]
    commits = [commit for found in registry.experiments.values() for commit in found]
    if not commits:
        raise RegistryError(
            "there is no experiment to promote; `dvc exp run -S max_depth=4` makes one, `mlops promote` takes HEAD"
        )
    values = {}
    contents = registry.git.contents([f"{c}:{path}" for path in (METRICS, RECORD) for c in commits])
    for commit, content, record in zip(commits, contents, contents[len(commits) :], strict=False):
        value = _value(content, metric)
        if value is not None and _can_be_promoted(record):
            values[commit] = value
    if not values:
        trials = "; trials of a sweep have no model: `mlops sweep --apply` makes the best one's"
        hint = trials if "." in metric else "; see `dvc exp show`"
        raise RegistryError(f"no experiment that can be promoted has the metric {metric}{hint}")
    sign = 1 if more_is_better else -1
    return max(values, key=lambda commit: (sign * values[commit], commit))


def _can_be_promoted(record: bytes | None) -> bool:
    """Whether a run of a notebook says so; experiments of the pipeline have no such record."""
    try:
        said = json.loads(record or b"{}")
        return not said or (said["state"] == "finished" and said["model"]["state"] == "served")
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _value(content: bytes | None, metric: str) -> float | None:
    try:
        value = json.loads(content or b"{}").get(metric)
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except (ValueError, AttributeError, RecursionError, OverflowError):
        return None
    return number if math.isfinite(number) else None
