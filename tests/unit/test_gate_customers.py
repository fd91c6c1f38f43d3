"""The gate where rows are many and customers few, where groups differ, and where nothing can be said."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from mlops.bundle import Bundle
from mlops.report import gate, paired, pairing
from mlops.report.side import Side
from tests.unit import gate_sides
from tests.unit.gate_sides import ALL, POLICY, with_p


def of_customers(side: Side, count: int) -> Side:
    """The same rows, as if they were those of few customers."""
    table = side.predictions
    assert table is not None
    names = pa.array([f"c{i % count}" for i in range(table.num_rows)])
    return dataclasses.replace(
        side, predictions=table.set_column(table.column_names.index("customer"), "customer", names)
    )


@pytest.mark.parametrize("count", [1, 2, pairing.FEWEST - 1])
def test_many_rows_of_few_customers_decide_nothing(bundle: Bundle, count: int) -> None:
    good, bad = (of_customers(gate_sides.side(name, bundle, ALL, noise=n), count) for name, n in (("v2", 0), ("v1", 2)))
    for found in (gate.judge(good, bad, POLICY), gate.judge(good, None, POLICY)):
        assert (found.verdict, found.passed) == ("not comparable", False)
        assert found.headline() == (
            f"not comparable: 4,000 test rows of {count} customers who churned and {count} who stayed: at least"
            f" {pairing.FEWEST} of each are needed to tell a difference from chance"
        )


def test_as_many_customers_as_are_needed_decide(bundle: Bundle) -> None:
    good, bad = (
        of_customers(gate_sides.side(name, bundle, ALL, noise=n), pairing.FEWEST) for name, n in (("v2", 0), ("v1", 2))
    )
    assert gate.judge(good, bad, POLICY).verdict == "better"


def test_few_churners_among_many_customers_decide_nothing(bundle: Bundle) -> None:
    version = gate_sides.side("v1", bundle, ALL)
    table = version.predictions
    assert table is not None
    y = np.zeros(4000, dtype=np.int64)
    y[: 2 * pairing.FEWEST - 2 : 2] = 1  # one of each customer's two rows
    few = dataclasses.replace(version, predictions=table.set_column(table.column_names.index("y"), "y", pa.array(y)))
    said = f"not comparable: 4,000 test rows of {pairing.FEWEST - 1} customers who churned and 2,000 who stayed"
    assert gate.judge(few, few, POLICY).headline().startswith(said)


def test_groups_of_few_customers_are_not_judged(bundle: Bundle) -> None:
    good = gate_sides.side("new", bundle, ALL)
    table = good.predictions
    assert table is not None
    pro = np.array(table.column("slice.plan").to_pylist(), dtype=object) == "[pro]"
    assert pro.sum() >= POLICY.slices.min_rows
    customers = np.where(pro, [f"p{i % 10}" for i in range(4000)], table.column("customer").to_pylist())
    place = table.column_names.index("customer")
    old = dataclasses.replace(good, predictions=table.set_column(place, "customer", pa.array(customers)))
    new = with_p(old, lambda p: np.where(pro, np.random.default_rng(3).permutation(p), p))
    found = gate.judge(new, old, POLICY)
    assert found.verdict != "not comparable"
    assert "[pro]" not in {s.level for s in found.slices}
    assert "slices" not in [reason.partition(":")[0] for reason in found.reasons]


@pytest.mark.parametrize("apart", [0.5, 0.003, -0.5])
def test_an_interval_without_width_decides_nothing(apart: float) -> None:
    """Contacting everybody finds everybody, whoever is drawn: that says nothing of other customers."""

    def always(value: float) -> paired.Measure:
        return lambda drawn: {"recall": np.full(len(drawn), value)}

    found = paired.changes(([always(0.5 + apart)], [always(0.5)]), 50, paired.Draw(200, 0.95, 50))["recall"]
    assert found.difference == pytest.approx(apart)
    assert found.better is None
    assert gate.verdict(found.low, found.high, POLICY) == "undecided"
    assert found.oriented("recall").high > 0
    assert found.facts()["low"] is None
    same = paired.changes(([always(0.5)], [always(0.5)]), 50, paired.Draw(200, 0.95, 50))["recall"]
    assert (same.low, same.high) == (0, 0)


def test_rows_of_one_outcome_tell_nothing(bundle: Bundle) -> None:
    version = gate_sides.side("v1", bundle, ALL)
    table = version.predictions
    assert table is not None
    stayed = dataclasses.replace(version, predictions=table.filter(pa.compute.equal(table.column("y"), 0)))
    found = gate.judge(stayed, stayed, POLICY)
    assert found.verdict == "not comparable"
    assert "have the same outcome" in found.headline()


def test_a_first_version_must_beat_the_base_rate(bundle: Bundle) -> None:
    first = gate_sides.side("v1", bundle, ALL)
    found = gate.judge(first, None, POLICY)
    assert (found.verdict, found.passed, found.baseline, found.basis) == ("better", True, None, pairing.BASE_RATE)
    assert found.changes["roc_auc"].baseline == 0.5
    assert "of the base rate" in found.headline()
    assert "30.00%" in found.words
    assert "signature" not in [c.name for c in found.checks]
    rng = np.random.default_rng(2)
    blind = gate.judge(with_p(first, rng.permutation), None, POLICY.model_copy(update={"max_loss": 0.2}))
    assert (blind.verdict, blind.passed) == ("no worse", False)
    assert "a first version must be better than the base rate" in blind.reasons[0]


def test_a_group_that_got_much_worse_stops_a_version_that_is_better_on_the_whole(bundle: Bundle) -> None:
    old = gate_sides.side("old", bundle, ALL, noise=1.5)
    good = gate_sides.side("new", bundle, ALL)
    assert good.predictions is not None
    pro = np.array(good.predictions.column("slice.plan").to_pylist(), dtype=object) == "[pro]"
    rng = np.random.default_rng(3)
    new = with_p(good, lambda p: np.where(pro, rng.permutation(p), p))
    found = gate.judge(new, old, POLICY)
    assert found.verdict == "better"
    assert not found.passed
    assert [s.level for s in found.slices if s.broken] == ["[pro]"]
    assert found.slices[0].level == "[pro]"
    assert found.slices[0].rows == int(pro.sum())
    (reason,) = found.reasons
    assert reason.startswith("slices: roc_auc is worse in plan = [pro] (-0.")
    assert "(missing)" in [s.level for s in found.slices]
    small = POLICY.model_copy(update={"slices": POLICY.slices.model_copy(update={"min_rows": 3000})})
    assert gate.judge(new, old, small).slices == ()


def test_probabilities_that_are_twice_as_high_stop_a_version(bundle: Bundle) -> None:
    old = gate_sides.side("old", bundle, ALL)
    found = gate.judge(with_p(old, lambda p: p * 1.8), old, POLICY)
    assert found.verdict == "no worse"
    assert [r.partition(":")[0] for r in found.reasons] == ["calibration"]
    assert found.changes["calibration"].better is False
