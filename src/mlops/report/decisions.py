"""Whose decision flips: customers that one version contacts and the other leaves alone, and whether that is right.

Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", Psychometrika
12, 1947. Rows of one customer resemble each other, so a customer's rows are taken together: were both versions right
equally often, each customer's sum of differences would be as likely to have either sign (for one row per customer that
is McNemar's exact test; in the limit the test of Z. Yang, X. Sun & J. W. Hardin, Biometrical Journal 52, 2010).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mlops.features import Coded
from mlops.metrics.measure import Decision
from mlops.report.pairing import Pair

MOST_EXACT = 20_000_000
"""Customers times differences up to which every combination of signs is counted; beyond, the normal curve fits as well.
"""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Share:
    """A group of rows and how many of them flipped."""

    column: str
    level: str
    rows: int
    flipped: int


@dataclass(frozen=True)
class Decisions:
    """What both versions do with the same rows.

    Args:
        rows: how many there are; churned: of them, who left.
        predicted: mean probability of the candidate and of the baseline.
        contacted: rows that each contacts.
        money: what contacting who would leave is worth, and what a contact costs; NaN where not known.
        newly: rows that only the candidate contacts; who churned of them, who stayed.
        no_longer: rows that only the baseline contacts; likewise.
        p_value: of McNemar's test that both are right equally often; NaN where nothing flips.
        groups: where flips are more frequent than elsewhere, the largest excess first.
    """

    rows: int
    churned: int
    predicted: tuple[float, float]
    contacted: tuple[int, int]
    money: tuple[float, float]
    newly: tuple[int, int]
    no_longer: tuple[int, int]
    p_value: float
    groups: tuple[Share, ...]


def compare(pair: Pair, decisions: tuple[Decision, Decision], min_rows: int) -> Decisions:
    """The decisions of both, each by its own threshold. min_rows: of a group that is named."""
    mine, other = (p >= d.threshold for p, d in zip(pair.p, decisions, strict=True))
    churned = pair.y == 1
    newly, no_longer = mine & ~other, other & ~mine
    right = np.where(churned, 1, -1) * (mine.astype(np.int64) - other)
    sums = np.bincount(pair.customers, right, minlength=pair.counted).astype(np.int64)
    return Decisions(
        rows=len(mine),
        churned=_count(churned),
        predicted=(float(pair.p[0].mean()), float(pair.p[1].mean())),
        contacted=(_count(mine), _count(other)),
        money=(decisions[0].value_saved, decisions[0].cost_contact),
        newly=(_count(newly & churned), _count(newly & ~churned)),
        no_longer=(_count(no_longer & churned), _count(no_longer & ~churned)),
        p_value=sign_test(sums),
        groups=_shares(pair.groups, newly | no_longer, min_rows),
    )


def sign_test(differences: NDArray[np.int64]) -> float:
    """How likely a sum at least so far from 0 is, were each difference as likely to have the other sign.

    differences: a whole number per customer, shape (customers,). NaN where all are 0.
    """
    sizes = np.abs(differences[differences != 0])
    if not len(sizes):
        return math.nan
    total, most = abs(int(differences.sum())), int(sizes.sum())
    if len(sizes) * most > MOST_EXACT:
        return 2 * NormalDist().cdf(-total / math.sqrt(float(np.sum(sizes.astype(np.float64) ** 2))))
    chance = np.zeros(2 * most + 1)  # of each sum from -most to most
    chance[most] = 1.0
    for size in sizes.tolist():
        chance = (np.roll(chance, size) + np.roll(chance, -size)) / 2
    return min(1.0, float(chance[: most - total + 1].sum() + chance[most + total :].sum()))


def _shares(groups: Mapping[str, Coded], flipped: Flags, min_rows: int) -> tuple[Share, ...]:
    everywhere = float(flipped.mean())
    found = []
    for column, coded in groups.items():
        for code, level in enumerate((*coded.levels, "(missing)")):
            inside = coded.codes == (code if code < len(coded.levels) else -1)
            share = Share(column, level, _count(inside), _count(flipped & inside))
            excess = share.flipped - share.rows * everywhere
            if share.rows >= min_rows and excess > 0:
                found.append((excess, share))
    return tuple(share for _, share in sorted(found, key=lambda e: (-e[0], e[1].column, e[1].level)))


def _count(flags: Flags) -> int:
    return int(np.count_nonzero(flags))
