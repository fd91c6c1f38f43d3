"""Experiments as a frame of pandas: a row each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops.experiments.board import Experiment

if TYPE_CHECKING:
    import pandas as pd

FACTS = ("name", "commit", "baseline", "at", "origin", "state", "note")


def frame(experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Facts, then metrics, then params under their dotted names; missing where an experiment has none.

    A metric or param called as what stands before it is `metrics.NAME` or `params.NAME`.
    """
    import pandas as pd

    rows = []
    taken = {*FACTS, *(name for e in experiments for name in e.metrics)}
    for e in experiments:
        metrics = {f"metrics.{k}" if k in FACTS else k: v for k, v in e.metrics.items()}
        params = {f"params.{k}" if k in taken else k: v for k, v in e.params.items()}
        rows.append({**{name: getattr(e, name) for name in FACTS}, **metrics, **params})
    names = [n for facts in rows for n in facts]
    metric_names = [f"metrics.{n}" if n in FACTS else n for e in experiments for n in e.metrics]
    return pd.DataFrame(rows, columns=list(dict.fromkeys([*FACTS, *metric_names, *names])))
