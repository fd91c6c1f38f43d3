"""The judgement: which rows are compared, the verdict, what does not pass and why."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mlops.bundle import Bundle
from mlops.features import Plan
from mlops.metrics.measure import HIGHER_IS_BETTER, Decision, Scored, roc_auc
from mlops.policy import Gate
from mlops.report import gate, pairing
from mlops.report.gate import Check
from tests.unit import gate_sides
from tests.unit.gate_sides import ALL, FIRST, POLICY, SECOND, with_p


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.003, 0.1, "better"),
        (0.002, 0.1, "no worse"),
        (-0.0099, 0.1, "no worse"),
        (-0.0099, -0.001, "no worse"),
        (-0.01, 0.1, "undecided"),
        (-0.05, -0.002, "undecided"),
        (-0.05, -0.0021, "worse"),
    ],
)
def test_the_verdict_follows_from_the_interval(low: float, high: float, expected: str) -> None:
    assert gate.verdict(low, high, Gate()) == expected


def test_the_same_model_is_no_worse(bundle: Bundle) -> None:
    found = gate.judge(gate_sides.side("v2", bundle, ALL), gate_sides.side("v1", bundle, ALL), POLICY)
    assert (found.verdict, found.passed, found.reasons) == ("no worse", True, ())
    assert (found.basis, found.rows, found.customers) == (pairing.SAME, 4000, 2000)
    assert all(c.difference == c.low == c.high == 0 and c.better is None for c in found.changes.values())
    assert list(found.changes) == [*HIGHER_IS_BETTER, "calibration"]


def test_better_and_worse_are_told_apart(bundle: Bundle) -> None:
    good, bad = gate_sides.side("good", bundle, ALL), gate_sides.side("bad", bundle, ALL, noise=1.5)
    up, down = gate.judge(good, bad, POLICY), gate.judge(bad, good, POLICY)
    assert (up.verdict, up.passed) == ("better", True)
    assert (down.verdict, down.passed) == ("worse", False)
    area = up.changes["roc_auc"]
    assert area.better is True
    assert down.changes["roc_auc"].better is False
    assert up.changes["log_loss"].better is True
    assert up.changes["log_loss"].difference < 0
    table = good.predictions
    assert table is not None
    assert area.candidate == pytest.approx(roc_auc(table.column("y").to_numpy(), table.column("p").to_numpy()))
    assert up.headline() == (
        f"better: roc_auc {area.candidate:.4f} against {area.baseline:.4f} of bad,"
        f" {area.difference:+.4f} [{area.low:+.4f}, {area.high:+.4f}]"
    )
    assert any(reason.startswith("worse: roc_auc") for reason in down.reasons)
    assert up.delong is not None
    assert up.delong.difference == pytest.approx(area.difference)


@pytest.mark.parametrize("metric", HIGHER_IS_BETTER)
def test_every_metric_may_decide_in_its_own_direction(bundle: Bundle, metric: str) -> None:
    """Half of the rows get anybody's probability: worse in every metric but the recall of who is contacted."""
    good = gate_sides.side("good", bundle, ALL)
    rng = np.random.default_rng(1)
    bad = with_p(good, lambda p: np.where(rng.random(len(p)) < 0.5, rng.permutation(p), p))
    policy = POLICY.model_copy(update={"metric": metric, "max_loss": 0.001, "min_effect": 0.0})
    assert gate.judge(good, bad, policy).verdict == "better"
    assert gate.judge(bad, good, policy).verdict == "worse"


def test_lower_within_max_loss_says_so(bundle: Bundle) -> None:
    good = gate_sides.side("good", bundle, ALL)
    bad = gate_sides.side("bad", bundle, ALL, noise=0.6)
    found = gate.judge(bad, good, POLICY.model_copy(update={"max_loss": 0.2}))
    assert found.changes["roc_auc"].high < 0
    assert found.verdict == "no worse"
    assert found.headline().startswith("no worse (lower, within max_loss 0.2): roc_auc")


def test_undecided_says_what_would_decide(bundle: Bundle) -> None:
    good, bad = gate_sides.side("v2", bundle, range(600)), gate_sides.side("v1", bundle, range(600), noise=0.05)
    found = gate.judge(good, bad, POLICY.model_copy(update={"max_loss": 0.0001, "min_effect": 0.2}))
    assert (found.verdict, found.passed) == ("undecided", False)
    assert "more test rows would tell" in found.reasons[0]


def test_money_is_the_candidates_and_thresholds_are_each_ones_own(bundle: Bundle) -> None:
    rich, late = (dataclasses.replace(gate_sides.side(name, bundle, ALL)) for name in ("rich", "late"))
    copies = [Bundle.__new__(Bundle) for _ in range(2)]
    for copy, facts in zip(copies, ({"threshold": 0.2}, {"threshold": 0.6}), strict=True):
        copy.__dict__ |= bundle.__dict__ | facts
    copies[0].manifest = bundle.manifest | {"decision": {"value_saved": 50.0, "cost_contact": 5.0}}
    rich, late = (dataclasses.replace(s, bundle=b) for s, b in zip((rich, late), copies, strict=True))
    found = gate.judge(rich, late, POLICY).changes["expected_profit"]
    assert rich.predictions is not None
    y, p = (rich.predictions.column(name).to_numpy() for name in ("y", "p"))
    expected = [Scored(y, p, Decision(t, 50, 5)).metrics()["expected_profit"] for t in (0.2, 0.6)]
    assert [found.candidate, found.baseline] == pytest.approx(expected)


def test_rows_are_matched_by_key_and_labels_that_differ_are_counted(bundle: Bundle) -> None:
    ours, theirs = gate_sides.side("v2", bundle, ALL), gate_sides.side("v1", bundle, reversed(ALL))
    table = theirs.predictions
    assert table is not None
    y = table.column("y").to_numpy().copy()
    y[:7] = 1 - y[:7]
    theirs = dataclasses.replace(theirs, predictions=table.set_column(table.column_names.index("y"), "y", pa.array(y)))
    found = gate.judge(ours, theirs, POLICY)
    assert found.basis == pairing.SAME
    assert found.changes["roc_auc"].difference == 0
    assert "the outcome of 7 of them differs, v2's counts" in found.words


def test_other_test_rows_are_scored_by_both_where_neither_learnt_from_them(bundle: Bundle) -> None:
    """Rows 1000 to 1999 are of customers that the old version learnt from, one row of whom it saw."""
    new = gate_sides.side("v2", bundle, range(1000, 4000), trained=range(1000))
    old = gate_sides.side("v1", bundle, range(0, 1500), trained=range(1001, 2000, 2), noise=2.0)
    found = gate.judge(new, old, POLICY)
    assert (found.basis, found.rows) == (pairing.NEITHER, 2000)
    # The old version's own scores were noisy; its model, which is the same, scores these rows itself.
    assert found.changes["roc_auc"].difference == 0
    assert found.words == "2,000 test rows of v2, scored by v1 too"


def test_a_version_that_reads_more_is_compared_on_its_own_test_rows(bundle: Bundle, narrow: Bundle) -> None:
    """The new model's rows lack what the old one reads; the old one's rows have all that the new one reads."""
    new = gate_sides.side("v2", narrow, SECOND, trained=range(2000))
    old = gate_sides.side("v1", bundle, ALL, trained=())
    found = gate.judge(new, old, POLICY.model_copy(update={"signature": "any"}))
    assert (found.basis, found.rows) == (pairing.NEITHER, 2000)
    assert found.words == "2,000 test rows of v1, scored by v2 too"
    assert new.predictions is not None
    y, p = (new.predictions.column(name).to_numpy() for name in ("y", "p"))
    assert found.changes["roc_auc"].candidate == pytest.approx(roc_auc(y, p))


def test_rows_that_both_tested_on_are_left_where_nothing_can_be_scored_again(bundle: Bundle) -> None:
    new = gate_sides.side("v2", bundle, range(3000), trained=None)
    old = gate_sides.side("v1", bundle, range(1000, 4000), trained=None, noise=1.0)
    found = gate.judge(new, old, POLICY)
    assert (found.basis, found.rows) == (pairing.NEITHER, 2000)
    assert found.words == "2,000 test rows that both have"
    assert found.verdict == "better"


@pytest.mark.parametrize("notebook_is_candidate", [True, False])
def test_a_notebooks_model_is_scored_on_the_others_test_rows(bundle: Bundle, notebook_is_candidate: bool) -> None:
    notebook = gate_sides.side("nb", bundle, None, trained=None)
    pipeline = gate_sides.side("v1", bundle, ALL, noise=1.5)
    sides = (notebook, pipeline) if notebook_is_candidate else (pipeline, notebook)
    found = gate.judge(*sides, POLICY)
    assert (found.basis, found.rows) == (pairing.ONE, 4000)
    assert found.words == "4,000 test rows of v1, scored by nb, of which nobody knows what it trained on"
    assert found.verdict == ("better" if notebook_is_candidate else "worse")


def test_what_cannot_be_compared_says_why(bundle: Bundle, narrow: Bundle) -> None:
    notebook = gate_sides.side("nb", bundle, None, trained=None)
    pipeline = gate_sides.side("v1", narrow, ALL)
    found = gate.judge(notebook, pipeline, POLICY)
    assert (found.verdict, found.passed) == ("not comparable", False)
    assert found.headline() == "not comparable: nb reads minutes, which v1 does not have"
    assert found.reasons[0] == found.headline()
    assert found.changes == {}
    nobody = gate.judge(notebook, notebook, POLICY)
    assert "nb has no scored test rows" in nobody.headline()
    few = gate.judge(gate_sides.side("v2", bundle, range(400)), gate_sides.side("v1", bundle, range(400)), POLICY)
    assert few.headline() == "not comparable: 400 test rows that both have: gate.min_rows of policy.yaml is 500"
    gone = gate.not_comparable(pipeline, "v0", POLICY, "models/serving is nowhere", [Check("lock", True, "current")])
    assert gone.headline() == "not comparable: models/serving is nowhere"
    assert [c.name for c in gone.checks] == ["lock", "size"]


def test_features_made_in_another_way_are_not_scored(bundle: Bundle) -> None:
    other = Bundle.__new__(Bundle)
    other.__dict__ |= bundle.__dict__
    plan = bundle.encoder.plan
    changed = tuple(
        dataclasses.replace(f, inputs=tuple(reversed(f.inputs))) if f.op == "ratio" else f for f in plan.features
    )
    other.encoder = type(bundle.encoder)(Plan(plan.inputs, changed), bundle.encoder.blocks)
    old = dataclasses.replace(gate_sides.side("v1", bundle, SECOND), bundle=other)
    found = gate.judge(gate_sides.side("v2", bundle, FIRST), old, POLICY)
    assert found.verdict == "not comparable"
    assert "v1 and v2 make per_session in different ways" in found.headline()


def test_checks_of_the_caller_come_first_and_stop_a_version(bundle: Bundle) -> None:
    version = gate_sides.side("v1", bundle, ALL)
    found = gate.judge(version, version, POLICY, [Check("clean tree", False, "params.yaml is changed")])
    assert not found.passed
    assert found.reasons == ("clean tree: params.yaml is changed",)
    assert [c.name for c in found.checks] == ["clean tree", "slices", "calibration", "signature", "size"]
    assert "FAILED clean tree: params.yaml is changed" in found.lines()


def test_a_profit_that_nobody_stated_cannot_decide(bundle: Bundle) -> None:
    poor = Bundle.__new__(Bundle)
    poor.__dict__ |= bundle.__dict__
    poor.manifest = {k: v for k, v in bundle.manifest.items() if k != "decision"}
    version = dataclasses.replace(gate_sides.side("v1", bundle, ALL), bundle=poor)
    found = gate.judge(version, version, POLICY.model_copy(update={"metric": "expected_profit"}))
    assert found.verdict == "not comparable"
    assert "value_saved" in found.headline()
    other = gate.judge(version, None, POLICY)
    assert other.verdict == "better"
    assert json.loads(json.dumps(other.facts(), allow_nan=False))["changes"]["expected_profit"]["low"] is None


def test_facts_are_json_small_and_begin_with_the_verdict(bundle: Bundle, tmp_path: Path) -> None:
    found = gate.judge(gate_sides.side("v2", bundle, ALL), gate_sides.side("v1", bundle, ALL, noise=1.0), POLICY)
    facts = found.facts()
    assert list(facts)[:2] == ["verdict", "metric"]
    text = json.dumps(facts, allow_nan=False)
    assert len(text) < 3000
    assert json.loads(text)["changes"]["roc_auc"]["difference"] == round(found.changes["roc_auc"].difference, 9)
    shown = "\n".join(found.lines())
    assert "compared on same test rows (4,000 rows of 2,000 customers)" in shown
    assert all(name in shown for name in HIGHER_IS_BETTER)
    head = next(line for line in found.lines() if "interval]" in line)
    assert head.split() == ["v1", "v2", "difference", "[95", "%", "interval]"]  # as the report has it
    area = next(line for line in found.lines() if line.startswith("roc_auc  "))
    assert area.split()[1:3] == [
        f"{found.changes['roc_auc'].baseline:.4f}",
        f"{found.changes['roc_auc'].candidate:.4f}",
    ]
