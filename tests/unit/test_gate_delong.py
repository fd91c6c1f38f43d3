"""DeLong's variance: against its definition, against the bootstrap, and with customers of several rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlops.metrics.measure import roc_auc
from mlops.policy import Gate
from mlops.report import delong, gate
from tests.unit import gate_pairs

pytestmark = pytest.mark.slow

Array = NDArray[Any]


def direct(y: Array, p: tuple[Array, Array], customers: Array) -> tuple[float, float]:
    """Difference and standard error by comparing every churner with every stayer, as Obuchowski (1997) writes it."""
    areas, components = [], []
    for side in p:
        wins = (side[y == 1][:, None] > side[y == 0]) + 0.5 * (side[y == 1][:, None] == side[y == 0])
        areas.append(wins.mean())
        components.append((wins.mean(axis=1), wins.mean(axis=0)))
    m, n, whose = int(y.sum()), int((1 - y).sum()), np.unique(customers)
    held = [len(set(customers[y == 1])), len(set(customers[y == 0])), len(whose)]

    def sums(side: int, kind: int) -> Array:
        """Per customer: the sum of its components above the area. kind: 0 churners, 1 stayers."""
        of, value = customers[y == 1 - kind], components[side][kind]
        return np.array([np.sum(value[of == c] - areas[side]) for c in whose])

    def s(kinds: tuple[int, int], a: int, b: int) -> float:
        k = held[kinds[0]] if kinds[0] == kinds[1] else held[2]
        return k / (k - 1) * float(np.sum(sums(a, kinds[0]) * sums(b, kinds[1])))

    def covariance(a: int, b: int) -> float:
        mixed = s((0, 1), a, b) + s((0, 1), b, a)
        return s((0, 0), a, b) / m**2 + s((1, 1), a, b) / n**2 + mixed / (m * n)

    variance = covariance(0, 0) + covariance(1, 1) - 2 * covariance(0, 1)
    return float(areas[0] - areas[1]), math.sqrt(max(variance, 0))


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([4, 50]))
def test_it_is_the_direct_computation(seed: int, per_customer: int, grades: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.append(rng.integers(0, 2, 46), [0, 1, 0, 1]).astype(np.int8)
    p = tuple(rng.integers(0, grades, 50) / grades for _ in range(2))
    customers = np.append(np.arange(46) // per_customer, [46, 47, 48, 49]) if per_customer > 1 else np.arange(50)
    customers = np.unique(customers, return_inverse=True)[1]
    found = delong.difference(y, (p[0], p[1]), customers, 0.95)
    difference, error = direct(y, (p[0], p[1]), customers)
    assert found.candidate == pytest.approx(roc_auc(y, p[0]))
    assert found.baseline == pytest.approx(roc_auc(y, p[1]))
    assert found.difference == pytest.approx(difference)
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * error, rel=1e-5, abs=1e-9)


def test_with_one_row_per_customer_it_is_delongs() -> None:
    pair = gate_pairs.simulated(5, 300, base=-1.0, per_customer=1)
    y, columns = pair.y, []
    for p in pair.p:
        wins = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])
        columns.append((wins.mean(axis=1), wins.mean(axis=0)))
    of_churners, of_stayers = (np.cov(columns[0][kind], columns[1][kind]) for kind in (0, 1))
    covariance = of_churners / y.sum() + of_stayers / (1 - y).sum()
    error = math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    found = delong.difference(y, pair.p, pair.customers, 0.95)
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * error, rel=1e-5)


@pytest.mark.parametrize("per_customer", [1, 4])
def test_it_agrees_with_the_bootstrap(per_customer: int) -> None:
    pair = gate_pairs.simulated(6, 6000, loss=0.02, per_customer=per_customer)
    found = delong.difference(pair.y, pair.p, pair.customers, 0.95)
    drawn = gate.measured(pair, gate_pairs.DECISIONS, Gate(resamples=1000))["roc_auc"]
    assert found.difference == pytest.approx(drawn.difference, abs=1e-12)
    assert found.high - found.low == pytest.approx(drawn.high - drawn.low, rel=0.1)


def test_a_class_of_one_customer_has_no_variance() -> None:
    y = np.array([1, 1, 0, 0], dtype=np.int8)
    p = np.array([0.9, 0.2, 0.3, 0.1])
    assert math.isnan(delong.difference(y, (p, 1 - p), np.array([0, 0, 1, 2]), 0.95).low)
