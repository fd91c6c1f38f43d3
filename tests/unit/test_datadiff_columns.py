"""Columns of two tables: drift, levels, spread, kinds, and tables with nothing in them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.datadiff import drift
from tests.unit.datadiffs import TARGET, column, compared

number = st.one_of(
    st.just(math.nan), st.integers(-3, 3).map(float), st.floats(-1e6, 1e6), st.sampled_from([0.0] * 3 + [math.inf])
)


def psi(before: Sequence[int], after: Sequence[int]) -> float:
    """The index as its definition reads, with half a row more in each bin that has one."""
    used = [(b, a) for b, a in zip(before, after, strict=True) if b or a]
    n, m, k = sum(before), sum(after), len(used)
    shares = [((b + 0.5) / (n + k / 2), (a + 0.5) / (m + k / 2)) for b, a in used]
    return sum((q - p) * math.log(q / p) for p, q in shares)


def binned(before: list[float], after: list[float]) -> tuple[list[int], list[int]]:
    """Rows per bin, one value after the other: between deciles, on a frequent decile, missing."""
    known = [sorted(x for x in side if not math.isnan(x)) for side in (before, after)]
    base = known[0] or known[1]
    edges = sorted({base[math.ceil(len(base) * (k / 10)) - 1] for k in range(1, 10)}) if base else []
    points = {e for e in edges if any(side and side.count(e) / len(side) >= 0.05 for side in known)}

    def place(x: float) -> object:
        if math.isnan(x):
            return "missing"
        if x in points:
            return x
        return sum(e < x for e in edges), "interval"

    counts = [Counter(map(place, side)) for side in (before, after)]
    names = list({**counts[0], **counts[1]})
    return [counts[0][n] for n in names], [counts[1][n] for n in names]


@settings(deadline=None, max_examples=300)
@given(st.lists(number, min_size=1, max_size=120), st.lists(number, min_size=1, max_size=120))
def test_psi_of_numbers_is_what_its_definition_says(before: list[float], after: list[float]) -> None:
    found = drift.of_numbers(np.array(before), np.array(after))
    assert found is not None
    counts = binned(before, after)
    assert found.bins == len(counts[0])
    assert found.score == pytest.approx(psi(*counts), abs=1e-12)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=60))
def test_psi_of_levels_is_what_its_definition_says(counts: list[tuple[int, int]]) -> None:
    """Levels of fewer than ten rows in both tables together share a bin; the last entry are rows without a value."""
    before, after = (np.array(side) for side in zip(*counts, strict=True))
    found = drift.of_levels(before, after)
    if not before.sum() or not after.sum():
        assert found is None
        return
    rare = [c for c in counts[:-1] if sum(c) < drift.RARE]
    own = [c for c in counts[:-1] if sum(c) >= drift.RARE]
    own += [counts[-1], (sum(c[0] for c in rare), sum(c[1] for c in rare))]
    assert found is not None
    assert found.score == pytest.approx(psi(*zip(*own, strict=True)), abs=1e-12)


def test_chance_is_what_random_samples_stay_under() -> None:
    """Of pairs of samples of one population about one in twenty is above it; with thousands of levels fewer."""
    rng = np.random.default_rng(3)
    for levels, rows, least in ((8, 1000, 0.02), (2000, 60_000, 0.0)):
        shares = rng.dirichlet(np.full(levels, 5.0))
        found = []
        for _ in range(400):
            b, a = (np.append(rng.multinomial(size, shares), 0) for size in (rows, rows // 2))
            result = drift.of_levels(b, a)
            assert result is not None
            found.append(result.score > result.chance)
        assert least <= np.mean(found) < 0.09, (levels, np.mean(found))


def test_how_it_is_read() -> None:
    assert [drift.reading(score, 0.01) for score in (0.0, 0.0999, 0.1, 0.25, 0.2501)] == [
        "stable", "stable", "moderate", "moderate", "large",
    ]  # fmt: skip
    assert drift.reading(0.3, 0.31) == "chance"
    assert drift.reading(0.05, 0.31) == "stable"


def simple(values: Sequence[object], kind: pa.DataType) -> pa.Table:
    return pa.table({"x": pa.array(values, kind), "y": pa.array(["0", "1"] * (len(values) // 2), pa.string())})


def test_missing_values_are_drift_as_well() -> None:
    was = simple([1.0, 2.0, 3.0, 4.0] * 100, pa.float64())
    now = simple([1.0, 2.0, None, None] * 100, pa.float64())
    found = column(compared(was, now, {"x": "number", "y": TARGET}), "x")
    assert (found.missing.before, found.missing.after) == (0.0, 0.5)
    assert found.drift is not None
    assert found.drift.reading == "large"


def test_a_constant_that_another_value_takes_the_place_of() -> None:
    for other in (4.0, 6.0):
        was, now = simple([5.0] * 100, pa.float64()), simple([other] * 100, pa.float64())
        found = column(compared(was, now, {"x": "number", "y": TARGET}), "x")
        assert found.drift is not None
        assert found.drift.reading == "large"


def test_thousands_of_levels() -> None:
    rng = np.random.default_rng(1)
    names = np.array([f"Z{i:05d}" for i in range(6000)], dtype=object)
    was = simple(list(rng.choice(names[:5000], 40_000)), pa.string())
    now = simple(list(rng.choice(names[1000:], 40_000)), pa.string())
    found = column(compared(was, now, {"x": "category", "y": TARGET}), "x")
    assert found.levels is not None
    seen = {side: set(t["x"].to_pylist()) for side, t in (("was", was), ("now", now))}
    assert (found.levels.before, found.levels.after) == (len(seen["was"]), len(seen["now"]))
    fresh = Counter(value for value in now["x"].to_pylist() if value not in seen["was"])
    assert (found.levels.new.count, found.levels.new.rows) == (len(fresh), fresh.total())
    assert len(found.levels.new.names) == 10
    assert fresh[found.levels.new.names[0]] == max(fresh.values())
    assert found.drift is not None
    assert found.drift.reading == "large"
    again = column(compared(was, simple(list(rng.choice(names[:5000], 40_000)), pa.string()),
                            {"x": "category", "y": TARGET}), "x")  # fmt: skip
    assert again.drift is not None
    assert again.drift.reading == "chance" or again.drift.score < drift.MODERATE


def test_texts_are_their_length_and_missing_share() -> None:
    was, now = simple(["abc", None, "é", "xy"], pa.string()), simple(["abcdef", "", "é", None], pa.string())
    found = column(compared(was, now, {"x": "text", "y": TARGET}), "x")
    assert found.levels is None
    assert found.spread is not None
    assert (found.spread.before.low, found.spread.before.mean, found.spread.before.high) == (1, 2, 3)
    assert (found.spread.after.low, found.spread.after.high) == (0, 6)
    assert found.missing.after == 0.25


def test_dates_have_ends_and_drift_but_observation_times_none() -> None:
    days = [datetime(2026, 1, 1) + timedelta(days=i) for i in range(20)]
    was = simple(days, pa.timestamp("s"))
    now = simple([day + timedelta(days=100) for day in days[:19]] + [datetime(2026, 6, 1, 12, 30)], pa.timestamp("s"))
    found = {kind: column(compared(was, now, {"x": kind, "y": TARGET}), "x") for kind in ("date", "time")}
    for one in found.values():
        assert one.spread is not None
        assert (one.spread.before.low, one.spread.after.high) == ("2026-01-01", "2026-06-01T12:30:00")
    assert found["date"].drift is not None
    assert found["time"].drift is None


def test_who_the_rows_are_about_is_counted_not_named() -> None:
    was, now = simple(["a", "b"], pa.string()), simple(["b", "c"], pa.string())
    found = column(compared(was, now, {"x": "id", "y": TARGET}), "x")
    assert found.levels is not None
    assert (found.levels.new.count, found.levels.new.names, found.drift) == (1, (), None)


def test_a_column_of_another_kind_is_compared_as_it_is_written() -> None:
    was, now = simple([1.0, 2.0, None, 4.0], pa.float64()), simple(["1", "2", None, "many"], pa.string())
    was, now = (t.append_column("who", pa.array(list("abcd"))) for t in (was, now))
    found = compared(was, now, {"who": "id", "x": "number", "y": TARGET}, {"who": "id", "x": "category", "y": TARGET})
    assert column(found, "x").changed == 1
    assert column(found, "x").drift is None
    assert [(c.column, c.change, c.before, c.after) for c in found.schema] == [("x", "stored", "number", "text")]


def test_a_column_of_whole_numbers_is_the_same_as_floats() -> None:
    was, now = simple([1, 2, 3, 4], pa.int64()), simple([1.0, 2.0, 3.0, 4.0], pa.float64())
    found = compared(was, now, {"x": "number", "y": TARGET})
    assert (found.rows.added, found.rows.removed, found.schema) == (0, 0, ())


def test_without_schemas_types_tell_and_columns_come_and_go() -> None:
    was = pa.table({"a": [1, 2], "b": ["x", "y"], "c": [True, False]})
    now = pa.table({"b": ["x", "y"], "c": [True, False], "d": pa.array([1, 2], pa.timestamp("ms"))})
    found = compared(was, now, None)
    assert [(c.column, c.change, c.before, c.after) for c in found.schema] == [
        ("a", "removed", "number", None), ("d", "added", None, "date"),
    ]  # fmt: skip
    assert (found.rows.added, found.rows.removed, found.outcome) == (0, 0, None)
    assert {c.name: c.kind for c in found.columns} == {"b": "category", "c": "boolean"}


TYPES = {"who": pa.string(), "when": pa.timestamp("s"), "n": pa.float64(), "b": pa.bool_(), "c": pa.string(),
         "t": pa.string(), "d": pa.timestamp("s"), "y": pa.string()}  # fmt: skip
KINDS = {"who": "id", "when": "time", "n": "number", "b": "boolean", "c": "category", "t": "text", "d": "date",
         "y": TARGET}  # fmt: skip


@pytest.mark.parametrize("rows", [(0, 0), (0, 3), (3, 0)])
def test_empty_tables_and_columns_without_a_value(rows: tuple[int, int]) -> None:
    tables = [pa.table({name: pa.nulls(n, kind) for name, kind in TYPES.items()}) for n in rows]
    found = compared(*tables, KINDS)
    assert (found.rows.before, found.rows.after) == rows
    assert (found.rows.added, found.rows.removed) == (rows[1], rows[0])
    assert all(c.drift is None for c in found.columns)
    assert column(found, "n").missing.before == (1.0 if rows[0] else None)
    assert found.outcome is not None
    assert found.outcome.positive_share.after is None


def test_columns_of_nulls_alone_in_both() -> None:
    tables = [pa.table({name: pa.nulls(n, kind) for name, kind in TYPES.items()}) for n in (4, 6)]
    found = compared(*tables, KINDS)
    assert found.rows.by_content.after == 6
    assert {c.name: c.drift.score for c in found.columns if c.drift} == dict.fromkeys("nbctdy", 0.0)


def test_the_largest_change_comes_first() -> None:
    rng = np.random.default_rng(2)
    common = {"who": [f"C{i}" for i in range(4000)], "y": rng.choice(["0", "1"], 4000)}
    was = pa.table({**common, "a": rng.normal(size=4000), "b": rng.normal(size=4000), "c": rng.normal(size=4000)})
    now = pa.table({**common, "a": was["a"], "b": was["b"].to_numpy() + 0.3, "c": was["c"].to_numpy() + 3})
    found = compared(was, now, {"who": "id", "a": "number", "b": "number", "c": "number", "y": TARGET})
    assert [c.name for c in found.columns][:2] == ["c", "b"]
    assert json.dumps([c.name for c in found.columns])


def test_integers_that_a_float_cannot_tell_apart_are_compared_as_integers() -> None:
    large = 2**53
    ids, y = pa.array(["a", "b", "c", "d"]), pa.array(["0", "1", "0", "1"])
    was = pa.table({"who": ids, "y": y, "n": pa.array([large, large + 1, -large - 1, None], pa.int64())})
    now = pa.table({"who": ids, "y": y, "n": pa.array([large, large + 2, -large - 2, None], pa.int64())})
    kinds = {"who": "id", "y": TARGET, "n": "number"}
    assert column(compared(was, now, kinds), "n").changed == 2
    assert column(compared(was, was, kinds), "n").changed == 0
    unsigned = now.set_column(2, "n", pa.array([large, large + 2, None, 2**64 - 1], pa.uint64()))
    found = column(compared(was, unsigned, kinds), "n")
    assert found.changed == 3
    assert found.drift is not None
    without = compared(was.drop_columns("who"), now.drop_columns("who"), {"y": TARGET, "n": "number"}).rows
    assert (without.added, without.removed) == (2, 2)


def test_a_date_that_loses_its_time_zone_is_told() -> None:
    day = datetime(2026, 1, 1)
    zoned = pa.table({"since": pa.array([day], pa.timestamp("us", "UTC")), "y": ["1"]})
    naive = pa.table({"since": pa.array([day], pa.timestamp("us")), "y": ["1"]})
    kinds = {"since": "date", "y": TARGET}
    found = compared(zoned, naive, kinds).schema
    assert [(c.column, c.change, c.before, c.after) for c in found] == [
        ("since", "stored", "date with a time zone", "date")
    ]
    assert compared(zoned, zoned, kinds).schema == compared(naive, naive, kinds).schema == ()
