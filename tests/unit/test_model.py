"""All four kinds: what notebooks load and what the service loads score the same, row by row and in bulk."""

from __future__ import annotations

import json
import math
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlops import bundle, columns, features
from mlops.encode import Encoder, OneHot, TargetMean
from mlops.errors import BundleError, DataError, TrainingError
from mlops.features import Plan, Scalar
from mlops.model import calibrate, encoding, export, fit, kinds
from mlops.model.pipeline import CalibratedModel, assemble
from mlops.params import VIEWS, Params, View, parse
from mlops.schema import Column, Derived, Schema
from mlops.train import Rows, check, encode, fit_model

ROOT = Path(__file__).resolve().parents[2]
KINDS = list(kinds.DEFAULTS)
SCHEMA = Schema(
    (
        Column("minutes", "number"),
        Column("sessions", "number"),
        Column("auto", "boolean"),
        Column("plan [a,b]", "category"),
        Column("region", "category"),
        Column("since", "date"),
        Column("comment", "text"),
        Column("churned", "target", positive="1", negative="0"),
    ),
    (Derived("per_session", "ratio", ("minutes", "sessions")),),
)
TOLERANCE = {"random_forest": 5e-6}


def simulated(rows: int, seed: int) -> tuple[pa.Table, np.ndarray[Any, np.dtype[np.int8]]]:
    rng = np.random.default_rng(seed)
    minutes = np.where(rng.random(rows) < 0.2, np.nan, rng.gamma(2.0, 40.0, rows).round(2))
    sessions = rng.integers(0, 9, rows).astype(float)
    plan = rng.choice(np.array(["<5", "a,b", "[pro]", "new\u00e9"], dtype=object), rows)
    plan[rng.random(rows) < 0.1] = None
    region = np.array([f"r{i}" for i in rng.zipf(1.6, rows) % 70], dtype=object)
    auto = rng.random(rows) < 0.5
    comment = rng.choice(np.array([None, "love it", "hate the crashes", "bill came"], dtype=object), rows)
    days = rng.integers(15_000, 19_000, rows)
    churn_score = -1.2 + 0.9 * (plan == "<5") - 0.02 * np.nan_to_num(minutes, nan=10) + 0.8 * np.isnan(minutes)
    churn_score += np.where(comment == "hate the crashes", 1.2, 0) + (region == "r1") - 0.2 * auto
    y = (rng.random(rows) < 1 / (1 + np.exp(-churn_score))).astype(np.int8)
    table = pa.table(
        {
            "minutes": pa.array(minutes, from_pandas=True),
            "sessions": sessions,
            "auto": pa.array(auto, pa.bool_()),
            "plan [a,b]": pa.array(plan, pa.string()),
            "region": pa.array(region, pa.string()),
            "since": pa.array((days * 86400).astype("datetime64[s]")),
            "comment": pa.array(comment, pa.string()),
        }
    )
    return table, y


@dataclass(frozen=True)
class Fitted:
    encoder: Encoder
    model: CalibratedModel
    validation_p: np.ndarray[Any, np.dtype[np.float64]]
    described: dict[str, Any]


def fitted_on(
    train: Rows, validation: Rows, plan: Plan, view: View, watch: fit.Watch = lambda step, values: None
) -> Fitted:
    encoded = encode(train, validation, plan, view)
    made = fit_model(encoded, view, watch)
    described = {"signature": encoded.signature, "profile": encoded.profile}
    return Fitted(encoded.encoder, made.model, made.validation_p, described)


def rows_of(plan: Plan, table: pa.Table, y: Any) -> Rows:
    ids = pa.chunked_array([pa.array([f"c{i // 2}" for i in range(len(y))])])
    return Rows(plan.columns(columns.raw(table, plan.inputs)), y, columns.coded(ids))


def to_scalars(plan: Plan, table: pa.Table) -> list[dict[str, Scalar]]:
    raw = columns.raw(table, plan.inputs)
    listed = {}
    for name, values in raw.items():
        if isinstance(values, features.Coded):
            listed[name] = [None if c < 0 else values.levels[c] for c in values.codes]
        else:
            listed[name] = values.tolist()
    return [dict(zip(listed, row, strict=True)) for row in zip(*listed.values(), strict=True)]


@pytest.fixture(scope="module")
def params() -> Callable[..., View]:
    import yaml

    def view(**changes: Any) -> View:
        document = yaml.safe_load((ROOT / "tests" / "params.yaml").read_text())
        loaded: Params = parse({**document, "n_estimators": 40, **changes})
        return View(loaded, VIEWS["train"])

    return view


@pytest.fixture(scope="module")
def plan() -> Plan:
    return features.plan(SCHEMA, {"sessions": False}, with_sentiment=True)


@pytest.fixture(scope="module")
def fitted(params: Callable[..., View], plan: Plan) -> dict[str, Fitted]:
    train, validation = (rows_of(plan, *simulated(n, seed)) for n, seed in ((1500, 1), (700, 2)))
    changes: dict[str, dict[str, Any]] = {kind: {"model": kind} for kind in KINDS}
    changes["logistic_regression"]["n_estimators"] = None
    return {kind: fitted_on(train, validation, plan, params(**change)) for kind, change in changes.items()}


def saved(kind: str, made: Fitted, plan: Plan, folder: Path) -> bundle.Bundle:
    files = export.files(kind, made.model.estimator, made.encoder, made.model.calibrator, made.described)
    bundle.save(folder, files, {"threshold": made.model.threshold, "model": kind})
    return bundle.load(folder)


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
    assert np.max(np.abs(one_by_one[:, 0] - library)) <= tolerance
    assert np.max(np.abs(one_by_one[:, 1] - p)) <= 1e-6
    assert features_auc(y, p) > 0.7


def features_auc(y: Any, p: Any) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y, p))


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
    assert [fitted.one(x) for x in log_odds[:50]] == pytest.approx(probabilities[:50].tolist(), abs=1e-15)


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


def test_altered_bundles_are_refused(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    saved("xgboost", fitted["xgboost"], plan, tmp_path)
    model = (tmp_path / "model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(model[:-1] + b"x")
    with pytest.raises(BundleError, match=r"model.onnx is not what its manifest says"):
        bundle.load(tmp_path)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"model.onnx is missing; `dvc checkout"):
        bundle.load(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(BundleError, match="reads format 1"):
        bundle.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        bundle.load(tmp_path)
    with pytest.raises(BundleError, match=r"manifest.json is missing; make the model with `dvc repro`"):
        bundle.load(tmp_path / "nowhere")


def test_a_wrong_model_with_right_digests_is_refused(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    saved("xgboost", fitted["xgboost"], plan, tmp_path)
    names = [p.name for p in tmp_path.iterdir() if p.name != "manifest.json"]
    files = {name: (tmp_path / name).read_bytes() for name in names}
    bundle.save(tmp_path, {**files, "model.onnx": b"no model"}, {"threshold": 0.1})
    with pytest.raises(BundleError, match=r"model.onnx cannot be loaded"):
        bundle.load(tmp_path)
    bundle.save(tmp_path, {**files, "encoder.json": b"{}"}, {"threshold": 0.1})
    with pytest.raises(BundleError, match=r"encoder.json is not an encoder"):
        bundle.load(tmp_path)
    bundle.save(tmp_path, {"model.onnx": files["model.onnx"]}, {"threshold": 0.1})
    with pytest.raises(BundleError, match=r"does not list encoder.json"):
        bundle.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("encoder.json", lambda d: {**d, "features": d["features"][1:]}, "do not belong together"),
        ("encoder.json", lambda d: {**d, "features": [], "blocks": [], "inputs": []}, "the model reads another number"),
        ("encoder.json", lambda d: {**d, "inputs": d["inputs"][::-1]}, "signature and encoder name other columns"),
        ("calibrator.json", lambda d: {**d, "score": "odds"}, "the calibrator is none"),
        ("calibrator.json", lambda d: {**d, "slope": "steep"}, "is not a served model"),
        ("signature.json", lambda d: {}, "is not a served model"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(
    fitted: dict[str, Fitted], plan: Plan, tmp_path: Path, name: str, change: Callable[[Any], Any], message: str
) -> None:
    saved("xgboost", fitted["xgboost"], plan, tmp_path)
    files = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.name != "manifest.json"}
    altered = json.dumps(change(json.loads(files[name]))).encode()
    bundle.save(tmp_path, {**files, name: altered}, {"threshold": 0.1})
    with pytest.raises(BundleError, match=message):
        bundle.load(tmp_path)


@pytest.mark.parametrize("threshold", [float("nan"), 7, -0.1])
def test_a_threshold_is_a_probability(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path, threshold: float) -> None:
    saved("xgboost", fitted["xgboost"], plan, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "threshold": threshold}))
    with pytest.raises(BundleError, match="is no probability"):
        bundle.load(tmp_path)


def test_numbers_that_float32_cannot_hold_are_refused(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    served = saved("xgboost", fitted["xgboost"], plan, tmp_path)
    table, _ = simulated(3, 1)
    (row, *_) = to_scalars(plan, table)
    with pytest.raises(DataError, match=r"minutes: a value is beyond ±3.4e\+38"):
        served.score_row({**row, "minutes": 1e300})
    raw = columns.raw(table, plan.inputs)
    with pytest.raises(DataError, match="minutes: a value is beyond"):
        served.score_columns({**raw, "minutes": np.array([1.0, -1e300, 2.0])})


def test_signature_describes_what_clients_send(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    served = saved("xgboost", fitted["xgboost"], plan, tmp_path)
    inputs = {i["name"]: i for i in served.signature["inputs"]}
    assert list(inputs) == [i.name for i in plan.inputs]
    assert inputs["sessions"] == {
        "name": "sessions", "kind": "number", "nullable": False, "whole": True, "min": 0, "max": 8, "example": 4
    }  # fmt: skip
    assert inputs["plan [a,b]"]["levels"] == ["<5", "[pro]", "a,b", "newé"]
    assert served.profile["features"]["minutes"]["missing"] == pytest.approx(0.2, abs=0.05)
    assert sum(served.profile["features"]["minutes"]["shares"]) == pytest.approx(1)
    assert served.profile["rows"] == 1500


def test_encoder_survives_json(fitted: dict[str, Fitted], plan: Plan) -> None:
    encoder = fitted["xgboost"].encoder
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    table, _ = simulated(200, 9)
    raw = columns.raw(table, plan.inputs)
    assert np.array_equal(encoder.columns(raw), again.columns(raw), equal_nan=True)


def test_the_frame_may_hold_other_columns(fitted: dict[str, Fitted]) -> None:
    pipeline = assemble(fitted["xgboost"].encoder, fitted["xgboost"].model)
    frame = simulated(50, 5)[0].to_pandas()
    extra = pd.concat([pd.Series(range(50), name="id"), frame], axis=1)
    assert np.array_equal(pipeline.predict_proba(frame), pipeline.predict_proba(extra))
    assert set(pipeline.predict(frame)) <= {0, 1}


def test_scoring_needs_neither_pandas_nor_scikit_learn() -> None:
    import subprocess

    code = (
        "import sys, mlops.bundle, mlops.encode, mlops.errors;"
        "print([m for m in ('pandas', 'sklearn', 'xgboost', 'dvc', 'pyarrow', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
