"""The quick metrics of many resamples say what the plain ones say of each, whatever the number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.metrics import curves
from mlops.metrics.measure import HIGHER_IS_BETTER, Decision, Scored
from mlops.report import paired
from mlops.report.paired import Draw
from mlops.report.ranked import Calibration, Ranked, equal_bins
from tests.unit import gate_pairs

rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 12).map(lambda i: i / 12), st.integers(0, 7)), min_size=2, max_size=40
).filter(lambda found: 0 < sum(y for y, _, _ in found) < len(found))
draws = st.lists(st.lists(st.integers(0, 3), min_size=8, max_size=8).filter(any), min_size=1, max_size=4)


@settings(max_examples=300)
@given(rows, draws, st.sampled_from([0.0, 1 / 12, 0.3, 1.0]))
def test_ranked_says_what_scored_says(found: list[tuple[int, float, int]], drawn: list[list[int]], at: float) -> None:
    y, p, customers = (np.array(v) for v in zip(*found, strict=True))
    y, counts = y.astype(np.int8), np.array(drawn, dtype=np.int32)
    counts = counts[counts[:, customers].sum(axis=1) > 0]
    decision = Decision(at, 100, 10)
    measured = Ranked(y, p, customers, decision).measure(counts)
    assert list(measured) == list(HIGHER_IS_BETTER)
    plain = Scored(y, p, decision)
    for i, count in enumerate(counts):
        expected = plain.metrics(count[customers].astype(float))
        assert {name: values[i] for name, values in measured.items()} == pytest.approx(expected, nan_ok=True)


@settings(max_examples=100)
@given(rows, draws)
def test_calibration_is_the_distance_in_each_bin(found: list[tuple[int, float, int]], drawn: list[list[int]]) -> None:
    y, p, customers = (np.array(v) for v in zip(*found, strict=True))
    counts = np.array(drawn, dtype=np.int32)
    counts = counts[counts[:, customers].sum(axis=1) > 0]
    bins = equal_bins(p, 3)
    measured = Calibration(y.astype(np.int8), p, customers, bins).measure(counts)["calibration"]
    for i, count in enumerate(counts):
        w = count[customers]
        distance = 0.0
        for inside in (bins == b for b in np.unique(bins)):
            if weight := w[inside].sum():
                predicted, observed = (np.average(v[inside], weights=w[inside]) for v in (p, y))
                distance += weight * abs(predicted - observed)
        assert measured[i] == pytest.approx(distance / w.sum())


def test_the_calibration_error_is_the_one_that_the_calibration_plot_shows() -> None:
    pair = gate_pairs.simulated(1, 2000)
    p = pair.p[0] + np.arange(2000) * 1e-9  # no two alike: the plot's bins cut through equal probabilities
    shown = curves.calibration(pair.y, p)
    once = np.ones((1, pair.counted), dtype=np.int32)
    error = Calibration(pair.y, p, pair.customers, equal_bins(p)).measure(once)["calibration"][0]
    assert error == pytest.approx(np.mean([abs(b["predicted"] - b["observed"]) for b in shown]), abs=2e-6)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.integers(1, 10))
def test_bins_are_equally_filled_and_keep_equal_probabilities_together(values: list[int], wanted: int) -> None:
    p = np.array(values) / 30
    bins = equal_bins(p, wanted)
    assert bins.min() >= 0
    assert bins.max() < wanted
    order = np.argsort(p, kind="stable")
    assert np.all(np.diff(bins[order]) >= 0)
    assert all(len(set(bins[p == v].tolist())) == 1 for v in np.unique(p))
    if len(np.unique(p)) == len(p):
        filled = np.bincount(bins, minlength=wanted)
        assert filled.max() - filled.min() <= 1


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = gate_pairs.simulated(2, 3000)
    measures = [Ranked(pair.y, p, pair.customers, d).measure for p, d in zip(pair.p, gate_pairs.DECISIONS, strict=True)]
    found = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(paired, "cores", lambda threads=threads: threads)
        found.append(paired.replicates(measures, pair.counted, Draw(203, 0.95, 3000)))
    for other in found[1:]:
        for mine, same in zip(found[0], other, strict=True):
            assert mine.keys() == same.keys()
            assert all(mine[name].tobytes() == same[name].tobytes() for name in mine)
    assert {len(values) for values in found[0][0].values()} == {203}


def test_both_sides_are_measured_on_the_same_draws() -> None:
    pair = gate_pairs.simulated(3, 1000)
    ranked = Ranked(pair.y, pair.p[0], pair.customers, gate_pairs.DECISIONS[0])
    mine, same = paired.replicates([ranked.measure, ranked.measure], pair.counted, Draw(200, 0.95, 1000))
    assert np.array_equal(mine["roc_auc"], same["roc_auc"])
    assert mine["roc_auc"].std() > 0.005


def test_customers_are_drawn_not_rows() -> None:
    """Ten copies of every row, of the same customer, tell nothing new; taken for strangers they would."""
    pair = gate_pairs.simulated(4, 400, per_customer=1)
    y, p, customers = (np.repeat(v, 10) for v in (pair.y, pair.p[0], pair.customers))
    spread = []
    for some_y, some_p, whose in ((pair.y, pair.p[0], pair.customers), (y, p, customers), (y, p, np.arange(4000))):
        ranked = Ranked(some_y, some_p, whose, gate_pairs.DECISIONS[0])
        (drawn,) = paired.replicates([ranked.measure], int(whose.max()) + 1, Draw(400, 0.95, 4000))
        spread.append(float(np.nanstd(drawn["roc_auc"])))
    assert spread[1] == pytest.approx(spread[0], rel=1e-9)
    assert spread[2] < spread[0] / 2
