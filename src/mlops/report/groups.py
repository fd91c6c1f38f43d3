"""Groups of customers: where a good average hides that somebody was made worse off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops.metrics.measure import Decision
from mlops.policy import Gate
from mlops.report import paired
from mlops.report.checks import Check
from mlops.report.paired import Change, Draw
from mlops.report.pairing import FEWEST, Pair, apart
from mlops.report.ranked import Ranked

FEWEST_RESAMPLES = 200
SHARE = 10
"""Groups are resampled a tenth as often: a standard error needs fewer resamples than a percentile."""
NAMED = 3


@dataclass(frozen=True)
class Slice:
    """A group of rows and the gate's metric in it. broken: it got worse, more than the policy allows."""

    column: str
    level: str
    rows: int
    customers: int
    change: Change
    broken: bool

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        change = self.change.facts()
        moved = {name: change[name] for name in ("difference", "low", "high")}
        return {"column": self.column, "level": self.level, "rows": self.rows, **moved, "broken": self.broken}


class _Group(NamedTuple):
    column: str
    level: str
    inside: NDArray[np.bool_]


def judged(pair: Pair, decisions: tuple[Decision, Decision], policy: Gate) -> tuple[Slice, ...]:
    """The groups that have enough rows, and enough customers of both outcomes, worst first.

    A group's interval is wider than the gate's own: with many groups one would look worse by chance (Bonferroni). So
    far out a percentile would need many more resamples; the interval is the normal one, with the bootstrap's error.
    """
    groups = list(_groups(pair, policy.slices.min_rows))
    found = [_slice(pair, group, decisions, policy, len(groups)) for group in groups]
    return tuple(sorted(found, key=lambda s: (s.change.oriented(policy.metric).difference, s.column, s.level)))


def _groups(pair: Pair, min_rows: int) -> Iterator[_Group]:
    for column, coded in pair.groups.items():
        for code, level in enumerate((*coded.levels, "(missing)")):
            inside = coded.codes == (code if code < len(coded.levels) else -1)
            if int(inside.sum()) >= min_rows and min(apart(pair.y[inside], pair.customers[inside])) >= FEWEST:
                yield _Group(column, level, inside)


def _slice(pair: Pair, group: _Group, decisions: tuple[Decision, Decision], policy: Gate, groups: int) -> Slice:
    inside, metric = group.inside, policy.metric
    customers = np.unique(pair.customers[inside], return_inverse=True)[1].astype(np.intp)
    counted, rows = int(customers.max()) + 1, len(customers)
    sides = [
        Ranked(pair.y[inside], p[inside], customers, decision).measure
        for p, decision in zip(pair.p, decisions, strict=True)
    ]
    resamples = max(policy.resamples // SHARE, FEWEST_RESAMPLES)
    drawn = paired.replicates(sides, counted, Draw(resamples, policy.confidence, max(rows, counted)))
    spread = drawn[0][metric] - drawn[1][metric]
    known = spread[np.isfinite(spread)]
    error = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    half = NormalDist().inv_cdf(1 - (1 - policy.confidence) / (2 * groups)) * error
    once = np.ones((1, counted), dtype=np.int32)
    mine, other = (float(side(once)[metric][0]) for side in sides)
    change = paired.change(metric, (mine, other), (mine - other - half, mine - other + half))
    turned = change.oriented(metric)
    broken = turned.difference < -policy.slices.max_loss and turned.high < 0
    return Slice(group.column, group.level, rows, counted, change, broken)


def check(slices: tuple[Slice, ...], policy: Gate) -> Check:
    """Whether no group got worse than it may."""
    limit = f"{policy.slices.max_loss:g}"
    broken = [s for s in slices if s.broken]
    if not slices:
        needed = f"{policy.slices.min_rows:,} rows, and {FEWEST} customers of each outcome"
        return Check("slices", True, f"no group has {needed}")
    if broken:
        told = ", ".join(_told(s) for s in broken[:NAMED])
        more = f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        return Check("slices", False, f"{policy.metric} is worse in {told}{more}; slices.max_loss is {limit}")
    found = f"none of {len(slices)} groups is worse by more than {limit} beyond chance"
    return Check("slices", True, f"{found}; the worst is {_told(slices[0])}")


def _told(s: Slice) -> str:
    return f"{s.column} = {s.level} ({s.change.words()})"
