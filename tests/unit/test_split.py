"""Sides of the split: stable, independent of order and of other rows, apart by customer and time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.errors import DataError
from mlops.features import Coded
from mlops.rows import split

IDS = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=40)


def coded(texts: list[str | None]) -> Coded:
    codes = {t: code for code, t in enumerate(dict.fromkeys(t for t in texts if t is not None))}
    return Coded(np.array([-1 if t is None else codes[t] for t in texts], dtype=np.int32), tuple(codes))


def side_of(texts: list[str], seed: int = 0) -> list[int]:
    drawn = split.draws(coded(list(texts)), np.zeros(len(texts), dtype=np.uint64), seed)
    return split.sides(drawn, 0.2, 0.2).tolist()


@given(IDS, IDS)
def test_sides_stay_the_same_when_rows_are_added(before: list[str], added: list[str]) -> None:
    assert side_of(added + before)[len(added) :] == side_of(before)


@given(IDS, st.randoms(use_true_random=False))
def test_order_of_rows_changes_no_side_and_no_id_is_on_two(ids: list[str], random: object) -> None:
    shuffled = list(ids)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    sides = dict(zip(ids, side_of(ids), strict=True))
    assert [sides[i] for i in ids] == side_of(ids)
    assert [sides[i] for i in shuffled] == side_of(shuffled)


def test_shares_are_kept_and_seeds_differ() -> None:
    ids = [f"C{i}" for i in range(20_000)]
    sides = np.array(side_of(ids))
    shares = np.bincount(sides, minlength=3) / len(ids)
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.01)
    other = np.array(side_of(ids, seed=1))
    assert np.mean((sides == split.TEST) & (other == split.TEST)) == pytest.approx(0.04, abs=0.005)


def test_a_known_customer_is_where_it_always_was() -> None:
    """The hash is part of what a release promises: another hash would move customers from test to train."""
    drawn = split.draws(coded(["7590-VHVEG", "5575-GNVDE"]), np.zeros(2, dtype=np.uint64), 0)
    assert drawn == pytest.approx([0.186583451186, 0.808867722570], abs=1e-12)


def test_rows_without_id_draw_by_their_values() -> None:
    hashes = np.array([5, 5, 9], dtype=np.uint64)
    drawn = split.draws(coded([None, None, None]), hashes, 0)
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn.tolist() == split.draws(None, hashes, 0).tolist()
    assert split.draws(coded(["a", None, None]), hashes, 0)[1:].tolist() == drawn[1:].tolist()


@given(st.lists(st.sampled_from([0.0, -0.0, 1.5, float("nan"), 1e300]), min_size=1, max_size=30))
def test_equal_numbers_have_equal_hashes(values: list[float]) -> None:
    hashes = split.column_hash(np.array(values), "price")
    names = ["nan" if v != v else str(v + 0.0) for v in values]
    assert len(set(hashes.tolist())) == len(set(names))
    assert len({(n, h) for n, h in zip(names, hashes.tolist(), strict=True)}) == len(set(names))


@given(st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=1, max_size=30))
def test_text_hashes_do_not_depend_on_codes(texts: list[str | None]) -> None:
    hashes = split.column_hash(coded(texts), "plan").tolist()
    assert hashes[::-1] == split.column_hash(coded(texts[::-1]), "plan").tolist()
    assert len(set(hashes)) == len(set(texts))


def test_columns_have_their_own_hashes() -> None:
    ones = np.ones(1)
    assert split.column_hash(ones, "a")[0] != split.column_hash(ones, "b")[0]
    assert split.column_hash(coded(["x"]), "a")[0] != split.column_hash(coded(["x"]), "b")[0]
    # Values that changed places are another row.
    one, two = np.ones(1), np.full(1, 2.0)
    assert split.column_hash(one, "a") + split.column_hash(two, "b") != split.column_hash(two, "a") + split.column_hash(
        one, "b"
    )


def test_automatic_cutoff_leaves_about_a_quarter_after_it() -> None:
    times = np.repeat(np.arange(10.0), 10)
    assert split.cutoff(times, "auto") == 7.0  # 30 rows from it on; 8.0 leaves 20: as near, later
    assert split.cutoff(np.array([1.0, 2.0, 2.0, 2.0]), "auto") == 2.0
    assert split.cutoff(np.array([1.0, 1.0, np.nan]), "auto") is None
    assert split.cutoff(times, "none") is None


def test_cutoff_of_a_date() -> None:
    times = np.array([19723.0, 19754.0])  # 2024-01-01, 2024-02-01
    assert split.cutoff(times, "2024-01-15") == 19737.0
    with pytest.raises(DataError, match="2024-01-01 leaves no row with a target before; they run from 2024-01-01 to"):
        split.cutoff(times, "2024-01-01")
    with pytest.raises(DataError, match="2024-03-01 leaves no row with a target from it on"):
        split.cutoff(times, "2024-03-01")
    with pytest.raises(DataError, match="2024-02-31 is no day of the calendar"):
        split.cutoff(times, "2024-02-31")


def test_only_the_past_is_learnt_and_only_the_present_tested() -> None:
    customers = np.array([0, 1, 2] * 3, dtype=np.int8)
    times = np.array([1.0] * 3 + [2.0] * 3 + [np.nan] * 3)
    side = split.place(customers, times, 2.0)
    early, late, timeless = split.TOO_EARLY, split.TOO_LATE, split.TIMELESS
    assert side.tolist() == [0, 1, early, late, late, 2, timeless, timeless, timeless]
    assert split.place(customers, times, None).tolist() == customers.tolist()


def test_dates_are_written_as_people_write_them() -> None:
    assert split.iso(19723.0) == "2024-01-01"
    assert split.iso(19723.5) == "2024-01-01T12:00:00"


def test_rows_alike_by_chance_are_told_apart_and_copies_are_not() -> None:
    rng = np.random.default_rng(0)
    combinations = rng.integers(0, 2**63, 6, dtype=np.uint64)
    group = rng.integers(0, 6, 3000)
    hashes = np.append(combinations[group], rng.integers(0, 2**63, 4, dtype=np.uint64).repeat(3))
    y = np.append(rng.integers(0, 2, 3000), np.zeros(12)).astype(np.int8)
    told = split.apart(hashes, y)
    assert len(np.unique(told[:3000])) == 3000
    assert np.array_equal(told[3000:], hashes[3000:])
    side = split.sides(split.draws(None, told, 0), 0.2, 0.2)
    assert np.bincount(side) / len(side) == pytest.approx([0.6, 0.2, 0.2], abs=0.03)

    order = rng.permutation(len(hashes))
    shuffled = split.apart(hashes[order], y[order])
    assert sorted(zip(hashes[order].tolist(), y[order].tolist(), shuffled.tolist(), strict=True)) == sorted(
        zip(hashes.tolist(), y.tolist(), told.tolist(), strict=True)
    )
    assert set(told[:2000].tolist()) <= set(
        split.apart(np.append(hashes, hashes[:500]), np.append(y, y[:500])).tolist()
    )
