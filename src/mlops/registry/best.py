"""Which of DVC's experiments is the best: what `make promote` promotes."""

from __future__ import annotations

import json

from mlops.errors import RegistryError
from mlops.metrics.measure import HIGHER_IS_BETTER
from mlops.registry.look import Registry

METRICS = "metrics/evaluate/metrics.json"


def best(registry: Registry) -> str:
    """The commit of the experiment with the best value of the gate's metric.

    Raises:
        RegistryError: there is no experiment, or none has the metric.
    """
    metric = registry.policy.gate.metric
    commits = [commit for found in registry.experiments.values() for commit in found]
    if not commits:
        raise RegistryError(
            "there is no experiment to promote; `dvc exp run -S max_depth=4` makes one, `mlops promote` takes HEAD"
        )
    values = {}
    for commit, content in zip(commits, registry.git.contents([f"{c}:{METRICS}" for c in commits]), strict=True):
        value = _value(content, metric)
        if value is not None:
            values[commit] = value
    if not values:
        raise RegistryError(f"no experiment has the metric {metric}; see `dvc exp show`")
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    return max(values, key=lambda commit: (sign * values[commit], commit))


def _value(content: bytes | None, metric: str) -> float | None:
    try:
        value = json.loads(content or b"{}").get(metric)
    except (ValueError, AttributeError):
        return None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
