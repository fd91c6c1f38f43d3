from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlops.errors import ParamsError
from mlops.features import Coded
from mlops.metrics import bootstrap, curves, slices
from mlops.metrics.measure import Decision, Scored, roc_auc

DECISION = Decision(threshold=0.35, value_saved=100, cost_contact=10)
outcomes_and_scores = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 19).map(lambda i: i / 20), st.integers(0, 3)), min_size=4, max_size=60
).filter(lambda rows: 0 < sum(y * w for y, _, w in rows) and 0 < sum((1 - y) * w for y, _, w in rows))


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(outcomes_and_scores)
def test_metrics_are_scikit_learns(rows: list[tuple[int, float, int]]) -> None:
    y, p, w = (np.array(v) for v in zip(*rows, strict=True))
    weight = w.astype(float)
    ours = Scored(y.astype(np.int8), p, DECISION).metrics(weight)
    decided = (p >= DECISION.threshold).astype(int)
    kw = {"sample_weight": weight}
    assert ours["roc_auc"] == pytest.approx(reference.roc_auc_score(y, p, **kw))
    assert ours["pr_auc"] == pytest.approx(reference.average_precision_score(y, p, **kw))
    assert ours["log_loss"] == pytest.approx(reference.log_loss(y, p, labels=[0, 1], **kw))
    assert ours["brier"] == pytest.approx(reference.brier_score_loss(y, p, **kw))
    assert ours["f1"] == pytest.approx(reference.f1_score(y, decided, zero_division=0, **kw))
    assert ours["precision"] == pytest.approx(reference.precision_score(y, decided, zero_division=0, **kw))
    assert ours["recall"] == pytest.approx(reference.recall_score(y, decided, **kw))
    assert ours["accuracy"] == pytest.approx(reference.accuracy_score(y, decided, **kw))
    money = np.sum(weight * decided * (100 * y - 10)) / weight.sum()
    assert ours["expected_profit"] == pytest.approx(money)


@given(outcomes_and_scores)
def test_a_weight_is_a_repetition(rows: list[tuple[int, float, int]]) -> None:
    y, p, w = (np.array(v) for v in zip(*rows, strict=True))
    weighted = Scored(y.astype(np.int8), p, DECISION).metrics(w.astype(float))
    repeated = Scored(np.repeat(y, w).astype(np.int8), np.repeat(p, w), DECISION).metrics()
    assert weighted == pytest.approx(repeated)


def simulated(rng: np.random.Generator, n: int) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    p = rng.uniform(0.05, 0.6, n)
    return (rng.random(n) < p).astype(np.int8), p


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    truth = roc_auc(*simulated(rng, 400_000))
    hits = 0
    for repetition in range(200):
        y, p = simulated(rng, 400)
        drawn = bootstrap.replicates(Scored(y, p, DECISION), np.arange(400, dtype=np.int32), 200, repetition)
        low, high = bootstrap.intervals(drawn, 0.9)["roc_auc"]
        hits += low <= truth <= high
    assert 0.84 <= hits / 200 <= 0.96


def test_rows_of_one_customer_are_drawn_together() -> None:
    rng = np.random.default_rng(1)
    y, p = simulated(rng, 300)
    each_own = bootstrap.replicates(Scored(y, p, DECISION), np.arange(300, dtype=np.int32), 300, 0)
    repeated = Scored(np.repeat(y, 8), np.repeat(p, 8), DECISION)
    clustered = bootstrap.replicates(repeated, np.repeat(np.arange(300, dtype=np.int32), 8), 300, 0)
    assert np.std(clustered["roc_auc"]) == pytest.approx(np.std(each_own["roc_auc"]), rel=0.01)
    as_if_independent = bootstrap.replicates(repeated, np.arange(2400, dtype=np.int32), 300, 0)
    assert np.std(as_if_independent["roc_auc"]) < 0.6 * np.std(each_own["roc_auc"])


def test_curves_end_where_they_must() -> None:
    y, p = simulated(np.random.default_rng(0), 5000)
    roc = curves.roc(y, p)
    assert (roc[0]["fpr"], roc[0]["tpr"], roc[-1]["fpr"], roc[-1]["tpr"]) == (0, 0, 1, 1)
    assert len(roc) <= curves.POINTS + 2
    assert np.trapezoid([r["tpr"] for r in roc], [r["fpr"] for r in roc]) == pytest.approx(roc_auc(y, p), abs=0.002)
    gain = curves.gain(y, p)
    assert (gain[0]["found"], gain[-1]["found"], len(gain)) == (0, 1, 101)
    assert curves.precision_recall(y, p)[-1]["precision"] == pytest.approx(y.mean(), abs=1e-6)
    bins = curves.calibration(y, p)
    assert len(bins) == 10
    assert all(b["low"] <= b["observed"] <= b["high"] for b in bins)
    assert sum(b["low"] <= b["predicted"] <= b["high"] for b in bins) >= 7
    cells = curves.confusion(y, p, DECISION)
    assert sum(c["rows"] for c in cells) == 5000
    contacted_churners = sum((p >= 0.35) & (y == 1))
    assert {"actual": "churned", "decision": "contact", "rows": contacted_churners} in cells


def test_groups_are_reported_apart() -> None:
    y, p = simulated(np.random.default_rng(3), 900)
    plan = Coded(np.repeat([0, 1, -1], 300).astype(np.int32), ("basic", "pro"))
    tenure = np.arange(900, dtype=np.float64)
    features = {"plan": plan, "tenure": tenure, "constant": np.zeros(900)}
    assert list(slices.choose(features, "auto")) == ["plan"]
    groups = slices.choose(features, ["plan", "tenure"])
    rows = (y, p, np.arange(900, dtype=np.int32))
    found = slices.report(groups, rows, DECISION, min_rows=100, resamples=100, confidence=0.95, seed=0)
    assert [(e["column"], e["level"], e["rows"]) for e in found[:3]] == [
        ("plan", "(missing)", 300), ("plan", "basic", 300), ("plan", "pro", 300)
    ]  # fmt: skip
    assert [e["rows"] for e in found[3:]] == [225] * 4
    assert found[1]["roc_auc"] == pytest.approx(roc_auc(y[:300], p[:300]), abs=1e-6)
    assert all(e["low"] < e["roc_auc"] < e["high"] for e in found)
    with pytest.raises(ParamsError, match=r"evaluate.slices: tenur is not a feature; did you mean tenure\?"):
        slices.choose(features, ["tenur"])
