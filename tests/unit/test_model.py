"""All four kinds: what notebooks load and what the service loads score the same, row by row and in bulk."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost

from mlops import columns, features
from mlops import schema as schemas
from mlops.encode import OneHot, TargetMean
from mlops.errors import TrainingError
from mlops.features import Plan
from mlops.model import calibrate, encoding, onnx_file, trees
from mlops.model.pipeline import assemble
from mlops.params import View
from mlops.schema import Column, Schema
from mlops.train import FEATURES, Rows, check, read_and_encode
from tests.unit.models import (
    KINDS,
    SCHEMA,
    TOLERANCE,
    Fitted,
    features_auc,
    fitted_on,
    rows_of,
    saved,
    simulated,
    to_scalars,
)


@pytest.mark.parametrize("kind", KINDS)
def test_notebook_bulk_and_row_score_the_same(kind: str, fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    made = fitted[kind]
    served = saved(kind, made, plan, tmp_path)
    table, y = simulated(900, 3)
    table = table.set_column(4, "region", pa.array(["never seen", None, *table.column("region").to_pylist()[2:]]))
    joblib.dump(assemble(made.encoder, made.model), tmp_path / "model.joblib")
    pipeline = joblib.load(tmp_path / "model.joblib")
    frame = table.to_pandas()
    library = pipeline.named_steps["model"].raw_scores(pipeline.named_steps["encode"].transform(frame))

    raw, p = served.score_columns(columns.raw(table, plan.inputs))
    tolerance = TOLERANCE.get(kind, 1e-6)
    assert np.max(np.abs(raw - library)) <= tolerance
    assert np.max(np.abs(p - pipeline.predict_proba(frame)[:, 1])) <= 1e-6
    assert np.isnan(table.column("minutes").to_pandas()).any()

    one_by_one = np.array([served.score_row(row) for row in to_scalars(plan, table)])
    if kind != "logistic_regression":  # a product of matrices adds in another order for one row
        assert np.array_equal(one_by_one[:, 0], raw)
    assert np.max(np.abs(one_by_one[:, 0] - library)) <= tolerance
    assert np.max(np.abs(one_by_one[:, 1] - p)) <= 1e-6
    assert np.array_equal(one_by_one[:, 1], served.calibrator.many(one_by_one[:, 0]))
    assert features_auc(y, p) > 0.7


@pytest.mark.parametrize(
    ("kind", "bound"), [("xgboost", 0.0), ("random_forest", 1e-6), ("hist_gradient_boosting", 1e-6)]
)
def test_hundreds_of_trees_are_added_up_as_the_library_does(
    kind: str, bound: float, params: Callable[..., View], plan: Plan, tmp_path: Path
) -> None:
    train, validation = (rows_of(plan, *simulated(n, seed)) for n, seed in ((1500, 1), (700, 2)))
    settings = {"early_stopping_rounds": 0, "class_weight": None, "calibration": "none"}
    learning = {} if kind == "random_forest" else {"learning_rate": 0.04, "max_depth": 4}
    made = fitted_on(train, validation, plan, params(model=kind, n_estimators=300, train=settings, **learning))
    served = saved(kind, made, plan, tmp_path)
    table, _ = simulated(1500, 3)
    matrix = served.encoder.columns(columns.raw(table, plan.inputs))
    raw = served.raw_scores(matrix)
    assert np.max(np.abs(raw - made.model.raw_scores(matrix))) <= bound
    assert [served.score_row(row)[0] for row in to_scalars(plan, table)] == raw.tolist()
    base, parts = served.explainer().contributions(matrix[:50])
    assert np.max(np.abs(base + parts.sum(axis=1) - raw[:50])) <= 1e-5


def test_sums_start_from_xgboosts_own_log_odds() -> None:
    """NumPy's float32 logarithm has another last bit than XGBoost's for one base score in seven."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 2)).astype(np.float32), np.arange(64) % 2
    rows = xgboost.DMatrix(x, label=y)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for base in (1e-5, 0.047, 0.5, 0.999, *rng.uniform(0.01, 0.99, 40).tolist()):
        settings = {"objective": "binary:logistic", "base_score": base, "max_depth": 2}
        booster = xgboost.train(settings, rows, num_boost_round=3)
        model = onnx_file.of_trees(trees.from_xgboost(booster.save_raw("json")), width=2)
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        (served,) = session.run(None, {"x": x})
        assert np.array_equal(served[:, 0], booster.predict(rows, output_margin=True))


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_rows_never_changes_a_score(kind: str, fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    served = saved(kind, fitted[kind], plan, tmp_path)
    table, _ = simulated(300, 4)
    order = np.random.default_rng(0).permutation(300)
    _, p = served.score_columns(columns.raw(table, plan.inputs))
    _, shuffled = served.score_columns(columns.raw(table.take(pa.array(order)), plan.inputs))
    assert np.array_equal(p[order], shuffled)


@pytest.mark.parametrize("kind", KINDS)
def test_fitting_twice_gives_the_same_files(
    kind: str, fitted: dict[str, Fitted], params: Callable[..., View], plan: Plan, tmp_path: Path
) -> None:
    train, validation = (rows_of(plan, *simulated(n, seed)) for n, seed in ((1500, 1), (700, 2)))
    trees = None if kind == "logistic_regression" else 40
    again = fitted_on(train, validation, plan, params(model=kind, n_estimators=trees))
    for name, made in (("a", fitted[kind]), ("b", again)):
        (tmp_path / name).mkdir()
        saved(kind, made, plan, tmp_path / name)
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name
    dumps = [pickle.dumps(assemble(m.encoder, m.model)) for m in (fitted[kind], again)]
    assert dumps[0] == dumps[1]


def test_balanced_classes_still_give_calibrated_probabilities(params: Callable[..., View], plan: Plan) -> None:
    train, validation = (rows_of(plan, *simulated(n, seed)) for n, seed in ((3000, 1), (1500, 2)))
    settings = {"early_stopping_rounds": 20, "class_weight": "balanced", "calibration": "sigmoid"}
    made = fitted_on(train, validation, plan, params(train=settings))
    assert made.validation_p.mean() == pytest.approx(validation.y.mean(), abs=0.01)


def test_ignored_hyperparameters_are_named_once(
    params: Callable[..., View], plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    train, validation = (rows_of(plan, *simulated(n, seed)) for n, seed in ((400, 1), (300, 2)))
    fitted_on(train, validation, plan, params(model="logistic_regression", max_depth=3))
    err = capsys.readouterr().err
    assert err == "params.yaml: model logistic_regression has no use for n_estimators, max_depth; ignored\n"


@pytest.mark.parametrize("kind", ["xgboost", "random_forest", "hist_gradient_boosting"])
def test_the_curve_is_reported_while_training(kind: str, params: Callable[..., View], plan: Plan) -> None:
    train, validation = (rows_of(plan, *simulated(n, seed)) for n, seed in ((800, 1), (400, 2)))
    seen: list[dict[str, float]] = []
    fitted_on(train, validation, plan, params(model=kind, n_estimators=60), lambda step, values: seen.append(values))
    curve = [values["validation/log_loss"] for values in seen]
    assert len(curve) >= 3
    assert all(math.isfinite(v) for v in curve)
    if kind != "random_forest":
        assert min(curve) < curve[0]
        assert "train/log_loss" in seen[0]


def test_rare_and_many_levels(fitted: dict[str, Fitted], plan: Plan) -> None:
    blocks = {b.feature: b for b in fitted["xgboost"].encoder.blocks}
    assert isinstance(blocks["plan [a,b]"], OneHot)
    region = blocks["region"]
    assert isinstance(region, TargetMean)
    train = rows_of(plan, *simulated(1500, 1))
    coded = train.features["region"]
    assert isinstance(coded, features.Coded)
    counts = np.bincount(coded.codes, minlength=len(coded.levels))
    assert set(region.levels) == {lv for lv, n in zip(coded.levels, counts, strict=True) if n}
    assert all(0 < rate < 1 for rate in region.rates)


def test_many_rare_levels_with_a_real_effect_are_not_thrown_away() -> None:
    """748 levels, four rows each: shrunk rates find most of what there is to find."""
    rng = np.random.default_rng(1)
    effect = rng.normal(-1.0, 1.5, 748)
    codes = rng.integers(0, 748, 3000).astype(np.int32)
    y = (rng.random(3000) < 1 / (1 + np.exp(-effect[codes]))).astype(np.int8)
    column = features.Coded(codes, tuple(f"z{i}" for i in range(748)))
    plan = Plan((features.Input("z", "category"),), (features.Feature("z", "value", ("z",), "category"),))
    folds = rng.integers(0, 5, 3000)
    encoder, matrix = encoding.fit(plan, {"z": column}, y, folds, encoding.LevelRules(12, 10))
    fresh = rng.integers(0, 748, 3000).astype(np.int32)
    fresh_y = (rng.random(3000) < 1 / (1 + np.exp(-effect[fresh]))).astype(np.int8)
    on_new = encoder.matrix({"z": features.Coded(fresh, column.levels)})[:, 0]
    best = features_auc(fresh_y, effect[fresh])
    assert features_auc(fresh_y, on_new) > best - 0.09
    assert features_auc(y, matrix[:, 0]) == pytest.approx(features_auc(fresh_y, on_new), abs=0.05)


def test_training_rows_do_not_see_their_own_labels() -> None:
    """A level that says nothing must look like nothing: with its own label in the rate, it would look like a lot."""
    rng = np.random.default_rng(0)
    rows = 4000
    y = (rng.random(rows) < 0.3).astype(np.int8)
    levels = tuple(f"z{i}" for i in range(800))
    column = features.Coded(rng.integers(0, 800, rows).astype(np.int32), levels)
    plan = Plan((features.Input("z", "category"),), (features.Feature("z", "value", ("z",), "category"),))
    folds = encoding.customer_folds(features.Coded(np.arange(rows, dtype=np.int32), tuple(map(str, range(rows)))), 0)
    rules = encoding.LevelRules(12, 2)
    encoder, matrix = encoding.fit(plan, {"z": column}, y, folds, rules)
    naive = encoder.matrix({"z": column})[:, 0]
    assert features_auc(y, naive) > 0.6
    assert abs(features_auc(y, matrix[:, 0]) - 0.5) < 0.05


def test_folds_keep_customers_together_and_do_not_depend_on_row_order() -> None:
    names = ("b", "a", "c")
    folds = encoding.customer_folds(features.Coded(np.array([0, 1, 2, 0], dtype=np.int32), names), 3)
    assert folds[0] == folds[3]
    other = encoding.customer_folds(features.Coded(np.array([2, 0, 1], dtype=np.int32), ("a", "c", "b")), 3)
    assert [folds[0], folds[1], folds[2]] == other.tolist()


def test_refused_training_sets(plan: Plan) -> None:
    good = rows_of(plan, *simulated(400, 1))
    none_left = Rows(good.features, np.zeros(400, dtype=np.int8), good.customers)
    with pytest.raises(TrainingError, match="0 of 400 training rows churned, at least 10 are needed"):
        check(none_left, good)
    all_left = Rows(good.features, np.ones(400, dtype=np.int8), good.customers)
    with pytest.raises(TrainingError, match="0 of 400 validation rows stayed"):
        check(good, all_left)
    flat = Rows({"a": np.full(400, np.nan), "b": np.ones(400)}, good.y, good.customers)
    with pytest.raises(TrainingError, match="no feature takes two different values"):
        check(flat, good)
    check(good, good)


@pytest.mark.parametrize("id_column", [None, "customer_id"])
def test_the_signature_names_the_tables_id(
    id_column: str | None, params: Callable[..., View], plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    FEATURES.mkdir(parents=True)
    ids = () if id_column is None else (Column(id_column, "id"),)
    schemas.PATH.write_text(schemas.dump(Schema((*ids, *SCHEMA.columns), SCHEMA.derived)))
    (FEATURES / "plan.json").write_text(json.dumps(plan.to_json()))
    for side, seed in (("train", 1), ("validation", 2)):
        rows = rows_of(plan, *simulated(400, seed))
        made = {name: columns.to_arrow(values) for name, values in rows.features.items()}
        table = pa.table({**made, "__y": rows.y, "__customer": columns.to_arrow(rows.customers)})
        pq.write_table(table, FEATURES / f"{side}.parquet")
    assert read_and_encode(params()).signature["id"] == id_column


def test_calibration_moves_heights_not_ranks() -> None:
    rng = np.random.default_rng(0)
    log_odds = rng.normal(-2, 1, 5000)
    y = (rng.random(5000) < 1 / (1 + np.exp(-(0.5 * log_odds - 1)))).astype(np.int8)
    fitted = calibrate.fit("sigmoid", "log_odds", log_odds, y)
    assert fitted.slope == pytest.approx(0.5, abs=0.08)
    assert fitted.many(log_odds).mean() == pytest.approx(y.mean(), abs=1e-4)
    upside_down = calibrate.fit("sigmoid", "log_odds", -log_odds, y)
    assert upside_down.slope == 1.0
    assert upside_down.many(-log_odds).mean() == pytest.approx(y.mean(), abs=1e-4)
    assert calibrate.fit("none", "log_odds", log_odds, y).slope == 1.0
    assert calibrate.fit("sigmoid", "log_odds", log_odds[:9], np.ones(9, dtype=np.int8)).slope == 1.0
    probabilities = fitted.many(log_odds)
    assert [fitted.one(x) for x in log_odds.tolist()] == probabilities.tolist()
    forest = calibrate.fit("sigmoid", "probability", probabilities, y)
    shares = np.append(probabilities, [0.0, 1.0])
    assert [forest.one(x) for x in shares.tolist()] == forest.many(shares).tolist()


def test_the_threshold_is_the_most_profitable_one() -> None:
    rng = np.random.default_rng(2)
    p = np.round(rng.uniform(0, 0.4, 3000), 6)
    y = (rng.random(3000) < p).astype(np.int8)
    threshold = calibrate.best_threshold(p, y, value_saved=100, cost_contact=10)

    def profit(t: float) -> float:
        return float(np.sum((p >= t) * (100.0 * y - 10)))

    assert profit(threshold) == max(profit(t) for t in np.append(np.unique(p), 2.0))
    assert threshold == pytest.approx(0.1, abs=0.05)
    assert calibrate.best_threshold(p, np.zeros(3000, dtype=np.int8), 100, 10) == 1.0
    unrounded = p + rng.uniform(-4e-7, 4e-7, 3000)
    assert np.array_equal(unrounded >= threshold, np.round(unrounded, 6) >= threshold)
