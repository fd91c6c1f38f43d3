"""Who subscribes: the traits a customer signs up with and what the business remembers of them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from mlops.simulator import regions
from mlops.simulator.streams import Flags, Floats, Ints, Streams, pick

LONGEST_TENURE = 96
_NO_PROMOTION_AFTER = 6
_PLAN_SHARES = (0.3, 0.35, 0.2, 0.15)
_PAYMENT_SHARES = (0.42, 0.28, 0.18, 0.12)
_DEVICE_SHARES = (0.46, 0.2, 0.18, 0.1, 0.06)
_DISCOUNTS = (0, 10, 20, 30, 50)
_DISCOUNT_SHARES = (0.55, 0.15, 0.14, 0.1, 0.06)
_PLAN_PRICES = (7.99, 10.99, 13.99, 16.99)


@dataclass
class Customers:
    """One array entry per subscription, for the customer who holds it now."""

    arrival: Ints  # month of the first snapshot, counted from the table's first
    signup_day: Ints  # days before the first snapshot
    plan: Ints
    payment: Ints
    device: Ints
    region: Ints  # −1: not known
    auto_renew: Flags
    price: Floats
    promotion: Ints  # discount in per cent
    loyal_discount: Flags  # the discount does not end
    age: Ints  # −1: not known
    tracked: Flags
    habit: Floats  # usual sessions, on the square-root scale
    session_minutes: Floats
    late_rate: Floats  # chance of paying late in a month
    steadfast: Floats  # turns to vouchers when their share exceeds this
    satisfaction: Floats  # standard normal, moves month to month
    sessions_previous: Ints  # −1: no month before
    late_history: Ints  # one bit per month, the last 12

    def admit(self, newcomers: Customers, where: Flags) -> None:
        """Hand the subscriptions at `where` over to newcomers."""
        for f in fields(self):
            np.copyto(getattr(self, f.name), getattr(newcomers, f.name), where=where)

    def discount(self, tenure: Ints) -> Ints:
        """Discount in per cent: promotions end after half a year."""
        return np.where(self.loyal_discount | (tenure < _NO_PROMOTION_AFTER), self.promotion, 0)


def sign_up(streams: Streams, month: int) -> Customers:
    """New customers for every subscription, all with `month` as their first snapshot."""
    plan = pick(_PLAN_SHARES, streams.uniform("plan", month))
    # Three price lists are in force, by when and where one signed up.
    price_list = np.floor(3 * streams.uniform("price list", month))
    region = pick(regions.shares(), streams.uniform("region", month))
    age = np.floor(np.clip(41.0 + 15.0 * streams.normal("age", month), 18, 90)).astype(np.int64)
    return Customers(
        arrival=np.full(streams.size, month),
        signup_day=1 + np.floor(28 * streams.uniform("signup day", month)).astype(np.int64),
        plan=plan,
        payment=pick(_PAYMENT_SHARES, streams.uniform("payment", month)),
        device=pick(_DEVICE_SHARES, streams.uniform("device", month)),
        region=np.where(streams.uniform("region known", month) < 0.02, -1, region),
        auto_renew=streams.uniform("auto renew", month) < 0.68,
        price=np.round(np.array(_PLAN_PRICES)[plan] * (1.0 + 0.06 * price_list), 2),
        promotion=np.array(_DISCOUNTS)[pick(_DISCOUNT_SHARES, streams.uniform("promotion", month))],
        loyal_discount=streams.uniform("loyal discount", month) < 0.4,
        age=np.where(streams.uniform("age known", month) < 0.08, -1, age),
        tracked=streams.uniform("tracked", month) >= 0.09,
        habit=3.5 + 0.75 * streams.normal("habit", month),
        session_minutes=8.0 + 50.0 * streams.uniform("session minutes", month) ** 2,
        late_rate=0.3 * np.square(np.square(streams.uniform("late rate", month))),
        steadfast=streams.uniform("steadfast", month),
        satisfaction=streams.normal("first satisfaction", month),
        sessions_previous=np.full(streams.size, -1),
        late_history=np.zeros(streams.size, dtype=np.int64),
    )


def founding(streams: Streams, month: int) -> Customers:
    """The customers of the first simulated month, whose sign-ups lie up to eight years back."""
    customers = sign_up(streams, month)
    spread = streams.uniform("founding tenure", month)
    customers.arrival -= np.minimum(np.floor(12 * spread / (1.05 - spread)), LONGEST_TENURE).astype(np.int64)
    return customers
