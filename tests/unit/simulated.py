"""What the tests of the simulator share: small worlds, their columns as arrays, and the AUC."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops.params import Drift, Simulator
from mlops.simulator import simulate
from mlops.simulator.activity import Seen
from mlops.simulator.streams import Floats


def params(customers: int = 12000, months: int = 18, seed: int = 7, **world: Any) -> Simulator:
    """The default business, or a smaller one; `world` is the drift, with `from_` for its month."""
    if "from_" in world:
        world["from"] = world.pop("from_")
    return Simulator(customers=customers, months=months, start="2025-01", seed=seed, drift=Drift(**world))


def drifted(kind: str, strength: float = 1.0, **size: int) -> pa.Table:
    return simulate(params(**size, kind=kind, strength=strength))


@cache
def default(seed: int = 7) -> pa.Table:
    return simulate(params(seed=seed))


def numbers(table: pa.Table, name: str) -> Floats:
    column = table[name]
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)


def codes(table: pa.Table, name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    parts = [pc.fill_null(chunk.indices, -1).to_numpy() for chunk in table[name].chunks]
    return np.concatenate(parts).astype(np.int64)


def snapshots(table: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.unique(numbers(table, "snapshot"), return_inverse=True)[1]


def auc(churned: Floats, score: Floats) -> float:
    """Area under the ROC curve by ranks, ties at half; rows without a score are left out."""
    known = ~np.isnan(score)
    _, group, sizes = np.unique(score[known], return_inverse=True, return_counts=True)
    rank = (np.cumsum(sizes) - (sizes - 1) / 2.0)[group]
    positive = churned[known] == 1
    ones = int(positive.sum())
    return float((rank[positive].sum() - ones * (ones + 1) / 2.0) / (ones * (len(rank) - ones)))


def seen_in(table: pa.Table) -> Seen:
    """The rows of a table as the risk sees them: only what a model sees, too."""

    def whole(name: str) -> Any:
        return np.nan_to_num(numbers(table, name), nan=-1).astype(np.int64)

    return Seen(
        tenure=whole("tenure_months"), signup_days=whole("signup_date") // 86400, plan=codes(table, "plan"),
        payment=codes(table, "payment_method"), device=codes(table, "device"), region=codes(table, "region"),
        auto_renew=numbers(table, "auto_renew") == 1, age=whole("age"), price=numbers(table, "price"),
        discount=whole("discount"), sessions=whole("sessions"), sessions_previous=whole("sessions_previous"),
        minutes=numbers(table, "minutes"), days_since=whole("days_since_last_session"), tickets=whole("tickets"),
        late_payments=whole("late_payments"), nps=numbers(table, "nps"), comment=codes(table, "comment"),
    )  # fmt: skip
