"""Features that give the target away: found when they do, left alone when they only look so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.features import Coded
from mlops.rows import leakage

N = 400
RNG = np.random.default_rng(3)
Y = (RNG.random(N) < 0.3).astype(np.int8)
HALF = RNG.random(N) < 0.5
NAN = np.nan


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[int, bool]]) -> None:
    scores, y = np.array([r[0] for r in rows], dtype=float), np.array([r[1] for r in rows], dtype=np.int8)
    positives, negatives = scores[y == 1], scores[y == 0]
    if not len(positives) or not len(negatives):
        return
    pairs = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    assert leakage.roc_auc(scores, y) == pytest.approx(np.mean(pairs))


def test_a_number_that_is_the_target_either_way_round() -> None:
    assert leakage.auc_alone(Y.astype(float), Y, HALF) == 1.0
    assert leakage.auc_alone(-Y.astype(float), Y, HALF) == 1.0
    assert leakage.auc_alone(RNG.random(N), Y, HALF) < 0.6


def test_being_missing_can_give_the_target_away() -> None:
    """A cancellation day: any number for those who left, none for those who stayed."""
    days = np.where(Y == 1, RNG.normal(0, 100, N), NAN)
    assert leakage.auc_alone(days, Y, HALF) == 1.0
    stayed = np.where(Y == 0, RNG.normal(0, 100, N), NAN)
    assert leakage.auc_alone(stayed, Y, HALF) == 1.0


def test_a_category_that_is_the_target() -> None:
    levels = Coded(Y.astype(np.int32), ("stayed", "left"))
    assert leakage.auc_alone(levels, Y, HALF) == 1.0
    only_leavers = Coded(np.where(Y == 1, 0, -1).astype(np.int32), ("moved away",))
    assert leakage.auc_alone(only_leavers, Y, HALF) == 1.0


def test_levels_seen_once_know_nothing() -> None:
    unique = Coded(np.arange(N, dtype=np.int32), tuple(map(str, range(N))))
    assert leakage.auc_alone(unique, Y, HALF) == 0.5
    pairs = Coded(np.arange(N, dtype=np.int32) // 2, tuple(map(str, range(N // 2))))
    assert leakage.auc_alone(pairs, Y, HALF) < 0.65


def test_a_category_may_have_no_level_at_all() -> None:
    assert leakage.auc_alone(Coded(np.full(N, -1, dtype=np.int32), ()), Y, HALF) == 0.5


def test_the_sample_is_the_same_rows_in_any_order() -> None:
    hashes = RNG.integers(0, 2**63, 1000).astype(np.uint64)
    chosen = leakage.sample(hashes, 100)
    assert len(chosen) == 100
    assert (np.diff(chosen) > 0).all()
    order = RNG.permutation(1000)
    assert set(hashes[order][leakage.sample(hashes[order], 100)]) == set(hashes[chosen])
    assert leakage.sample(hashes, 1000).tolist() == list(range(1000))


def test_few_rows_of_a_class_prove_nothing() -> None:
    assert not leakage.enough(np.array([1] * 9 + [0] * 100, dtype=np.int8))
    assert leakage.enough(np.array([1] * 10 + [0] * 10, dtype=np.int8))


def test_the_message_names_what_to_type() -> None:
    told = leakage.message("end_days", 1.0, "end")
    assert "feature end_days alone gives the target away (AUC 1.0000" in told
    assert "--drop end`" in told
    assert "set end to kind: ignore in data/schema.yaml" in told
    assert "remove it from derived: in data/schema.yaml" in leakage.message("a_per_b", 1.0, None)
