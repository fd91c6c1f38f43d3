"""The curves of two commits, from the points that evaluation commits, on one grid: so they can be drawn together."""

from __future__ import annotations

import csv
import io
from typing import Any, NamedTuple

import numpy as np

from mlops.git import Git
from mlops.report.base import Base

FOLDER = "metrics/evaluate/plots"
GRID = 40
"""Steps from 0 to 1 along x."""

Point = list[float]


class Curve(NamedTuple):
    """A file of points: its columns, and whether it is drawn on the grid (else as its own points)."""

    name: str
    x: str
    y: str
    gridded: bool = True


CURVES = (
    Curve("gain", "contacted", "found"),
    Curve("calibration", "predicted", "observed", gridded=False),
    Curve("roc", "fpr", "tpr"),
    Curve("precision_recall", "recall", "precision"),
)


def read(git: Git, base: Base) -> list[dict[str, Any]]:
    """Name, points of the merge base and of the commit (None: it has none) of each curve that the commit has."""
    paths = [f"{FOLDER}/{curve.name}.csv" for curve in CURVES]
    held = [git.contents([f"{commit}:{path}" for path in paths]) for commit in (base.commit, base.head)]
    found = []
    for curve, before, after in zip(CURVES, *held, strict=True):
        points = [_points(curve, content) for content in (before, after)]
        if points[1] is not None:
            found.append({"name": curve.name, "before": points[0], "after": points[1]})
    return found


def _points(curve: Curve, content: bytes | None) -> list[Point] | None:
    """The points, x ascending; None where there are none, or what there is are no points."""
    if content is None:
        return None
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))
        points = sorted((float(row[curve.x]), float(row[curve.y])) for row in rows)
    except (csv.Error, ValueError, KeyError, TypeError):
        return None
    if not points or not all(0 <= number <= 1 for point in points for number in point):
        return None
    if not curve.gridded:
        return [[round(x, 4), round(y, 4)] for x, y in points[: GRID + 1]]
    x, y = np.array(points).T
    grid = np.linspace(0, 1, GRID + 1)
    ys = np.interp(grid, x, y)
    return [[round(float(a), 4), round(float(b), 4)] for a, b in zip(grid, ys, strict=True)]
