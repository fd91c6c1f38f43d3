"""Whose decision flips, and whether more of them become right than chance would do."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops.features import Coded
from mlops.metrics.measure import Decision
from mlops.report import decisions, pairing
from mlops.report.pairing import Pair


def pair(y: list[int], p: tuple[list[float], list[float]], customers: list[int], plan: list[int]) -> Pair:
    return Pair(
        pairing.SAME, "rows", np.array(y, dtype=np.int8), (np.array(p[0]), np.array(p[1])), np.array(customers),
        {"plan": Coded(np.array(plan, dtype=np.int32), ("a", "b"))},
    )  # fmt: skip


def test_flips_are_counted_by_direction_outcome_and_group() -> None:
    found = decisions.compare(
        pair(
            [1, 0, 1, 0, 1, 0],
            ([0.9, 0.8, 0.1, 0.1, 0.9, 0.2], [0.1, 0.1, 0.9, 0.5, 0.9, 0.2]),
            [0, 1, 2, 3, 4, 5],
            [0, 0, 0, 1, 1, -1],
        ),
        (Decision(0.5, 100, 10), Decision(0.4, 100, 10)),
        min_rows=2,
    )
    assert (found.rows, found.churned, found.contacted) == (6, 3, (3, 3))
    assert (found.newly, found.no_longer) == ((1, 1), (1, 1))
    assert found.predicted == pytest.approx((0.5, 0.45))
    assert found.money == (100, 10)
    assert found.p_value == 1.0
    assert [(g.column, g.level, g.rows, g.flipped) for g in found.groups] == [("plan", "a", 3, 3)]


@given(st.integers(0, 60), st.integers(0, 60))
def test_with_a_row_per_customer_it_is_mcnemars_exact_test(right: int, wrong: int) -> None:
    found = decisions.sign_test(np.array([1] * right + [-1] * wrong + [0] * 5))
    if right + wrong == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(stats.binomtest(right, right + wrong).pvalue, abs=1e-9)


def test_a_customers_rows_count_as_one_witness() -> None:
    """Fifty rows of one customer prove no more than that customer."""
    assert decisions.sign_test(np.array([50])) == 1.0
    assert decisions.sign_test(np.array([1] * 50)) < 1e-10


def test_many_customers_get_the_normal_curve_which_agrees_with_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    sums = np.random.default_rng(3).choice([-3, -1, 0, 1, 2, 3], 3000)
    exact = decisions.sign_test(sums)
    monkeypatch.setattr(decisions, "MOST_EXACT", 0)
    assert decisions.sign_test(sums) == pytest.approx(exact, abs=0.01)


def test_it_errs_as_rarely_as_it_says() -> None:
    rng = np.random.default_rng(4)
    rejected = sum(decisions.sign_test(rng.integers(0, 4, 60) * rng.choice([-1, 1], 60)) < 0.05 for _ in range(1000))
    assert 20 <= rejected <= 65
