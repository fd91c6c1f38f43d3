"""What one month shows of each customer: use, payments, complaints and opinions, all driven by satisfaction.

Only sums, products, quotients and roundings of the draws are used: their bits are the same on every processor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlops.simulator import comments
from mlops.simulator.columns import PAYMENTS
from mlops.simulator.customers import Customers
from mlops.simulator.streams import Flags, Floats, Ints, Streams

PERSISTENCE = 0.8  # of satisfaction from month to month: AR(1)
_SPREAD = 0.6  # √(1 − 0.8²) keeps its variance at 1
_HISTORY = (1 << 12) - 1
LONGEST_ABSENCE = 90


@dataclass(frozen=True)
class Seen:
    """The columns of one snapshot, one entry per row. Missing: −1 in integers, NaN in floats."""

    tenure: Ints
    signup_days: Ints  # days since 1970-01-01
    plan: Ints
    payment: Ints
    device: Ints
    region: Ints
    auto_renew: Flags
    age: Ints
    price: Floats
    discount: Ints
    sessions: Ints
    sessions_previous: Ints
    minutes: Floats
    days_since: Ints
    tickets: Ints
    late_payments: Ints
    nps: Floats
    comment: Ints


def move_on(customers: Customers, streams: Streams, month: int) -> None:
    """One month passes: satisfaction moves, and bills are paid in time or late."""
    customers.satisfaction *= PERSISTENCE
    customers.satisfaction += _SPREAD * streams.normal("satisfaction", month)
    late = streams.uniform("late", month) < customers.late_rate
    customers.late_history[:] = ((customers.late_history << 1) | late) & _HISTORY


def sessions(customers: Customers, streams: Streams, month: int, factor: float) -> Ints:
    """Sessions of the last 30 days: a squared normal, more for the satisfied. `factor` scales them all."""
    root = customers.habit + 0.45 * customers.satisfaction + 0.6 * streams.normal("sessions", month)
    return np.floor(np.maximum(root, 0.0) ** 2 * factor).astype(np.int64)


def minutes(customers: Customers, streams: Streams, month: int, count: Ints) -> Floats:
    """Minutes of the last 30 days, one decimal; NaN where tracking was declined."""
    noise = 0.7 + 0.6 * streams.uniform("minutes", month)
    return np.where(customers.tracked, np.round(count * customers.session_minutes * noise, 1), np.nan)


def days_since_last(streams: Streams, month: int, count: Ints) -> Ints:
    """Days since the last session: within the 30 days when there was one, else beyond them."""
    spread = streams.uniform("absence", month)
    tail = spread / (1.05 - spread)
    recent = np.minimum(np.floor(25.0 * tail / (count + 2.0)), 30)
    before = np.minimum(31.0 + np.floor(8.0 * tail), LONGEST_ABSENCE)
    return np.where(count > 0, recent, before).astype(np.int64)


def tickets(customers: Customers, streams: Streams, month: int) -> Ints:
    """Support tickets of the last 30 days: geometric, more for the dissatisfied; at most 6."""
    chance = np.clip(0.2 - 0.1 * customers.satisfaction, 0.03, 0.6)
    draw = streams.uniform("tickets", month)
    count = np.zeros(streams.size, dtype=np.int64)
    reach = chance.copy()
    for _ in range(6):
        count += draw < reach
        reach *= chance
    return count


def nps(customers: Customers, streams: Streams, month: int, count: Ints) -> Floats:
    """Answer to the survey, 0–10; NaN where not answered: the idle and the dissatisfied answer less."""
    answers = streams.uniform("nps answered", month) < _willing(0.45, customers, count)
    mood = 0.8 * customers.satisfaction + 0.6 * streams.normal("nps", month)
    return np.where(answers, np.clip(np.round(7.2 + 2.2 * mood), 0, 10), np.nan)


def comment(customers: Customers, streams: Streams, month: int, count: Ints) -> Ints:
    """Number of the comment's text; −1 where none was written: the idle write less."""
    writes = streams.uniform("comment written", month) < _willing(0.3, customers, count)
    mood = 0.8 * customers.satisfaction + 0.6 * streams.normal("comment mood", month)
    return np.where(writes, comments.choose(mood, streams.uniform("comment text", month)), -1)


def _willing(most: float, customers: Customers, count: Ints) -> Floats:
    """Chance to answer, up to about `most`: grows with use and, less, with satisfaction."""
    return most * (0.25 + 0.75 * count / (count + 5.0)) * (1.0 + 0.1 * np.clip(customers.satisfaction, -2, 2))


def payment(customers: Customers, vouchers: float) -> Ints:
    """Payment method, after a share of the customers has turned to vouchers."""
    return np.where(customers.steadfast < vouchers, PAYMENTS.index("Voucher"), customers.payment)
