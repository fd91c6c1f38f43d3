"""Who a row is about: keys that other versions of the table know, customers, outcomes, sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops import schema as schemas
from mlops.errors import DataError
from mlops.params import Preprocess
from mlops.rows import identity as rows_module
from mlops.rows import split
from mlops.rows.identity import identify
from mlops.schema import Schema

DAY = 86_400


def settings(cutoff: str = "auto") -> Preprocess:
    return Preprocess(
        max_bad_share=0.1, leakage="warn", test_share=0.2, validation_share=0.2, split_seed=0, cutoff=cutoff
    )


def schema(*roles: str) -> Schema:
    kinds: dict[str, Any] = {"x": {"kind": "number"}, "plan": {"kind": "category"}}
    kinds |= {role: {"kind": role} for role in roles}
    return schemas.parse({"columns": {**kinds, "y": {"kind": "target", "positive": "Yes", "negative": "No"}}})


def table(size: int, **given: Any) -> pa.Table:
    values: dict[str, Any] = {
        "x": pa.array(np.arange(size, dtype=float)),
        "plan": pa.array(["a", "b"] * size)[:size],
        "y": pa.array(["Yes", "No", None] * size, pa.string())[:size],
    }
    if "time" in given:
        given["time"] = pa.array([None if d is None else d * DAY for d in given["time"]], pa.timestamp("s"))
    return pa.table({**values, **given})


def key_of(t: pa.Table, *roles: str) -> list[str]:
    found = identify(t, schema(*roles), None, settings())
    keys: list[str] = found.key.to_pylist()
    assert len(set(keys)) == len(keys)
    return keys


def test_keys_are_the_ids_where_they_are_unique() -> None:
    assert key_of(table(3, id=["a", "b", "c"]), "id") == ["a", "b", "c"]


def test_keys_are_ids_with_days_where_ids_repeat() -> None:
    t = table(3, id=["a", "a", "b"], time=[0, 31, 0])
    assert key_of(t, "id", "time") == ["a|1970-01-01", "a|1970-02-01", "b|1970-01-01"]


def test_rows_without_id_or_time_have_the_hash_of_their_values() -> None:
    first, second, third = key_of(table(3, id=["a", None, "b"]), "id")
    assert (first, third) == ("a", "b")
    assert len(second) == 16
    assert int(second, 16) >= 0
    keys = key_of(table(3, id=["a", "a", "b"], time=[0, None, 0]), "id", "time")
    assert keys[0] == "a|1970-01-01"
    assert len(keys[1]) == 16


def test_repeats_are_numbered() -> None:
    t = table(3, x=pa.array([1.0, 1.0, 1.0]), plan=pa.array(["a", "a", "b"]), y=pa.array(["Yes", "No", "Yes"]))
    keys = key_of(t)
    assert keys[0] == f"{keys[1]}-2"  # the No comes first, in whatever order the rows are
    assert len(keys[2]) == 16
    assert key_of(t.take(pa.array([2, 1, 0])))[::-1] == keys


def test_same_id_and_day_twice_falls_back_to_hashes() -> None:
    keys = key_of(table(2, id=["a", "a"], time=[5, 5]), "id", "time")
    assert [len(k) for k in keys] == [16, 16]


def test_customer_is_the_id_or_the_key() -> None:
    found = identify(table(3, id=["a", None, "a"]), schema("id"), None, settings())
    assert found.customer.to_pylist() == ["a", found.key[1].as_py(), "a"]


def test_outcomes_and_repeats() -> None:
    found = identify(table(3, x=pa.array([1.0] * 3), plan=pa.array(["a"] * 3)), schema(), None, settings())
    assert found.y.tolist() == [1, 0, -1]
    assert found.repeated() == 0
    copies = identify(
        table(2, x=pa.array([1.0] * 2), plan=pa.array(["a"] * 2), y=pa.array(["No"] * 2)), schema(), None, settings()
    )
    assert copies.repeated() == 1


def test_a_test_file_is_the_test_side() -> None:
    t = table(400, id=[f"c{i}" for i in range(400)], time=list(range(400)))
    tested = np.arange(400) >= 300
    found = identify(t, schema("id", "time"), tested, settings("1970-03-01"))
    assert (found.side[tested] == split.TEST).all()
    assert set(found.side[~tested].tolist()) == {split.TRAIN, split.VALIDATION}
    assert np.mean(found.side[~tested] == split.VALIDATION) == pytest.approx(0.25, abs=0.06)
    assert found.cutoff is None


def test_a_cutoff_needs_a_time_column() -> None:
    with pytest.raises(DataError, match="cutoff 2024-01-01 needs a time column"):
        identify(table(3), schema(), None, settings("2024-01-01"))
    assert identify(table(3), schema(), None, settings()).cutoff is None


def test_the_cutoff_counts_rows_with_a_target_only() -> None:
    """The newest snapshot has no outcomes yet: it must not become the test set."""
    t = table(8, id=list("abcdefgh"), time=[0, 0, 0, 1, 2, 2, 2, 2], y=pa.array(["Yes"] * 4 + [None] * 4))
    assert identify(t, schema("id", "time"), None, settings()).cutoff == 1.0


ROW = st.tuples(
    st.sampled_from(["a", "b", "c", None]),
    st.sampled_from([0, 1, 2, None]),
    st.sampled_from([0.0, 1.5, None]),
    st.sampled_from(["p", "q", None]),
    st.sampled_from(["Yes", "No", None]),
)


@given(st.lists(ROW, min_size=1, max_size=30), st.randoms(use_true_random=False), st.booleans())
def test_order_of_rows_changes_nothing(drawn: list[Any], random: Any, with_id: bool) -> None:
    roles = ("id", "time") if with_id else ()

    def facts(order: list[int]) -> list[Any]:
        ids, times, x, plan, y = zip(*(drawn[i] for i in order), strict=True)
        values: dict[str, Any] = {"x": pa.array(x, pa.float64()), "plan": pa.array(plan, pa.string())}
        values["y"] = pa.array(y, pa.string())
        given = {"id": pa.array(ids, pa.string()), "time": times} if with_id else {}
        found = identify(table(len(order), **values, **given), schema(*roles), None, settings())
        keys = found.key.to_pylist()
        assert len(set(keys)) == len(keys)
        facts = list(zip(keys, found.side.tolist(), found.y.tolist(), found.customer.to_pylist(), strict=True))
        return sorted(f[:3] if "-" in f[0] or not with_id else f for f in facts)

    order = list(range(len(drawn)))
    shuffled = list(order)
    random.shuffle(shuffled)
    assert facts(order) == facts(shuffled)


@given(st.lists(ROW, min_size=1, max_size=30))
def test_no_customer_is_on_two_sides(drawn: list[Any]) -> None:
    ids, times, x, plan, y = zip(*drawn, strict=True)
    t = table(len(drawn), x=pa.array(x, pa.float64()), plan=pa.array(plan, pa.string()), y=pa.array(y, pa.string()),
              id=pa.array(ids, pa.string()), time=times)  # fmt: skip
    found = identify(t, schema("id", "time"), None, settings())
    sides: dict[str, set[int]] = {}
    for customer, side in zip(ids, found.side.tolist(), strict=True):
        if customer is not None and side not in split.UNUSED:
            sides.setdefault(customer, set()).add(side)
    assert all(len(s) == 1 for s in sides.values())


def test_counts_of_sides_add_up() -> None:
    t = table(300, id=[f"c{i % 100}" for i in range(300)], time=[i // 100 for i in range(300)])
    found = identify(t, schema("id", "time"), None, settings())
    counts = [found.counts(side) for side in range(3)]
    used = sum(c["rows"] for c in counts)
    assert used + sum(found.unused().values()) == int((found.y != rows_module.UNLABELLED).sum()) == 200
    assert set(found.unused()) == {split.UNUSED[split.TOO_EARLY], split.UNUSED[split.TOO_LATE]}
    assert all(c["customers"] <= c["rows"] and c["positives"] <= c["rows"] for c in counts)
