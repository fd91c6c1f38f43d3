"""The simulated business: its columns, its rates, and how well it can be predicted."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.features import sentiment
from mlops.schema import dump, parse
from mlops.simulator import SCHEMA, comments, regions, risk, simulate
from mlops.simulator.columns import DEVICES, PAYMENTS, PLANS
from mlops.simulator.streams import Floats
from tests.unit.simulated import auc, codes, default, drifted, numbers, params, seen_in, snapshots


def test_the_schema_names_the_columns_in_their_order_and_types() -> None:
    table = default()
    assert table.column_names == [c.name for c in SCHEMA.columns]
    allowed = {
        "id": {pa.string()}, "time": {pa.timestamp("s")}, "date": {pa.timestamp("s")}, "boolean": {pa.bool_()},
        "number": {pa.int64(), pa.float64()}, "category": {pa.dictionary(pa.int32(), pa.string())},
        "text": {pa.dictionary(pa.int32(), pa.string())}, "target": {pa.int8()}, "truth": {pa.float64()},
    }  # fmt: skip
    for column in SCHEMA.columns:
        assert table[column.name].type in allowed[column.kind], column.name


def test_the_schema_survives_its_file() -> None:
    assert parse(yaml.safe_load(dump(SCHEMA))) == SCHEMA


@pytest.mark.parametrize("world", [{}, {"kind": "covariate", "strength": 5.0}, {"kind": "concept", "strength": 5.0}])
def test_every_row_keeps_the_rules_of_the_schema(world: dict[str, Any]) -> None:
    table = simulate(params(customers=3000, **world))
    for column in SCHEMA.columns:
        values = table[column.name]
        if column.required or column.kind in ("target", "truth"):
            assert values.null_count == 0, column.name
        if column.levels is not None:
            assert set(pc.unique(values).to_pylist()) == set(column.levels), column.name
        if column.min is not None:
            assert pc.min(values).as_py() >= column.min, column.name
        if column.max is not None:
            assert pc.max(values).as_py() <= column.max, column.name
    assert set(pc.unique(table["churned"]).to_pylist()) == {0, 1}


def test_rows_are_customers_times_months_in_order_and_unique() -> None:
    table = default()
    assert table.num_rows == 12000 * 18
    keys = list(zip(numbers(table, "snapshot"), table["customer_id"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_nobody_is_seen_after_leaving_or_missed_before() -> None:
    table = default()
    frame = pa.table({"id": table["customer_id"], "month": snapshots(table), "churned": table["churned"]})
    by_customer = frame.group_by("id").aggregate(
        [("month", "min"), ("month", "max"), ("month", "count"), ("churned", "sum")]
    )
    first, last, count, left = (
        by_customer[c].to_numpy() for c in ("month_min", "month_max", "month_count", "churned_sum")
    )
    assert (last - first + 1 == count).all()
    assert ((left == 1) | (last == 17)).all()  # whoever is not there at the end has left, once
    assert left.max() == 1
    leaving = frame.filter(pc.equal(frame["churned"], 1))
    last_of = dict(zip(by_customer["id"].to_pylist(), last, strict=True))
    assert all(last_of[i] == m for i, m in zip(leaving["id"].to_pylist(), leaving["month"].to_pylist(), strict=True))
    assert 5000 < (first > 0).sum() < 15000  # newcomers


def test_tenure_counts_the_months_since_sign_up_and_grows_by_one() -> None:
    table = default()
    signed = table["signup_date"].to_numpy().astype("datetime64[M]").astype(np.int64)
    seen = table["snapshot"].to_numpy().astype("datetime64[M]").astype(np.int64)
    tenure = numbers(table, "tenure_months")
    assert (seen - signed == tenure + 1).all()  # signed up in the month before the first snapshot
    assert pc.all(pc.less(table["signup_date"], table["snapshot"])).as_py()
    assert (np.isnan(numbers(table, "sessions_previous")) == (tenure == 0)).all()
    assert 5 < np.median(tenure) < 30


def test_what_is_remembered_of_the_month_before_is_what_was_seen_then() -> None:
    table = default()
    month = snapshots(table)
    columns = {c: numbers(table, c) for c in ("sessions", "sessions_previous")}
    before = dict(
        zip(table["customer_id"].filter(month == 3).to_pylist(), columns["sessions"][month == 3], strict=True)
    )
    ids = table["customer_id"].filter(month == 4).to_pylist()
    pairs = [(before[i], p) for i, p in zip(ids, columns["sessions_previous"][month == 4], strict=True) if i in before]
    assert len(pairs) > 10000
    assert all(a == b for a, b in pairs)


@pytest.mark.parametrize("seed", [7, 1, 2])
def test_the_churn_rate_is_steady_and_the_truth_is_calibrated(seed: int) -> None:
    table = default(seed)
    churned, truth = numbers(table, "churned"), numbers(table, "true_probability")
    assert 0.04 < churned.mean() < 0.06
    monthly = np.bincount(snapshots(table), churned) / 12000
    assert 0.035 < monthly.min() <= monthly.max() < 0.065
    for low, high in ((0.0, 0.02), (0.02, 0.1), (0.1, 0.3), (0.3, 1.0)):
        there = (low <= truth) & (truth < high)
        error = np.sqrt((truth[there] * (1 - truth[there])).sum())
        assert abs(churned[there].sum() - truth[there].sum()) < 4 * error


@pytest.mark.parametrize("seed", [7, 1, 2])
def test_the_best_reachable_auc_and_no_single_feature_near_it(seed: int) -> None:
    table = default(seed)
    churned = numbers(table, "churned")
    assert 0.80 < auc(churned, numbers(table, "true_probability")) < 0.86
    alone = {name: auc(churned, score) for name, score in single_features(table, churned).items()}
    assert {n: round(a, 3) for n, a in alone.items() if not 0.30 < a < 0.70} == {}
    assert max(max(a, 1 - a) for a in alone.values()) > 0.62  # some of them do say something


def single_features(table: pa.Table, churned: Floats) -> dict[str, Floats]:
    """Every feature as one score per row: raw, missing as an indicator, categories by their churn rate, derived."""
    scores: dict[str, Floats] = {}
    for column in SCHEMA.features:
        if table[column.name].null_count:
            scores[f"{column.name} missing"] = pc.is_null(table[column.name]).cast(pa.int8()).to_numpy().astype(float)
        if column.kind == "category":
            level = codes(table, column.name) + 1
            scores[column.name] = (np.bincount(level, churned) / np.maximum(np.bincount(level), 1))[level]
        elif column.kind == "text":
            compound = np.array([sentiment(t) for t in comments.texts()] + [np.nan])
            scores["sentiment"] = compound[codes(table, column.name)]
        else:
            scores[column.name] = numbers(table, column.name)
    for name, operation, (a, b) in ((d.name, d.op, d.inputs) for d in SCHEMA.derived):
        left, right = numbers(table, a), numbers(table, b)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = left - right if operation == "difference" else left / right
        scores[name] = np.where(np.isfinite(value), value, np.nan)
    return scores


@pytest.mark.parametrize("kind", ["none", "covariate"])
def test_the_truth_follows_from_the_columns_of_the_row_alone(kind: str) -> None:
    table = drifted(kind, customers=2000)
    expected = risk.probability(seen_in(table), regions.effects(7), risk.COEFFICIENTS)
    assert (expected == numbers(table, "true_probability")).all()


def test_missing_values_tell_of_the_idle_and_the_untracked() -> None:
    table = default()
    sessions = numbers(table, "sessions")
    for name in ("nps", "comment"):
        missing = pc.is_null(table[name]).to_numpy()
        assert missing[sessions <= 5].mean() > missing[sessions >= 20].mean() + 0.1, name
        assert 0.5 < missing.mean() < 0.85, name
    untracked = pc.is_null(table["minutes"]).to_numpy()
    assert 0.06 < untracked.mean() < 0.13
    choices = pa.table({"id": table["customer_id"], "untracked": untracked.astype(np.int8)}).group_by("id")
    per_customer = choices.aggregate([("untracked", "min"), ("untracked", "max")])
    assert per_customer["untracked_min"].equals(per_customer["untracked_max"])
    assert 0.01 < table["region"].null_count / table.num_rows < 0.04
    assert 0.05 < table["age"].null_count / table.num_rows < 0.12


def test_comments_are_many_and_their_sentiment_follows_satisfaction() -> None:
    table = default()
    text = codes(table, "comment")
    assert len(set(comments.texts())) == len(comments.texts()) == 5 * comments.PER_TONE
    assert len(np.unique(text)) > 5000
    said = text >= 0
    assert np.corrcoef(comments.tone_of(text[said]), [_compound(t) for t in text[said]])[0, 1] > 0.9
    both = said & ~np.isnan(numbers(table, "nps"))
    assert np.corrcoef(comments.tone_of(text[both]), numbers(table, "nps")[both])[0, 1] > 0.4


@cache
def _compound(text: int) -> float:
    return sentiment(comments.texts()[text])


def test_regions_are_many_unequal_and_matter() -> None:
    region = codes(default(), "region")
    sizes = np.sort(np.bincount(region[region >= 0]))[::-1]
    assert 400 <= len(regions.NAMES) == len(set(regions.NAMES)) <= 700
    assert (sizes > 0).sum() > 400
    assert 10 < sizes[0] / sizes[len(sizes) // 2] < 100
    effects, weights = regions.effects(7), np.array(regions.shares())
    assert weights.sum() == pytest.approx(1)
    assert (weights * effects).sum() == pytest.approx(0, abs=1e-5)
    assert (weights * effects**2).sum() == pytest.approx(1, abs=1e-5)
    assert not (effects == regions.effects(8)).any()


def test_satisfaction_has_memory() -> None:
    table = default()
    month, nps = snapshots(table), numbers(table, "nps")
    now, later = (
        dict(zip(table["customer_id"].filter(month == m).to_pylist(), nps[month == m], strict=True)) for m in (6, 7)
    )
    pairs = np.array([(now[i], later[i]) for i in now if i in later])
    pairs = pairs[~np.isnan(pairs).any(axis=1)]
    assert len(pairs) > 500
    assert 0.3 < np.corrcoef(pairs.T)[0, 1] < 0.8


def digest(table: pa.Table) -> str:
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return hashlib.sha256(file.getvalue()).hexdigest()


def test_the_same_parameters_give_the_same_bytes_in_another_process() -> None:
    here = digest(simulate(params(customers=300)))
    assert here == digest(simulate(params(customers=300)))
    assert here != digest(simulate(params(customers=300, seed=8)))
    script = (
        "import hashlib, io, pyarrow.parquet as pq\n"
        "from mlops.params import Drift, Simulator\nfrom mlops.simulator import simulate\n"
        "p = Simulator(customers=300, months=18, start='2025-01', seed=7, drift=Drift())\nf = io.BytesIO()\n"
        "pq.write_table(simulate(p), f, compression='zstd')\nprint(hashlib.sha256(f.getvalue()).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_written_numbers_are_rounded() -> None:
    table = default()
    for name, decimals in (("price", 2), ("minutes", 1), ("true_probability", 6)):
        values = numbers(table, name)
        values = values[~np.isnan(values)]
        assert (values == np.round(values, decimals)).all(), name


@settings(max_examples=15, deadline=None)
@given(
    few=st.integers(50, 120), more=st.integers(0, 60), months=st.integers(2, 12), later=st.integers(0, 6),
    seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(["none", "covariate", "concept"]),
)  # fmt: skip
def test_more_customers_or_months_keep_every_row(
    few: int, more: int, months: int, later: int, seed: int, kind: str
) -> None:
    world: dict[str, Any] = {"kind": kind, "from_": "2025-04", "strength": 2.0}
    small = simulate(params(customers=few, months=months, seed=seed, **world))
    large = simulate(params(customers=few + more, months=months + later, seed=seed, **world))
    kept = (np.arange(large.num_rows) % (few + more) < few) & (snapshots(large) < months)
    assert large.filter(kept).equals(small)


def test_a_later_start_moves_the_dates_and_nothing_else() -> None:
    early = simulate(params(customers=100))
    late = simulate(params(customers=100).model_copy(update={"start": "2025-03"}))
    dates = ["snapshot", "signup_date"]
    assert late.drop_columns(dates).equals(early.drop_columns(dates))
    assert late["snapshot"][0].as_py().isoformat() == "2025-03-01T00:00:00"


def test_levels_have_one_weight_each() -> None:
    weights = risk.COEFFICIENTS
    assert (len(weights.plan), len(weights.payment), len(weights.device)) == (len(PLANS), len(PAYMENTS), len(DEVICES))


def test_importing_the_simulator_loads_nothing_heavy() -> None:
    script = (
        "import sys, mlops.simulator\n"
        "print(sorted({'pandas', 'sklearn', 'scipy', 'xgboost', 'vader'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
