"""What the page of a comparison draws: the metric by each numeric param, and the ROC curves of what is shown."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlops.experiments import board
from mlops.experiments.board import Experiment
from mlops.experiments.compared import Board
from mlops.git import Git

MOST = 30
"""Params that are drawn."""
ROC = "metrics/evaluate/plots/roc.csv"
Point = tuple[float, float]


@dataclass(frozen=True)
class Scatter:
    """The metric by a param. points: experiment, value of the param, of the metric; log: the param's axis."""

    param: str
    points: tuple[tuple[Experiment, float, float], ...]
    log: bool


@dataclass(frozen=True)
class Curve:
    """A ROC curve. rank: of the experiment, None for main and production; points: false and true positive rate."""

    label: str
    rank: int | None
    points: tuple[Point, ...]


def scatters(found: Board) -> list[Scatter]:
    """One for each param that has two or more numbers among all experiments that have the metric; of many the first."""
    known = [e for e in found.experiments if e.state != board.FAILED and found.metric in e.metrics]
    made = []
    for name in dict.fromkeys(name for e in known for name in e.params):
        points = [
            (e, float(e.params[name]), float(e.metrics[found.metric])) for e in known if _is_number(e.params.get(name))
        ]
        values = {x for _, x, _ in points}
        if len(values) > 1:
            made.append(Scatter(name, tuple(points), _is_wide(values)))
        if len(made) == MOST:
            break
    return made


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_wide(values: set[float]) -> bool:
    """Whether they are spread over more than a decade and a half: then a logarithm shows more of them."""
    return min(values) > 0 and max(values) / min(values) > 50


def rocs(git: Git, found: Board) -> list[Curve]:
    """The curves that the commits of what is shown hold: references first, then the best first."""
    asked: list[tuple[str, int | None, str]] = [(r.label, None, r.commit) for r in found.references]
    asked += [(row.label, row.rank, row.experiment.commit) for row in found.rows if row.rank is not None]
    contents = git.contents([f"{commit}:{ROC}" for _, _, commit in asked])
    curves = (Curve(label, rank, _points(c)) for (label, rank, _), c in zip(asked, contents, strict=True))
    return [curve for curve in curves if curve.points]


def _points(content: bytes | None) -> tuple[Point, ...]:
    """The points, x ascending; none where there are none, or what there is are no points."""
    try:
        rows = csv.DictReader(io.StringIO((content or b"").decode("utf-8"), newline=""))
        points = sorted((float(row["fpr"]), float(row["tpr"])) for row in rows)
    except (csv.Error, ValueError, KeyError, TypeError):
        return ()
    good = all(0 <= number <= 1 for point in points for number in point)
    return tuple(points) if good else ()


def span(values: Sequence[float]) -> Point:
    """The smallest and largest, a little apart where they are one."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - (abs(low) or 1) / 10, high + (abs(high) or 1) / 10)
