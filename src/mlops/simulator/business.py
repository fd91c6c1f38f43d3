"""Month by month: who comes, what is seen, who leaves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from mlops.params import Simulator
from mlops.simulator import activity, drift, regions, risk
from mlops.simulator.activity import Seen
from mlops.simulator.arrow import Writer
from mlops.simulator.customers import Customers, founding, sign_up
from mlops.simulator.streams import BURN_IN, Streams


def simulate(params: Simulator) -> pa.Table:
    """The table of a simulated business: customers × months rows, ordered by snapshot and customer_id.

    Columns and units are those of `mlops.simulator.SCHEMA`. The same parameters give the same bytes; more customers or
    months keep every row that was there.
    """
    return pa.Table.from_batches(list(_snapshots(params)))


def _snapshots(params: Simulator) -> Iterator[pa.RecordBatch]:
    streams = Streams(params.seed, params.customers)
    region_effects = regions.effects(params.seed)
    writer = Writer(params)
    customers = founding(streams, -BURN_IN)
    for month in range(-BURN_IN, params.months):
        habits, weights = drift.at(params, month)
        activity.move_on(customers, streams, month)
        seen = _observe(customers, streams, params, month, habits)
        probability = risk.probability(seen, region_effects, weights)
        leaves = streams.uniform("churn", month) < probability
        if month >= 0:
            yield writer.batch(month, np.maximum(customers.arrival, 0), seen, probability, leaves)
        customers.sessions_previous[:] = seen.sessions
        customers.admit(sign_up(streams, month + 1), leaves)


def _observe(customers: Customers, streams: Streams, params: Simulator, month: int, habits: drift.Habits) -> Seen:
    first = drift.month_number(params.start) - drift.month_number("1970-01")
    arrival_day = (customers.arrival + first).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    tenure = month - customers.arrival
    count = activity.sessions(customers, streams, month, habits.sessions)
    # Copies, because Arrow may keep the memory while the customers go on changing.
    return Seen(
        tenure=tenure,
        signup_days=arrival_day - customers.signup_day,
        plan=customers.plan.copy(),
        payment=activity.payment(customers, habits.vouchers),
        device=customers.device.copy(),
        region=customers.region.copy(),
        auto_renew=customers.auto_renew.copy(),
        age=customers.age.copy(),
        price=np.round(customers.price * habits.prices, 2),
        discount=customers.discount(tenure),
        sessions=count,
        sessions_previous=customers.sessions_previous.copy(),
        minutes=activity.minutes(customers, streams, month, count),
        days_since=activity.days_since_last(streams, month, count),
        tickets=activity.tickets(customers, streams, month),
        late_payments=np.bitwise_count(customers.late_history).astype(np.int64),
        nps=activity.nps(customers, streams, month, count),
        comment=activity.comment(customers, streams, month, count),
    )
