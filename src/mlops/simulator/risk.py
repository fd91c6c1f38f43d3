"""The true probability of leaving: a logistic function of what a row shows, and of nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlops.simulator import comments
from mlops.simulator.activity import Seen
from mlops.simulator.columns import PAYMENTS
from mlops.simulator.streams import Flags, Floats


@dataclass(frozen=True)
class Coefficients:
    """Weights of the terms in log-odds; tuples hold one per level of their column."""

    base: float = -6.3
    plan: tuple[float, ...] = (0.4, 0.0, -0.2, -0.6)
    payment: tuple[float, ...] = (0.0, -0.6, 0.2, 0.7)
    device: tuple[float, ...] = (0.1, -0.25, 0.0, 0.2, -0.1)
    region: float = 0.35
    age: float = 0.5
    manual_renewal: float = 1.2
    newness: float = 1.2
    price: float = 0.3
    poor_value: float = 0.45
    late: float = 0.45
    late_voucher: float = 0.3
    idle: float = 1.15
    absent: float = 0.8
    halved: float = 0.7
    short_sessions: float = 1.4
    tickets: float = 0.5
    tickets_when_new: float = 0.35
    nps: float = -0.42
    comment: float = -0.65


COEFFICIENTS = Coefficients()
LOWEST, HIGHEST = 0.0005, 0.98


def probability(seen: Seen, region_effects: Floats, weights: Coefficients) -> Floats:
    """Chance of each row to churn within 30 days, rounded to 6 decimals. Shape (rows,).

    The rounding hides the last bits of exp(), which differ between processors.
    """
    log_odds = weights.base + _person(seen, region_effects, weights) + _money(seen, weights)
    log_odds += _use(seen, weights) + _said(seen, weights)
    chance: Floats = np.clip(1.0 / (1.0 + np.exp(-log_odds)), LOWEST, HIGHEST)
    return np.round(chance, 6)


def _person(seen: Seen, region_effects: Floats, w: Coefficients) -> Floats:
    # The very young and the very old leave more; whoever does not tell their age is average (0.6).
    from_middle = np.minimum(((seen.age - 45) / 20.0) ** 2, 2.0)
    term: Floats = (
        np.array(w.plan)[seen.plan]
        + np.array(w.payment)[seen.payment]
        + np.array(w.device)[seen.device]
        + w.region * np.append(region_effects, 0.0)[seen.region]
        + w.age * np.where(seen.age < 0, 0.6, from_middle)
        + w.manual_renewal * ~seen.auto_renew
        + w.newness * 4.0 / (4.0 + seen.tenure)
    )
    return term


def _money(seen: Seen, w: Coefficients) -> Floats:
    paid = seen.price * (1.0 - seen.discount / 100.0)
    late = np.minimum(seen.late_payments, 4)
    voucher: Flags = seen.payment == PAYMENTS.index("Voucher")
    return (
        w.price * (paid - 11.0) / 4.0
        + w.poor_value * np.minimum(paid / (seen.sessions + 2.0), 3.0)
        + (w.late + w.late_voucher * voucher) * late
    )


def _use(seen: Seen, w: Coefficients) -> Floats:
    halved: Flags = (seen.sessions_previous >= 4) & (2 * seen.sessions < seen.sessions_previous)
    per_session = seen.minutes / np.maximum(seen.sessions, 1)
    # Whoever declines tracking counts as an average session of 20 minutes.
    short = np.where(np.isnan(per_session), 0.5, 20.0 / (20.0 + per_session))
    return (
        w.idle * 8.0 / (8.0 + seen.sessions)
        + w.absent * np.minimum(seen.days_since, 30) / 30.0
        + w.halved * halved
        + w.short_sessions * short
        + (w.tickets + w.tickets_when_new * (seen.tenure < 6)) * np.minimum(seen.tickets, 4)
    )


def _said(seen: Seen, w: Coefficients) -> Floats:
    nps = np.where(np.isnan(seen.nps), 0.0, (seen.nps - 7.0) / 2.0)
    return w.nps * np.maximum(nps, -2.5) + w.comment * comments.tone_of(seen.comment)
