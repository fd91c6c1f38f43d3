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
ANOTHER = (
    "log_model kept another model than this one, so the run keeps the metrics of that: give this one a run of its own,"
    " or log it too"
)
FIRST = (
    "positive= is here the first class of the model that log_model kept, which is served with its second, so these"
    " metrics are not kept: leave positive= out, or fit with the label that means churn as 1"
)
LEARNT = "these are the rows that the model learnt from; the run keeps only metrics of others"
ALONE = (
    "these are the rows that the model learnt from, so the metrics are too good; log_metrics(model, X_test, y_test)"
    " replaces them"
)


@dataclass
class Scorings:
    """What a run scored so far, the last call at the end.

    shown: whose rows, numbers and curves are the run's. names: of the columns that the bundle of log_model reads; None
    where there is no bundle. artifact: the model that log_model kept without one.
    """

    calls: list[Scored] = field(default_factory=list)
    shown: Scored | None = None
    names: list[str] | None = None
    artifact: Any = None

    def of(self, model: Any) -> Scored | None:
        """The last call with this object."""
        return next((scored for scored in reversed(self.calls) if scored.model() is model), None)

    def add(self, run: Run, scored: Scored) -> None:
        """Take in a call of log_metrics: the run shows it, unless log_model kept another model.

        Rows that the model learnt from are shown only where no others are, and never of a model that may be promoted.
        """
        self.calls.append(scored)
        while len(self.calls) > 1 and sum(len(call.found.y) for call in self.calls[:-1]) > HELD:
            del self.calls[0]
        said = self._against(run, scored)
        if said is None:
            self.show(run, scored)
            said = ALONE if scored.learnt else None
        if said is not None:
            print(f"note: {said}", file=sys.stderr)

    def show(self, run: Run, scored: Scored) -> None:
        """Make rows, numbers and curves of a call those of the run."""
        if scored is not self.shown:
            scored.keep(run)
            self.shown = scored

    def choose(self, model: Any, x: Any = None, p: Floats | None = None) -> Scored | None:
        """The last call whose rows this model gives the same probabilities; None where there is none.

        Rows that it did not learn from come before those that it did, and its own calls before those of others.

        Args:
            model: as it is now.
            x: rows, p: the probabilities that it gives them, where they are known already.
        """
        known: dict[int, Floats | None] = {id(x): p}
        last = self.calls[::-1]
        for scored in sorted(last, key=lambda call: (call.learnt, call.model() is not model)):
            if id(scored.x) not in known:
                known[id(scored.x)] = _probabilities(model, scored.x)
            mine = known[id(scored.x)]
            if mine is not None and same(mine, scored.found.p):
                return scored
        return None

    def keep(self, run: Run, model: Any) -> None:
        """Take in a model that cannot be served: the run shows its rows, where it was scored."""
        self.names, self.artifact = None, model
        own = sorted((call for call in self.calls[::-1] if call.model() is model), key=lambda call: call.learnt)
        scored = self.choose(model) or next(iter(own), None)
        if scored is not None:
            self.show(run, scored)

    def _against(self, run: Run, scored: Scored) -> str | None:
        """Why the run does not show a call; None where it does."""
        p = scored.found.p
        if self.names is not None:
            if not _is_served(run, self.names, scored.x, p):
                return FIRST if _is_served(run, self.names, scored.x, 1 - p) else ANOTHER
        elif self.artifact is not None and scored.model() is not self.artifact:
            mine = _probabilities(self.artifact, scored.x)
            if mine is None or not same(mine, p):
                return ANOTHER
        others = self.shown is not None and not self.shown.learnt
        return LEARNT if scored.learnt and (others or self.names is not None) else None


def _is_served(run: Run, names: list[str], x: Any, p: Floats) -> bool:
    """Whether the bundle of log_model gives rows these probabilities."""
    from mlops.experiments import served
    from mlops.experiments.readers import CannotServeError

    try:
        served.check(run.folder / "served", names, x, p)
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
