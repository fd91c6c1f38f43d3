"""Tables of ordinary decimals, and names as LightGBM and arrays leave them: what can be served is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mlops import bundle
from mlops.experiments import matrix, served
from mlops.experiments.chosen import TOLERANCE
from mlops.experiments.readers import CannotServeError
from mlops.experiments.served import Rows


def table(rows: int, seed: int) -> tuple[pd.DataFrame, Any]:
    """Minutes and charges with one and two decimals, some missing, beside whole numbers and a boolean."""
    rng = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "day minutes": np.round(rng.uniform(0, 350, rows), 1),
            "charge": np.round(rng.uniform(0, 60, rows), 2),
            "calls": rng.integers(0, 160, rows),
            "plan": rng.random(rows) < 0.3,
        }
    )
    score = made["day minutes"] / 100 + np.sin(made["charge"]) + made["plan"] + rng.normal(size=rows) / 2
    return made, (score > 2.2).astype(int)


def distance(model: Any, x: pd.DataFrame, learnt: pd.DataFrame, folder: Path) -> float:
    """How far the saved model is from the live one, once it was found that they agree."""
    names = served.names_of(model, None, x)
    live = model.predict_proba(x)[:, 1]
    files, read = served.make(model, names, Rows(learnt), live, None)
    folder.mkdir()
    bundle.save(folder, files, served.facts(model, read, "churn", 0.5, {}))
    return served.check(folder, names, x, live)


def boosted() -> Any:
    lightgbm = pytest.importorskip("lightgbm")
    return lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1)


KINDS: dict[str, Any] = {
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=20),
    "lightgbm": boosted,
    "scaled boosting": lambda: make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=20)),
    "scaled lightgbm": lambda: make_pipeline(StandardScaler(), boosted()),
    "scaled forest": lambda: make_pipeline(MinMaxScaler(), RandomForestClassifier(8, random_state=0)),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", KINDS)
def test_decimals_are_served(name: str, dtype: str, tmp_path: Path) -> None:
    """A split at or midway between decimals; with float32, what is split is the float32 number itself."""
    (learnt, y), (x, _) = table(2000, 1), table(1000, 2)
    if dtype == "float32":
        learnt, x = learnt.astype(np.float32), x.astype(np.float32)
    model = KINDS[name]().fit(learnt, y)
    assert distance(model, x, learnt, tmp_path / "other") < TOLERANCE
    assert distance(model, learnt, learnt, tmp_path / "learnt") < TOLERANCE


def test_which_columns_hold_decimals() -> None:
    x = pd.DataFrame(
        {
            "decimal": [0.1, 31.37, np.nan, 2.0],
            "half": [0.5, 1.25, 3, 4],
            "single": np.array([0.1, 31.37, 2, 3], dtype=np.float32).astype(float),
            "digits": [1 / 3, 2 / 3, 1 / 7, 5 / 7],
            "missing": [np.nan] * 4,
            "plan": [True, False, True, True],
        }
    )
    assert matrix.decimals(x, list(x.columns)).tolist() == [True, False, False, False, False, False]
    assert matrix.shortest(np.array([31.37, -0.1, 1e30])).tolist() == [31.37, -0.1, 1e30]


def test_decimals_with_splits_that_nothing_reaches(tmp_path: Path) -> None:
    """A scaler that cuts values off, and splits between missing and not: thresholds without end."""
    learnt, y = table(2000, 1)
    learnt["charge"] = learnt["charge"].where(y == 0)
    for name, model in (
        ("alone", HistGradientBoostingClassifier(max_iter=5)),
        ("cut", make_pipeline(MinMaxScaler(clip=True), HistGradientBoostingClassifier(max_iter=5))),
    ):
        assert distance(model.fit(learnt, y), learnt, learnt, tmp_path / name) < TOLERANCE


def test_names_that_lightgbm_writes_otherwise(tmp_path: Path) -> None:
    x, y = table(300, 3)
    names = list(x.columns)
    model = boosted().fit(x, y)
    assert served.names_of(model, names, x) == served.names_of(model, None, x) == names
    assert served.names_of(model, names, x.to_numpy(float)) == names
    assert distance(model, x, x, tmp_path / "b") < TOLERANCE
    with pytest.raises(CannotServeError, match="differ from those it was fitted with"):
        served.names_of(model, ["day minutes", "charged", "calls", "plan"], x)
    unnamed = boosted().fit(x.to_numpy(float), y)
    assert served.names_of(unnamed, names, x.to_numpy(float)) == served.names_of(unnamed, None, x) == names
    with pytest.raises(CannotServeError, match="give feature_names"):
        served.names_of(unnamed, None, x.to_numpy(float))


def test_names_of_a_stand_in_for_lightgbm() -> None:
    """The same without LightGBM."""
    x = pd.DataFrame({"day minutes": [1.0], "charge": [2.0]})
    model = SimpleNamespace(feature_names_in_=["day_minutes", "charge"], n_features_in_=2, booster_=None)
    assert served.names_of(model, list(x.columns), x) == list(x.columns)
    assert served.names_of(model, None, x.to_numpy()) == ["day_minutes", "charge"]


def test_a_model_that_knows_its_names_though_rows_are_an_array() -> None:
    x, y = table(300, 3)
    for model in (DecisionTreeClassifier(max_depth=2), make_pipeline(StandardScaler(), LogisticRegression())):
        model.fit(x, y)
        assert served.names_of(model, None, x.to_numpy(float)) == list(x.columns)
        with pytest.raises(CannotServeError, match="differ from those it was fitted with"):
            served.names_of(model, list("abcd"), x.to_numpy(float))
