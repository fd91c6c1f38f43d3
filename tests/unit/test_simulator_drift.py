"""Drift of the simulated business: what it changes, what it leaves, and from when on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mlops.simulator import drift, regions, risk, simulate
from mlops.simulator.columns import PAYMENTS
from tests.unit.simulated import auc, codes, default, drifted, numbers, params, seen_in, snapshots

FIRST_DRIFTED = 15  # snapshots before 2026-04, counted from 2025-01


@pytest.mark.parametrize("kind", ["covariate", "concept"])
def test_drift_of_strength_zero_is_no_drift(kind: str) -> None:
    assert drifted(kind, strength=0.0, customers=500).equals(drifted("none", customers=500))


@pytest.mark.parametrize("kind", ["covariate", "concept"])
def test_nothing_changes_before_the_drift_and_everything_can_from_its_month_on(kind: str) -> None:
    plain, changed = drifted("none", customers=2000), drifted(kind, customers=2000)
    before = snapshots(plain) < FIRST_DRIFTED
    assert changed.filter(before).equals(plain.filter(before))
    first = snapshots(plain) == FIRST_DRIFTED
    assert not changed.filter(first).equals(plain.filter(first))


def test_drift_that_lies_before_the_start_holds_from_the_first_snapshot() -> None:
    always = simulate(params(customers=500, kind="covariate", from_="2020-01"))
    at_start = simulate(params(customers=500, kind="covariate", from_="2025-01"))
    assert always.equals(at_start)
    assert not always.slice(0, 500).equals(drifted("none", customers=500).slice(0, 500))


def test_drift_that_lies_after_the_end_is_no_drift() -> None:
    assert simulate(params(customers=500, kind="concept", from_="2030-01")).equals(drifted("none", customers=500))


def test_covariate_drift_raises_prices_thins_sessions_and_turns_people_to_vouchers() -> None:
    first = snapshots(default()) == FIRST_DRIFTED
    plain = default().filter(first)
    shifts = []
    for strength in (0.5, 1.0, 2.0):
        changed = drifted("covariate", strength).filter(first)
        vouchers = (codes(changed, "payment_method") == PAYMENTS.index("Voucher")).mean()
        shifts.append((numbers(changed, "price").mean(), -numbers(changed, "sessions").mean(), vouchers))
        assert changed["tickets"].equals(plain["tickets"])
    voucher_share = (codes(plain, "payment_method") == PAYMENTS.index("Voucher")).mean()
    steps = [(numbers(plain, "price").mean(), -numbers(plain, "sessions").mean(), voucher_share), *shifts]
    for weaker, stronger in pairwise(steps):
        assert all(a < b for a, b in zip(weaker, stronger, strict=True))
    assert drift.at(params(kind="covariate"), FIRST_DRIFTED)[1] == risk.COEFFICIENTS


def test_concept_drift_keeps_the_rows_of_its_first_month_and_makes_the_old_truth_worse() -> None:
    first = snapshots(default()) == FIRST_DRIFTED
    plain = default().filter(first)
    old_truth = numbers(plain, "true_probability")
    shown = [c for c in plain.column_names if c not in ("churned", "true_probability")]
    distances = []
    for strength in (0.5, 1.0, 4.0):
        changed = drifted("concept", strength).filter(first)
        assert changed.select(shown).equals(plain.select(shown))
        new_truth = numbers(changed, "true_probability")
        distances.append(np.abs(new_truth - old_truth).mean())
        assert 0.025 < new_truth.mean() < 0.09
    assert distances == sorted(distances)
    changed = drifted("concept").filter(snapshots(default()) >= FIRST_DRIFTED)
    expected = risk.probability(seen_in(changed), regions.effects(7), risk.COEFFICIENTS)
    churned = numbers(changed, "churned")
    assert auc(churned, expected) < auc(churned, numbers(changed, "true_probability")) - 0.04
