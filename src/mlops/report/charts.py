"""The report's curves: which there are, what is read off them at some points, and how far their axes go."""

from __future__ import annotations

from dataclasses import dataclass

from mlops.report.document import Chart, Points, Section, Table, at, sparkline
from mlops.report.facts import Curve, Facts
from mlops.report.numbers import UNKNOWN
from mlops.report.result_words import percent

READ_AT = (0.05, 0.1, 0.2, 0.3, 0.5)
SPARKS = 20
STEP = 0.04
"""Axes of bins end at a multiple: their four ticks are whole per cents."""


@dataclass(frozen=True)
class Kind:
    """How a curve is shown. binned: its points are bins, told one by one; else it is read off at some x."""

    title: str
    x: str
    y: str
    diagonal: bool
    read_at: tuple[float, ...] = READ_AT
    binned: bool = False


KINDS = {
    "gain": Kind("Gain", "share of the customers contacted", "share of the churners found", True),
    "calibration": Kind("Calibration", "predicted churn rate", "observed churn rate", True, binned=True),
    "roc": Kind("ROC", "false positive rate", "true positive rate", True),
    "precision_recall": Kind("Precision and recall", "recall", "precision", False, (0.1, 0.2, 0.3, 0.5, 0.8)),
}


def section(facts: Facts) -> Section | None:
    """All curves of both versions, each on its own test rows."""
    if not facts.curves:
        return None
    names = facts.compared.name, facts.compared.head[:8]
    said = "Each version on its own test rows."
    return Section("Curves", (said, *(_chart(curve, names) for curve in facts.curves)), folded=True)


def _chart(curve: Curve, names: tuple[str, str]) -> Chart:
    kind = KINDS[curve.name]
    series: tuple[Points, Points] = (list(curve.before or []), list(curve.after))
    points = [point for side in series for point in side]
    most = 1.0, 1.0
    if kind.binned:
        end = min(1.0, STEP * (int(max(max(point) for point in points) / STEP) + 1))
        most = end, end
    table = _bins(kind, names, series) if kind.binned else _read_off(kind, names, series)
    return Chart(kind.title, kind.x, kind.y, names, series, most, kind.diagonal, table)


def _read_off(kind: Kind, names: tuple[str, str], series: tuple[Points, Points]) -> Table:
    head = ("", *(f"at {100 * x:.0f}\u00a0%" for x in kind.read_at), "0 to 100 %")
    rows = []
    for name, points in zip(names, series, strict=True):
        if points:
            values = [at(points, x) for x in kind.read_at]
            drawn = [at(points, i / SPARKS) or 0.0 for i in range(SPARKS + 1)]
            rows.append((name, *(UNKNOWN if v is None else percent(v) for v in values), sparkline(drawn, 1.0)))
    return Table(head, tuple(rows), frozenset({0, len(head) - 1}))


def _bins(kind: Kind, names: tuple[str, str], series: tuple[Points, Points]) -> Table:
    """Every other bin: predicted and observed."""
    head = ("predicted / observed", *(f"tenth {i}" for i in (2, 4, 6, 8, 10)), "observed")
    rows = []
    for name, points in zip(names, series, strict=True):
        if points:
            cells = [f"{100 * x:.1f}\u00a0/\u00a0{100 * y:.1f}\u00a0%" for x, y in points[1::2]][:5]
            cells += [UNKNOWN] * (5 - len(cells))
            rows.append((name, *cells, sparkline([y for _, y in points], max(y for _, y in points))))
    return Table(head, tuple(rows), frozenset({0, len(head) - 1}))
