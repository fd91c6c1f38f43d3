"""Which scored rows are those of the model that a run keeps: what is judged must be what is promoted.

A run may score several models and log one. Its rows, numbers and curves are then those of the last call of log_metrics
that gave rows the same probabilities as the logged model. Which object it was does not say it: one may be fitted again.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.experiments import measure
from mlops.features import Floats

if TYPE_CHECKING:
    from mlops.experiments.evaluated import Scored
    from mlops.experiments.run import Run

TOLERANCE = 1e-5
"""Difference of a probability from another computation of it: float32 against float64, and sums in another order."""
HELD = 2_000_000
"""Scored rows that a run holds in memory, besides those of the last call."""


@dataclass
class Scorings:
    """What a run scored so far, the last call at the end.

    shown: whose rows, numbers and curves are the run's. names: of the columns that the bundle of log_model reads; None
    where there is no bundle.
    """

    calls: list[Scored] = field(default_factory=list)
    shown: Scored | None = None
    names: list[str] | None = None

    def of(self, model: Any) -> Scored | None:
        """The last call with this object."""
        return next((scored for scored in reversed(self.calls) if scored.model() is model), None)

    def add(self, run: Run, scored: Scored) -> None:
        """Take in a call of log_metrics: the run shows it, unless log_model kept another model."""
        self.calls.append(scored)
        while len(self.calls) > 1 and sum(len(call.found.y) for call in self.calls[:-1]) > HELD:
            del self.calls[0]
        if self.names is None or self._is_served(run, self.names, scored):
            self.show(run, scored)
        else:
            print(
                "note: log_model kept another model than this one, so the run keeps the metrics of that: give this one"
                " a run of its own, or log it too",
                file=sys.stderr,
            )

    def show(self, run: Run, scored: Scored) -> None:
        """Make rows, numbers and curves of a call those of the run."""
        if scored is not self.shown:
            scored.keep(run)
            self.shown = scored

    def choose(self, model: Any, x: Any, p: Floats) -> Scored | None:
        """The last call whose rows this model gives the same probabilities; None where there is none.

        Args:
            model: as it is now.
            x: rows, p: the probabilities that it gives them.
        """
        known: dict[int, Floats | None] = {id(x): p}
        last = self.calls[::-1]
        for scored in (*(c for c in last if c.model() is model), *(c for c in last if c.model() is not model)):
            if id(scored.x) not in known:
                known[id(scored.x)] = _probabilities(model, scored.x)
            mine = known[id(scored.x)]
            if mine is not None and same(mine, scored.found.p):
                return scored
        return None

    def _is_served(self, run: Run, names: list[str], scored: Scored) -> bool:
        from mlops.experiments import served
        from mlops.experiments.readers import CannotServeError

        try:
            served.check(run.folder / "served", names, scored.x, scored.found.p)
        except CannotServeError:
            return False
        return True


def same(p: Floats, other: Floats) -> bool:
    """Whether probabilities are those of one model."""
    return p.shape == other.shape and bool((np.abs(p - other) <= TOLERANCE).all())


def _probabilities(model: Any, x: Any) -> Floats | None:
    """Of rows that another model scored; None where this one does not take them."""
    try:
        return measure.probabilities(model, x, 1)
    except Exception:
        return None
