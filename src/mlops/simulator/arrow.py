"""One snapshot as an Arrow batch; the batches of all months share the texts of their dictionaries."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mlops.params import Simulator
from mlops.simulator import comments, regions
from mlops.simulator.activity import Seen
from mlops.simulator.columns import DEVICES, PAYMENTS, PLANS, SCHEMA
from mlops.simulator.drift import month_number
from mlops.simulator.streams import Flags, Floats, Ints

_SUBSCRIPTION_DIGITS = 8
_ARRIVAL_DIGITS = 3
_ID_LENGTH = 1 + _SUBSCRIPTION_DIGITS + _ARRIVAL_DIGITS


class Writer:
    """Turns snapshots into batches. It keeps what is the same every month: dictionaries and the ids' first part."""

    def __init__(self, params: Simulator) -> None:
        self._first = month_number(params.start) - month_number("1970-01")
        self._texts = {
            name: pa.array(levels, pa.string())
            for name, levels in (
                ("plan", PLANS), ("payment_method", PAYMENTS), ("device", DEVICES), ("region", regions.NAMES),
                ("comment", comments.texts()),
            )
        }  # fmt: skip
        self._ids = np.empty((params.customers, _ID_LENGTH), dtype=np.uint8)
        self._ids[:, 0] = ord("C")
        _write_digits(self._ids[:, 1 : 1 + _SUBSCRIPTION_DIGITS], np.arange(1, params.customers + 1))

    def batch(self, month: int, arrival: Ints, seen: Seen, probability: Floats, churned: Flags) -> pa.RecordBatch:
        """The rows of one month, in the order of their ids."""
        snapshot = np.datetime64(self._first + month, "M").astype("datetime64[s]")
        columns = {
            "customer_id": self._customer_ids(arrival),
            "snapshot": pa.array(np.full(len(arrival), snapshot)),
            "plan": self._category("plan", seen.plan),
            "price": pa.array(seen.price),
            "discount": pa.array(seen.discount),
            "payment_method": self._category("payment_method", seen.payment),
            "auto_renew": pa.array(seen.auto_renew),
            "device": self._category("device", seen.device),
            "region": self._category("region", seen.region),
            "age": _integers(seen.age),
            "signup_date": pa.array(seen.signup_days.astype("datetime64[D]").astype("datetime64[s]")),
            "tenure_months": pa.array(seen.tenure),
            "sessions": pa.array(seen.sessions),
            "sessions_previous": _integers(seen.sessions_previous),
            "minutes": pa.array(seen.minutes, from_pandas=True),
            "days_since_last_session": pa.array(seen.days_since),
            "tickets": pa.array(seen.tickets),
            "late_payments": pa.array(seen.late_payments),
            "nps": pa.array(seen.nps, from_pandas=True),
            "comment": self._category("comment", seen.comment),
            "churned": pa.array(churned.astype(np.int8)),
            "true_probability": pa.array(probability),
        }
        return pa.RecordBatch.from_pydict({c.name: columns[c.name] for c in SCHEMA.columns})

    def _category(self, name: str, codes: Ints) -> pa.DictionaryArray:
        indices = pa.array(codes.astype(np.int32), mask=codes < 0)
        return pa.DictionaryArray.from_arrays(indices, self._texts[name])

    def _customer_ids(self, arrival: Ints) -> pa.StringArray:
        """C, the subscription's number, the month its holder came: unique, and sorted within a month."""
        letters = self._ids.copy()
        _write_digits(letters[:, 1 + _SUBSCRIPTION_DIGITS :], arrival)
        offsets = np.arange(0, letters.size + 1, _ID_LENGTH, dtype=np.int32)
        return pa.StringArray.from_buffers(len(letters), pa.py_buffer(offsets), pa.py_buffer(letters))


def _integers(values: Ints) -> pa.Array:
    return pa.array(values, mask=values < 0)


def _write_digits(cells: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], numbers: Ints) -> None:
    """Write decimal digits as ASCII, right aligned, leading zeros. cells: shape (rows, digits)."""
    rest = numbers.copy()
    for place in range(cells.shape[1] - 1, -1, -1):
        cells[:, place] = rest % 10 + ord("0")
        rest //= 10
