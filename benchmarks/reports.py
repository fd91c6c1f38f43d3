"""What a comparison of two versions costs: the paired bootstrap of many rows, and the whole report of a branch.

    python -m benchmarks reports

The peer of the bootstrap is what people write: the same customers drawn for both models, and scikit-learn's ROC AUC of
each draw. It measures one metric, we measure ten numbers; a fortieth of its draws is timed, and told as all of them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.pipeline import in_turn, seconds
from benchmarks.registry import promotable
from benchmarks.serving import report
from benchmarks.serving.report import Claim
from mlops.metrics.measure import Decision
from mlops.policy import Gate
from mlops.report import gate
from mlops.report.pairing import SAME, Pair

ROWS, RESAMPLES, PART, ROUNDS = 100_000, 2_000, 40, 3
DECISION = Decision(0.1, 100.0, 10.0)


def bootstrap() -> str:
    """2,000 resamples of 100,000 rows, two models."""
    pair = _pair()
    policy = Gate(resamples=RESAMPLES)
    ours, peer = in_turn(
        lambda: _timed(lambda: gate.measured(pair, (DECISION, DECISION), policy)),
        lambda: _timed(lambda: _drawn_by_hand(pair)) * PART,
        ROUNDS,
    )
    return f"{report.machine()}\n" + report.claims(
        [
            Claim(
                f"{RESAMPLES:,} resamples of {ROWS:,} rows, two models, ten numbers",
                statistics.median(ours),
                "s",
                most=5,
            ),
            Claim("scikit-learn's ROC AUC alone, times that", report.ratio(peer, ours), ""),
        ]
    )


def branch() -> str:
    """`mlops report` of a branch of the default project whose model differs from main's."""
    with tempfile.TemporaryDirectory() as temporary:
        project = promotable(Path(temporary))
        took = [seconds(["mlops", "report", "--base", "HEAD~1"], project) for _ in range(ROUNDS)]
    return f"{report.machine()}\n" + report.claims(
        [
            Claim("mlops report, from start to end", statistics.median(took), "s", most=10),
            Claim("the same, slowest", max(took), "s"),
        ]
    )


def _pair() -> Pair:
    rng = np.random.default_rng(0)
    risk = rng.normal(size=ROWS)
    y = (rng.random(ROWS) < 1 / (1 + np.exp(3 - risk))).astype(np.int8)
    p = tuple(np.round(1 / (1 + np.exp(3 - 0.8 * risk - 0.6 * rng.normal(size=ROWS))), 6) for _ in range(2))
    customers = (np.arange(ROWS) // 4).astype(np.int32)
    return Pair(SAME, "", y, (p[0], p[1]), customers, {})


def _drawn_by_hand(pair: Pair) -> None:
    rng = np.random.default_rng(0)
    rows_of = np.split(np.argsort(pair.customers, kind="stable"), np.cumsum(np.bincount(pair.customers))[:-1])
    differences = []
    for _ in range(RESAMPLES // PART):
        drawn = np.concatenate([rows_of[c] for c in rng.integers(0, pair.counted, pair.counted)])
        y = pair.y[drawn]
        differences.append(roc_auc_score(y, pair.p[0][drawn]) - roc_auc_score(y, pair.p[1][drawn]))
    np.quantile(differences, [0.025, 0.975])


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
