"""Distributions of scores and features: what NumPy counts for a thousand rows is what plain Python counts for each."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.metrics import Distributions, Meters, distributions
from api.metrics.plan import PROBABILITIES
from mlops import bundle
from mlops.encode import Encoder, Number, OneHot, TargetMean
from mlops.features import Feature, Input, Plan
from tests.unit.models import Fitted, saved, simulated, to_scalars
from tests.unit.test_metrics_service import Samples, samples, value

AGE = (18.5, 25.1, 40.0)
BALANCE = (-3.25, 0.0, 8.47)
RATES = {"north": 0.1, "south": 0.2, "east": 0.30000001}


class Model:
    """What is read of a bundle: encoder and profile."""

    def __init__(self, age: Sequence[float] = AGE, *, missing: float = 0.05) -> None:
        names = {"plan": "category", "age": "number", "balance": "number", "region": "category"}
        plan = Plan(
            tuple(Input(name, kind) for name, kind in names.items()),
            tuple(Feature(name, "value", (name,), kind) for name, kind in names.items()),
        )
        rates = TargetMean("region", tuple(RATES), tuple(RATES.values()), other=0.15, missing=missing)
        self.encoder = Encoder(plan, (OneHot("plan", ("Basic", "Pro")), Number("age"), Number("balance"), rates))
        self.profile = {"features": {"age": {"edges": list(age)}, "balance": {"edges": list(BALANCE)}}}


@dataclass(eq=False)
class Variant:
    name: str
    version: str
    bundle: Any


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "plan": st.sampled_from(["Basic", "Pro", "Gold", None]),
            "age": st.sampled_from([math.nan, 18.5, 18.6, 25.1, 40.0, 99.0]) | st.floats(-1e6, 1e6, width=32),
            "balance": st.sampled_from([math.nan, -3.25, 0.0, -0.0, 8.47, 8.5]) | st.floats(-10, 10, width=32),
            "region": st.sampled_from([*RATES, "west", None]),
        }
    ),
    min_size=1,
    max_size=12,
)


def plain(model: Any, rows: list[dict[str, Any]]) -> Counter[tuple[str, str, str]]:
    """(kind, feature, bucket or level) → rows, counted one by one."""
    found: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        level = "other" if row["plan"] == "Gold" else row["plan"]
        found["missing" if level is None else "level", "plan", level or ""] += 1
        for feature in ("age", "balance"):
            if math.isnan(row[feature]):
                found["missing", feature, ""] += 1
                continue
            for edge in model.profile["features"][feature]["edges"]:
                found["le", feature, repr(edge)] += bool(np.float32(row[feature]) <= np.float32(edge))
            found["le", feature, "+Inf"] += 1
        if row["region"] is None:
            found["missing", "region", ""] += 1
        else:
            found["le", "region", "+Inf"] += 1
            rate = RATES.get(row["region"], 0.15)
            found["le", "region", "0.1"] += rate <= 0.1
            found["le", "region", "0.2"] += rate <= 0.2
    return +found


def counted(shown: Samples, variant: str) -> Counter[tuple[str, str, str]]:
    """The same from an exposition; of the rates' edges only two."""
    found: Counter[tuple[str, str, str]] = Counter()
    kinds = {
        "churn_feature_value_bucket": "le",
        "churn_feature_level_total": "level",
        "churn_feature_missing_total": "missing",
    }
    for (name, pairs), number in shown.items():
        labels = dict(pairs)
        if name in kinds and labels["variant"] == variant:
            what = labels.get("le") or labels.get("level") or ""
            if labels["feature"] != "region" or what in ("", "0.1", "0.2", "+Inf"):
                found[kinds[name], labels["feature"], what] += int(number)
    return +found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["prod", "canary"]), ROWS, st.booleans()), max_size=8))
def test_thousands_are_counted_as_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[str, list[dict[str, Any]], bool]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributions, "CHUNK", 7)
        meters = Meters(tmp_path_factory.mktemp("run"), 1)
        counting = Distributions(meters)
        variants = {name: Variant(name, "v1", Model()) for name in ("prod", "canary")}
        for name, rows, now in batches:
            encoder = variants[name].bundle.encoder
            matrix = np.concatenate([encoder.row(row) for row in rows])
            counting.put(variants[name], matrix, [0.03] * len(rows))
            if now:
                counting.drain()
        counting.drain()
        shown = samples(meters)
        for name, variant in variants.items():
            rows = [row for n, batch, _ in batches if n == name for row in batch]
            assert counted(shown, name) == plain(variant.bundle, rows)
            ages = [np.float32(row["age"]) for row in rows if not math.isnan(row["age"])]
            total = shown.get(("churn_feature_value_sum", (("feature", "age"), ("variant", name))), 0.0)
            assert total == pytest.approx(sum(map(float, ages)), rel=1e-6, abs=1e-3)
            count = shown.get(("churn_probability_count", (("variant", name), ("version", "v1"))), 0.0)
            assert count == len(rows)


def test_probabilities_fall_in_their_buckets(tmp_path: Path) -> None:
    meters = Meters(tmp_path, 1)
    counting, variant = Distributions(meters), Variant("prod", "v1", Model())
    given = np.array([0.0, 0.005, 0.0051, 0.04, 0.9, 0.95, 1.0])
    counting.put(variant, np.zeros((7, variant.bundle.encoder.width), np.float32), given)
    counting.drain()
    shown = samples(meters)
    for edge in PROBABILITIES:
        labels = (("le", repr(edge)), ("variant", "prod"), ("version", "v1"))
        assert shown["churn_probability_bucket", labels] == (given <= edge).sum()
    assert shown["churn_probability_sum", labels[1:]] == pytest.approx(given.sum())


def test_a_missing_rate_that_a_level_has_too_is_not_told_apart(tmp_path: Path) -> None:
    meters = Meters(tmp_path, 1)
    counting, model = Distributions(meters), Model(missing=0.2)
    rows = [model.encoder.row({"plan": None, "age": 1.0, "balance": 1.0, "region": r}) for r in (None, "south")]
    counting.put(Variant("prod", "v1", model), np.concatenate(rows), [0.1, 0.1])
    counting.drain()
    assert value(meters, "churn_feature_missing_total", variant="prod", feature="region") == 0
    assert value(meters, "churn_feature_value_count", variant="prod", feature="region") == 2
    assert value(meters, "churn_feature_missing_total", variant="prod", feature="plan") == 2


def test_bins_are_those_of_the_model_that_serves(tmp_path: Path) -> None:
    meters = Meters(tmp_path, 1)
    counting = Distributions(meters)
    old, new = Variant("prod", "v1", Model()), Variant("prod", "v2", Model(age=(30.0, 50.0)))
    row = old.bundle.encoder.row({"plan": "Pro", "age": 20.0, "balance": 1.0, "region": "east"})

    def ages() -> dict[str, float]:
        found = {dict(labels).get("le"): n for (name, labels), n in samples(meters).items()
                 if name == "churn_feature_value_bucket" and ("feature", "age") in labels}  # fmt: skip
        return {str(le): n for le, n in found.items()}

    for variant in (old, new, new):
        counting.put(variant, row, [0.1])
    counting.drain()
    assert ages() == {"30.0": 2, "50.0": 2, "+Inf": 2}
    counting.put(old, row, [0.1])  # put back to the earlier version
    counting.drain()
    assert ages() == {"18.5": 0, "25.1": 2, "40.0": 2, "+Inf": 2}
    assert value(meters, "churn_feature_level_total", variant="prod", feature="plan", level="Pro") == 4


def test_a_level_called_other_is_not_mixed_with_rare_ones(tmp_path: Path) -> None:
    meters, model = Meters(tmp_path, 1), Model()
    model.encoder = Encoder(
        Plan((Input("plan", "category"),), (Feature("plan", "value", ("plan",), "category"),)),
        (OneHot("plan", ("Basic", "other")),),
    )
    counting = Distributions(meters)
    rows = [model.encoder.row({"plan": p}) for p in ("other", "unheard of", "unheard of")]
    counting.put(Variant("prod", "v1", model), np.concatenate(rows), [0.1] * 3)
    counting.drain()
    assert value(meters, "churn_feature_level_total", variant="prod", feature="plan", level="other") == 1
    assert value(meters, "churn_feature_level_total", variant="prod", feature="plan", level="(rare)") == 2


def test_rows_beyond_the_limit_are_dropped_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "MOST_WAITING", 5)
    meters = Meters(tmp_path, 1)
    counting, variant = Distributions(meters), Variant("prod", "v1", Model())
    rows = np.zeros((3, variant.bundle.encoder.width), np.float32)
    for _ in range(4):
        counting.put(variant, rows, [0.1] * 3)
    counting.drain()
    assert value(meters, "churn_probability_count", variant="prod", version="v1") == 6
    assert value(meters, "churn_distribution_rows_dropped_total") == 6
    counting.put(variant, rows, [0.1] * 3)
    counting.drain()
    assert value(meters, "churn_probability_count", variant="prod", version="v1") == 9


def test_rows_left_while_others_drain_are_all_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "MOST_WAITING", 10**9)
    meters = Meters(tmp_path, 1)
    counting, variant = Distributions(meters), Variant("prod", "v1", Model())
    row = np.zeros((1, variant.bundle.encoder.width), np.float32)
    done = threading.Event()

    def drain() -> None:
        while not done.is_set():
            counting.drain()

    def leave() -> None:
        for _ in range(5000):
            counting.put(variant, row, [0.1])

    drainers = [threading.Thread(target=drain) for _ in range(2)]
    leavers = [threading.Thread(target=leave) for _ in range(3)]
    for thread in drainers + leavers:
        thread.start()
    for thread in leavers:
        thread.join()
    done.set()
    for thread in drainers:
        thread.join()
    counting.drain()
    assert value(meters, "churn_probability_count", variant="prod", version="v1") == 15_000
    assert counting._waiting == 0


def test_a_model_that_was_replaced_is_let_go(tmp_path: Path) -> None:
    counting = Distributions(Meters(tmp_path, 1))
    variant = Variant("prod", "v1", Model())
    counting.put(variant, np.zeros((1, variant.bundle.encoder.width), np.float32), [0.1])
    counting.drain()
    gone = weakref.ref(variant.bundle)
    del variant
    gc.collect()
    assert gone() is None


def test_a_trained_model_with_its_profile(tmp_path: Path, fitted: dict[str, Fitted], plan: Plan) -> None:
    served: bundle.Bundle = saved("xgboost", fitted["xgboost"], plan, tmp_path)
    rows = to_scalars(plan, simulated(300, 5)[0])
    matrix = np.concatenate([served.encoder.row(row) for row in rows])
    (tmp_path / "run").mkdir()
    meters = Meters(tmp_path / "run", 1)
    counting = Distributions(meters)
    counting.put(Variant("prod", "v1", served), matrix, served.calibrator.many(served.raw_scores(matrix)))
    counting.drain()
    minutes = np.array([row["minutes"] for row in rows], dtype=np.float32)
    assert value(meters, "churn_feature_missing_total", variant="prod", feature="minutes") == np.isnan(minutes).sum()
    edges = served.profile["features"]["minutes"]["edges"]
    for edge in edges:
        shown = value(meters, "churn_feature_value_bucket", variant="prod", feature="minutes", le=repr(edge))
        assert shown == (minutes <= np.float32(edge)).sum()
    plans = Counter(row["plan [a,b]"] for row in rows)
    for level in ("<5", "a,b"):
        assert plans[level] > 0
        shown = value(meters, "churn_feature_level_total", variant="prod", feature="plan [a,b]", level=level)
        assert shown == plans[level]
