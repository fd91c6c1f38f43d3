"""A comparison that was made: its rows, what they are compared with, and how it shows itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops.experiments.board import Experiment


@dataclass(frozen=True)
class Reference:
    """What experiments are compared with: a commit, what it is called, its value of the metric (None: it has none)."""

    label: str
    commit: str
    value: float | None
    params: Mapping[str, Any]
    origin: str


@dataclass(frozen=True)
class Difference:
    """Experiment − reference, in the metric's unit.

    low, high: the interval, None where both did not score the same rows, or the rows are not here.
    better: what the interval says, None where it does not tell.
    """

    value: float
    low: float | None = None
    high: float | None = None
    better: bool | None = None

    def facts(self) -> dict[str, Any]:
        """As JSON: six decimals, as metrics have."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {**{k: None if v is None else round(v, 6) for k, v in numbers.items()}, "better": self.better}


@dataclass(frozen=True)
class Row:
    """An experiment in the table. rank: 1 is the best, None for what failed or lacks the metric.

    differences: to each of the board's references, None where one of both lacks the metric.
    """

    rank: int | None
    label: str
    experiment: Experiment
    value: float | None
    differences: tuple[Difference | None, ...]


@dataclass(frozen=True, repr=False)
class Board:
    """A comparison. It shows itself: as text, in a terminal of rich's, in a notebook.

    Args:
        metric: by which the rows are ordered; higher: whether more of it is better.
        rows: those that are shown; references: main and production, one where they are the same commit.
        params: names of those that differ among what is shown.
        experiments: all of them, in the rows' order.
        confidence: of the intervals.
        more_params: how many more differ, beyond those named.
        trials: metric → how many trials of sweeps have it, of those that lack this one and are left out.
    """

    metric: str
    higher: bool
    rows: tuple[Row, ...]
    references: tuple[Reference, ...]
    params: tuple[str, ...]
    experiments: tuple[Experiment, ...]
    confidence: float
    trials: Mapping[str, int] = field(default_factory=dict)
    more_params: int = 0

    @property
    def best(self) -> Experiment:
        """The finished experiment with the best value."""
        return self.experiments[0]

    @property
    def hidden(self) -> int:
        """How many experiments are not shown."""
        return len(self.experiments) - len(self.rows)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "metric": self.metric,
            "higher_is_better": self.higher,
            "experiments": len(self.experiments),
            "confidence": self.confidence,
            "trials": dict(self.trials),
            "references": [
                {"name": r.label, "commit": r.commit, "value": r.value, "params": self.differing(r.params)}
                for r in self.references
            ],
            "rows": [self._row_facts(row) for row in self.rows],
        }

    def differing(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Of some params those that differ among what is shown."""
        return {name: params[name] for name in self.params if name in params}

    def _row_facts(self, row: Row) -> dict[str, Any]:
        e = row.experiment
        differences = {r.label: d.facts() if d else None for r, d in zip(self.references, row.differences, strict=True)}
        return {
            "rank": row.rank, "name": e.name, "commit": e.commit, "baseline": e.baseline, "value": row.value,
            "differences": differences, "params": self.differing(e.params), "metrics": dict(e.metrics),
            "at": e.at.isoformat(), "note": e.note, "origin": e.origin, "state": e.state, "error": e.error,
        }  # fmt: skip

    def __repr__(self) -> str:
        from mlops.experiments import compare_text

        return compare_text.plain(self)

    def __rich__(self) -> Any:
        from mlops.experiments import compare_text

        return compare_text.renderable(self)

    def _repr_html_(self) -> str:
        from mlops.experiments import compare_html

        return compare_html.table(self)
