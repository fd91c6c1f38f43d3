"""Models of notebooks as bundles: they predict as the live ones, or it is said why they cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from mlops import bundle
from mlops.bundle import Bundle
from mlops.experiments import folded, served
from mlops.experiments.readers import CannotServeError
from mlops.experiments.served import Rows
from tests.experiments.conftest import frame

pytestmark = pytest.mark.slow

LINEAR = LogisticRegression(max_iter=5000)
KINDS: dict[str, tuple[str, Any]] = {
    "xgboost": ("xgboost", XGBClassifier(n_estimators=30, max_depth=5)),
    "xgboost stopped early": ("xgboost", XGBClassifier(n_estimators=60, max_depth=5, early_stopping_rounds=3)),
    "random forest": ("random_forest", RandomForestClassifier(30, max_depth=9, random_state=0)),
    "extra trees": ("extra_trees", ExtraTreesClassifier(30, max_depth=9, random_state=0)),
    "tree": ("decision_tree", DecisionTreeClassifier(max_depth=6)),
    "boosting": ("hist_gradient_boosting", HistGradientBoostingClassifier(max_iter=40)),
    "filled, scaled, linear": (
        "logistic_regression",
        make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LINEAR),
    ),
    "scaled, filled, scaled, linear": (
        "logistic_regression",
        make_pipeline(RobustScaler(), SimpleImputer(), MinMaxScaler(), LINEAR),
    ),
    "scaled forest": ("random_forest", make_pipeline(StandardScaler(), RandomForestClassifier(30, max_depth=9))),
    "filled, scaled xgboost": (
        "xgboost",
        make_pipeline(SimpleImputer(), MaxAbsScaler(), XGBClassifier(n_estimators=30)),
    ),
    "cut boosting": (
        "hist_gradient_boosting",
        make_pipeline(MinMaxScaler(clip=True), "passthrough", HistGradientBoostingClassifier(max_iter=40)),
    ),
}


def saved(model: Any, x: pd.DataFrame, learnt: pd.DataFrame, folder: Path) -> tuple[Bundle, Any]:
    names = served.names_of(model, None, x)
    live = model.predict_proba(x)[:, 1]
    files, read = served.make(model, names, Rows(learnt), live, None)
    folder.mkdir()
    bundle.save(folder, files, served.facts(model, read, "churn", 0.5, {}))
    assert served.check(folder, names, x, live) < served.TOLERANCE
    return bundle.load(folder), live


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", KINDS)
def test_it_predicts_and_explains_as_the_live_model(name: str, dtype: str, tmp_path: Path) -> None:
    kind, model = KINDS[name]
    (learnt, y), (x, other) = (frame(900, seed, missing=True, dtype=dtype) for seed in (3, 4))
    extra = {"eval_set": [(x, other)], "verbose": False} if "early" in name else {}
    model.fit(learnt, y, **extra)
    loaded, live = saved(model, x, learnt, tmp_path / "bundle")
    assert loaded.manifest["model"] == kind
    for i in (0, 7, 100):
        row = {name: float(value) for name, value in x.iloc[i].items()}
        matrix, score, p = loaded.row(row)
        assert p == pytest.approx(live[i], abs=1e-6)
        base, parts = loaded.explainer().contributions(matrix)
        assert base + parts.sum() == pytest.approx(score, abs=1e-5)
    inputs = {column["name"]: column for column in loaded.signature["inputs"]}
    assert list(inputs) == list(x.columns)
    assert inputs["spent"]["nullable"]
    assert not inputs["minutes"]["nullable"]
    assert inputs["auto"]["kind"] == ("boolean" if dtype == "float64" else "number")
    assert ("booster.json" in loaded.manifest["files"]) == (kind == "xgboost" and not isinstance(model, Pipeline))


def test_without_missing_values_a_linear_model_alone(tmp_path: Path) -> None:
    (learnt, y), (x, _) = frame(500, 3), frame(500, 4)
    loaded, _ = saved(LogisticRegression(max_iter=5000).fit(learnt, y), x, learnt, tmp_path / "bundle")
    assert not any(column["nullable"] for column in loaded.signature["inputs"])
    assert json.loads(json.dumps(loaded.manifest["hyperparameters"]))["max_iter"] == 5000


@settings(max_examples=30)
@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=2, max_size=20, unique=True),
    st.floats(-5, 5),
    st.sampled_from([StandardScaler(), MinMaxScaler(), RobustScaler(), MaxAbsScaler()]),
)
def test_a_threshold_is_found_through_a_scaler(column: list[float], limit: float, scaler: Any) -> None:
    """The largest float32 that is at most the limit once scaled: it is, and the next one is not."""
    values = np.array(column, dtype=np.float32).reshape(-1, 1)
    fitted = scaler.fit(values.astype(np.float64))

    def holds(x: Any) -> Any:
        return fitted.transform(np.asarray(x, dtype=np.float64).reshape(-1, 1))[:, 0] <= limit

    (found,) = folded._largest(holds, 1)
    largest = np.finfo(np.float32).max
    if np.isfinite(found):
        assert holds([found])[0]
    else:
        assert not holds([-largest])[0]
    if found < largest:
        assert not holds([np.nextafter(max(found, -largest), np.float32(np.inf)) if np.isfinite(found) else -largest])[
            0
        ]


def _categories(x: pd.DataFrame) -> pd.DataFrame:
    return x.assign(plan=pd.Categorical(np.where(x["age"] > 40, "old", "new")))


def test_what_cannot_be_served_says_why(tmp_path: Path) -> None:
    x, y = frame(300, 5)
    texts, dates = x.assign(plan="a"), x.assign(since=pd.Timestamp("2026-01-01"))
    encoded = ColumnTransformer([("plan", OneHotEncoder(), ["plan"])], remainder="passthrough")
    cases: list[tuple[Any, Any, str]] = [
        (GradientBoostingClassifier(n_estimators=3).fit(x, y), x, "GradientBoostingClassifier is none of the kinds"),
        (make_pipeline(encoded, DecisionTreeClassifier()).fit(texts, y), texts, "step 'columntransformer' is ColumnT"),
        (XGBClassifier(n_estimators=3, missing=-1.0).fit(x, y), x, "missing=-1.0 is a number to it"),
        (XGBClassifier(n_estimators=3, booster="dart").fit(x, y), x, "it is dart with objective binary:logistic"),
        (
            XGBClassifier(n_estimators=3, enable_categorical=True).fit(_categories(x), y),
            _categories(x),
            "column 'plan' holds no numbers",
        ),
        (HistGradientBoostingClassifier(max_iter=3).fit(_categories(x), y), _categories(x), "splits on categories"),
        (make_pipeline(MinMaxScaler(clip=True), LINEAR).fit(x, y), x, "clip=True"),
        (make_pipeline(SimpleImputer(add_indicator=True), DecisionTreeClassifier()).fit(x, y), x, "add_indicator"),
        (make_pipeline(SimpleImputer(missing_values=0), DecisionTreeClassifier()).fit(x, y), x, "only NaN is missing"),
        (DecisionTreeClassifier().fit(x, y), texts.assign(age="old"), "column 'age' holds no numbers"),
        (DecisionTreeClassifier().fit(x, y), dates.assign(spent=dates["since"]), "column 'spent' holds no numbers"),
        (DecisionTreeClassifier().fit(x, y), x.assign(spent=1e39), "infinite, or too large for float32"),
    ]
    for model, rows, said in cases:
        with pytest.raises(CannotServeError, match=said):
            served.make(model, served.names_of(model, None, rows), Rows(rows), np.array([0.5]), None)
    tree = DecisionTreeClassifier().fit(x.to_numpy(), y)
    for names, said in ((None, "give feature_names"), (["a"], "it reads 5 columns, feature_names are 1")):
        with pytest.raises(CannotServeError, match=said):
            served.names_of(tree, names, x.to_numpy())
    with pytest.raises(CannotServeError, match="differ from those it was fitted with: 'visits' for 'spent'"):
        served.names_of(DecisionTreeClassifier().fit(x, y), ["visits", "spent", "auto", "minutes", "age"], x)


def test_a_model_that_float32_changes_is_refused(tmp_path: Path) -> None:
    x, _ = frame(600, 6)
    seconds = 1.7e9 + np.arange(len(x))  # float32 tells seconds of our days apart by 128
    fine = x.assign(spent=seconds)
    model = HistGradientBoostingClassifier(max_iter=20).fit(fine, (np.arange(len(x)) // 7) % 2)
    names = list(fine.columns)
    live = model.predict_proba(fine)[:, 1]
    files, read = served.make(model, names, Rows(fine), live, None)
    (tmp_path / "b").mkdir()
    bundle.save(tmp_path / "b", files, served.facts(model, read, "churn", 0.5, {}))
    with pytest.raises(CannotServeError, match=r"saved, it gives .* where the live one gives .* fit on X\.astype"):
        served.check(tmp_path / "b", names, fine, live)


def test_lightgbm(tmp_path: Path) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    (learnt, y), (x, _) = frame(900, 3, missing=True), frame(900, 4, missing=True)
    for given_model in (
        lightgbm.LGBMClassifier(n_estimators=30, verbose=-1),
        lightgbm.LGBMClassifier(n_estimators=30, verbose=-1, sigmoid=2.0),
        make_pipeline(StandardScaler().set_output(transform="pandas"), lightgbm.LGBMClassifier(verbose=-1)),
    ):
        folder = tmp_path / str(id(given_model))
        loaded, _ = saved(given_model.fit(learnt, y), x, learnt, folder)
        assert loaded.manifest["model"] == "lightgbm"
    with pytest.raises(CannotServeError, match="splits on categories"):
        saved(lightgbm.LGBMClassifier(verbose=-1).fit(_categories(learnt), y), _categories(x), learnt, tmp_path / "c")
