"""Intervals of differences between experiments: the gate's, of the same customers drawn for both.

Of the area under the ROC curve it is the one without resampling that the gate tells beside its own (DeLong's, by
customer): thirty times as quick, which is what a table of many experiments needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops.experiments import scored
from mlops.experiments.scored import Asked, Rows
from mlops.features import Floats
from mlops.git import Git
from mlops.metrics.measure import HIGHER_IS_BETTER, Decision
from mlops.policy import Gate
from mlops.report import delong, paired
from mlops.report.paired import Change, Draw, Measure
from mlops.report.ranked import Customers, Outcomes, Ranked

ROUNDED = 1.5e-6
"""How far a metric of six decimals may be from the same one of probabilities with six decimals."""
FEWEST = 30
"""As `mlops.report.pairing.FEWEST`, which a model's whole runtime would be loaded for."""
Pair = tuple[str, str]
Drawn = tuple[Floats, float]
"""A metric in each resample, and of the rows as they are."""


@dataclass
class _Group:
    """Commits that scored the same rows.

    keys: of the rows as the first commit has them; order: that in which all arrays are, by its probability (sorted
    numbers are found in half the time). p: commit → probabilities.
    """

    keys: pa.Array
    order: NDArray[np.intp]
    customers: Customers
    y: Outcomes
    p: dict[str, Floats] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Rows) -> _Group:
        order = np.argsort(rows.p, kind="stable")
        customers = np.asarray(np.from_dlpack(pc.dictionary_encode(rows.customers).indices), dtype=np.intp)
        return cls(rows.keys, order, customers[order], rows.y[order])

    def take(self, commit: str, rows: Rows) -> bool:
        """Add a commit, if it scored these rows and knows the same outcomes."""
        order = self.order
        if not self.keys.equals(rows.keys):
            at = pc.index_in(self.keys, value_set=rows.keys)
            if at.null_count or len(rows.keys) != len(self.keys):
                return False
            order = np.asarray(np.from_dlpack(pc.cast(at, pa.int64())), dtype=np.intp)[order]
        if not np.array_equal(rows.y[order], self.y):
            return False
        self.p[commit], self.decisions[commit] = rows.p[order], rows.decision
        return True

    def enough(self, gate: Gate) -> bool:
        """Whether they are as many as the gate asks for."""
        apart = (len(np.unique(self.customers[self.y == outcome])) for outcome in (0, 1))
        return len(self.y) >= gate.min_rows and min(apart) >= FEWEST

    def drawn(self, metric: str, gate: Gate) -> dict[str, Drawn]:
        """What the resamples, which are the same for all, give each commit."""
        measures: list[Measure] = [
            Ranked(self.y, p, self.customers, self.decisions[commit]).measure for commit, p in self.p.items()
        ]
        customers = int(self.customers.max()) + 1
        once = np.ones((1, customers), dtype=np.int32)
        points = [float(measure(once)[metric][0]) for measure in measures]
        found = paired.replicates(measures, customers, Draw(gate.resamples, gate.confidence, len(self.y)))
        return {c: (values[metric], point) for c, values, point in zip(self.p, found, points, strict=True)}


def changes(
    git: Git, asked: Sequence[Asked], pairs: Iterable[Pair], metric: str, gate: Gate
) -> dict[Pair, Change | None]:
    """The changes of a metric between commits, each of which is read once.

    None where both did not score the same rows, where there are too few of them, and where the rows give another value
    of the metric than the commit says: then the interval would be one of something else.

    Args:
        git: the repository.
        asked: the commits of all pairs.
        pairs: full hashes of a commit and of what it is compared with.
        metric: of the gate's; of any other there is no interval.
        gate: how sure intervals are, and how many rows they take.
    """
    groups = _groups(git, asked, gate) if metric in HIGHER_IS_BETTER else []
    drawn = {id(group): {} if metric == "roc_auc" else group.drawn(metric, gate) for group in groups}
    said = {each.commit: each.value for each in asked}

    def find(pair: Pair) -> Change | None:
        commit, other = pair
        group = next((g for g in groups if commit in g.p and other in g.p), None)
        if group is None:
            return None
        if metric == "roc_auc":
            p = group.p[commit], group.p[other]
            found = delong.difference(group.y, p, group.customers, gate.confidence)
        else:
            mine, theirs = drawn[id(group)][commit], drawn[id(group)][other]
            interval = paired.percentiles(mine[0] - theirs[0], gate.confidence)
            found = paired.change(metric, (mine[1], theirs[1]), interval)
        good = _is(found.candidate, said[commit]) and _is(found.baseline, said[other])
        return found if good and np.isfinite(found.high - found.low) else None

    wanted = list(pairs)
    with ThreadPoolExecutor(paired.cores()) as pool:
        return dict(zip(wanted, pool.map(find, wanted), strict=True))


def _is(measured: float, said: float) -> bool:
    return abs(measured - said) <= ROUNDED * max(1.0, abs(said))


def _groups(git: Git, asked: Sequence[Asked], gate: Gate) -> list[_Group]:
    groups: list[_Group] = []
    for each, rows in zip(asked, scored.read(git, asked), strict=True):
        if rows is not None and not any(group.take(each.commit, rows) for group in groups):
            groups.append(_Group.of(rows))
            groups[-1].take(each.commit, rows)
    return [group for group in groups if len(group.p) > 1 and group.enough(gate)]
