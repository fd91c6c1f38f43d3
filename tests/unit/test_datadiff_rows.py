"""Rows of two tables: matched by key or by content as a plain reading with pandas does."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.datadiffs import TARGET, column, compared

pytestmark = pytest.mark.slow

KINDS = {"who": "id", "when": "time", "x": "number", "plan": "category", "note": "text", "y": TARGET}
TYPES = pa.schema(
    [("who", pa.string()), ("when", pa.timestamp("s")), ("x", pa.float64()), ("plan", pa.string()),
     ("note", pa.string()), ("y", pa.string())]
)  # fmt: skip
DAYS = [pd.Timestamp("2026-01-01"), pd.Timestamp("2026-02-01"), None]
row = st.fixed_dictionaries(
    {
        "who": st.sampled_from(["a", "b", "c", "d", "é", ""]),
        "when": st.sampled_from(DAYS),
        "x": st.sampled_from([None, 0.0, -0.0, 1.5, 2.0, -7.0]),
        "plan": st.sampled_from([None, "Basic", "Premium", ""]),
        "note": st.sampled_from([None, "", "fine", "a longer one"]),
        "y": st.sampled_from([None, "0", "1"]),
    }
)


def alone(rows: list[dict]) -> list[dict]:
    """The rows, each key once."""
    return list({(r["who"], r["when"]): r for r in rows}.values())


def table(rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(rows, TYPES)


def frame(rows: list[dict]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=TYPES.names).astype(object)


def told_apart(a: object, b: object) -> bool:
    return not (a == b or (pd.isna(a) and pd.isna(b)))


@settings(deadline=None, max_examples=150)
@given(st.lists(row, max_size=30).map(alone), st.lists(row, max_size=30).map(alone))
def test_rows_with_a_key_are_merged_as_pandas_does(was: list[dict], now: list[dict]) -> None:
    found = compared(table(was), table(now), KINDS)
    left, right = (frame(rows).assign(when=lambda f: f["when"].astype(str)) for rows in (was, now))
    both = left.merge(right, on=["who", "when"], how="outer", suffixes=("", " now"), indicator=True)
    counts = both["_merge"].value_counts()
    kept = both[both["_merge"] == "both"]
    differ = {
        name: [told_apart(a, b) for a, b in zip(kept[name], kept[f"{name} now"], strict=True)]
        for name in ("x", "plan", "note", "y")
    }
    rows = found.rows
    assert (rows.before, rows.after, rows.key) == (len(was), len(now), ("who", "when"))
    assert (rows.added, rows.removed) == (counts["right_only"], counts["left_only"])
    assert rows.changed == sum(map(any, zip(*differ.values(), strict=True)))
    assert (rows.by_content.before, rows.copies.after) == (0, 0)
    for name, other in differ.items():
        assert column(found, name).changed == sum(other)
    for name in ("x", "plan", "note", "y"):
        missing = column(found, name).missing
        for side, rows_of in ((missing.before, was), (missing.after, now)):
            assert side == (pytest.approx(frame(rows_of)[name].isna().mean()) if rows_of else None)
    outcome = found.outcome
    assert outcome is not None
    ways = Counter(zip(kept["y"].fillna("?"), kept["y now"].fillna("?"), strict=True))
    assert (outcome.to_positive, outcome.to_negative) == (ways["0", "1"], ways["1", "0"])
    assert outcome.labelled == ways["?", "0"] + ways["?", "1"]
    assert outcome.unlabelled == ways["0", "?"] + ways["1", "?"]


def contents(rows: list[dict]) -> Counter:
    """Rows as tuples; both zeros are one."""
    return Counter(tuple(r[n] + 0.0 if isinstance(r[n], float) else r[n] for n in TYPES.names) for r in rows)


@settings(deadline=None, max_examples=150)
@given(st.lists(row, max_size=40), st.lists(row, max_size=40))
def test_rows_without_a_key_are_counted_as_wholes(was: list[dict], now: list[dict]) -> None:
    found = compared(table(was), table(now), {**KINDS, "who": "category", "when": "date"})
    before, after = contents(was), contents(now)
    rows = found.rows
    assert rows.key == ()
    assert rows.changed is None
    assert (rows.added, rows.removed) == ((after - before).total(), (before - after).total())
    assert (rows.by_content.before, rows.by_content.after) == (len(was), len(now))
    assert (rows.copies.before, rows.copies.after) == (len(was) - len(before), len(now) - len(after))
    assert found.outcome is not None
    assert found.outcome.to_positive is None


@settings(deadline=None, max_examples=100)
@given(st.lists(row, max_size=40), st.lists(row, max_size=40))
def test_keys_that_are_not_one_rows_alone_are_compared_by_content(was: list[dict], now: list[dict]) -> None:
    def counts(rows: list[dict]) -> Counter:
        return Counter((r["who"], r["when"]) for r in rows)

    repeated = {key for side in (counts(was), counts(now)) for key, number in side.items() if number > 1}
    split = [[[r for r in side if ((r["who"], r["when"]) in repeated) == loose] for loose in (True, False)]
             for side in (was, now)]  # fmt: skip
    (loose_was, own_was), (loose_now, own_now) = split
    before, after = contents(loose_was), contents(loose_now)
    added = (after - before).total() + len(counts(own_now) - counts(own_was))
    removed = (before - after).total() + len(counts(own_was) - counts(own_now))
    rows = compared(table(was), table(now), KINDS).rows
    assert (rows.added, rows.removed) == (added, removed)
    assert (rows.by_content.before, rows.by_content.after) == (len(loose_was), len(loose_now))
    assert rows.copies.before == len(loose_was) - len(before)


def test_a_row_whose_id_is_missing_is_nobody_s() -> None:
    """Two rows without id are not the same one because both lack it."""
    was = pa.table({"who": pa.array([None, "a"]), "x": [1.0, 2.0], "y": ["0", "1"]})
    now = pa.table({"who": pa.array(["a", None]), "x": [2.0, 9.0], "y": ["1", "0"]})
    rows = compared(was, now, {"who": "id", "x": "number", "y": TARGET}).rows
    assert (rows.added, rows.removed, rows.changed, rows.by_content.before) == (1, 1, 0, 1)


def test_the_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    was = pa.table({"who": [f"C{i}" for i in range(500)], "x": rng.random(500), "y": rng.choice(["0", "1"], 500)})
    now = was.take(pa.array(rng.permutation(500)))
    for kinds in ({"who": "id"}, {"who": "category"}):
        found = compared(was, now, {**kinds, "x": "number", "y": TARGET})
        assert (found.rows.added, found.rows.removed) == (0, 0)
        assert all(c.drift is None or c.drift.score == 0.0 for c in found.columns)


def test_a_target_that_flipped() -> None:
    was = pa.table({"who": ["a", "b", "c", "d"], "y": ["1", "0", "0", None]})
    now = pa.table({"who": ["a", "b", "c", "d"], "y": ["0", "1", "1", None]})
    kinds = {"who": "id", "y": TARGET}
    found = compared(was, now, kinds).outcome
    assert found is not None
    assert (found.to_positive, found.to_negative, found.labelled, found.unlabelled) == (2, 1, 0, 0)
    assert (found.positive_share.before, found.positive_share.after) == pytest.approx((1 / 3, 2 / 3))


def test_a_target_whose_meaning_flipped_in_the_schema_alone() -> None:
    same = pa.table({"who": ["a", "b", "c"], "y": ["1", "0", "0"]})
    kinds = {"who": "id", "y": TARGET}
    found = compared(same, same, kinds, {**kinds, "y": {**TARGET, "positive": "0", "negative": "1"}})
    assert found.rows.changed == 0
    assert found.outcome is not None
    assert (found.outcome.to_positive, found.outcome.to_negative) == (2, 1)


def test_a_target_of_another_name_and_other_words_is_the_same_outcome() -> None:
    was = pa.table({"who": ["a", "b"], "left": ["yes", "no"]})
    now = pa.table({"who": ["b", "a"], "y": ["0", "1"]})
    words = {"kind": "target", "positive": "yes", "negative": "no"}
    found = compared(was, now, {"who": "id", "left": words}, {"who": "id", "y": TARGET}).outcome
    assert found is not None
    assert (found.column.before, found.column.after) == ("left", "y")
    assert (found.to_positive, found.to_negative) == (0, 0)


def test_an_id_that_is_a_number_in_one_table() -> None:
    was = pa.table({"who": [1, 2, 3], "x": [1.0, 2.0, 3.0], "y": ["0", "0", "1"]})
    now = pa.table({"who": ["3", "2", "4"], "x": [3.0, 5.0, 4.0], "y": ["1", "0", "1"]})
    rows = compared(was, now, {"who": "id", "x": "number", "y": TARGET}).rows
    assert (rows.added, rows.removed, rows.changed) == (1, 1, 1)
