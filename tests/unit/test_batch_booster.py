"""XGBoost in bulk: the same bits as the booster itself, whatever is missing where."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.batch import booster
from mlops.batch.booster import Booster
from mlops.bundle import Bundle
from mlops.encode import Encoder, Matrix, Number
from mlops.errors import BundleError
from mlops.features import Coded, Feature, Input, Plan, Values
from tests.unit.models import Fitted, saved

NAMES = ("a", "b", "c")
NUMBER = st.floats(-3, 3, width=32) | st.just(float("nan")) | st.sampled_from([3.4e38, -3.4e38])


def encoder() -> Encoder:
    inputs = tuple(Input(name, "number") for name in NAMES)
    features = tuple(Feature(name, "value", (name,)) for name in NAMES)
    return Encoder(Plan(inputs, features), tuple(Number(name) for name in NAMES))


def trained(seed: int, missing: float) -> bytes:
    """A booster whose nodes send missing values to both sides."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(600, len(NAMES))).astype(np.float32)
    x[rng.random(x.shape) < missing] = np.nan
    y = np.nan_to_num(x).sum(1) * np.sign(rng.normal(size=600)) + np.isnan(x) @ rng.normal(size=3) > 0
    options = {"max_depth": 4, "objective": "binary:logistic", "nthread": 1}
    return bytes(xgboost.train(options, xgboost.DMatrix(x, y), 20).save_raw("json"))


MODELS = {missing: trained(3, missing) for missing in (0.0, 0.3)}


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=1, max_size=30), missing=st.sampled_from(sorted(MODELS))
)
def test_scores_are_the_booster_s_own_bits(rows: list[tuple[float, ...]], missing: float) -> None:
    matrix: Matrix = np.array(rows, dtype=np.float32)
    library = xgboost.Booster(model_file=bytearray(MODELS[missing])).predict(
        xgboost.DMatrix(matrix), output_margin=True
    )
    columns: dict[str, Values] = {name: matrix[:, i].astype(np.float64) for i, name in enumerate(NAMES)}
    assert Booster(MODELS[missing], encoder()).raw_scores(columns).tolist() == library.tolist()


def test_the_trees_of_the_test_send_missing_values_both_ways() -> None:
    trees = json.loads(MODELS[0.3])["learner"]["gradient_booster"]["model"]["trees"]
    sides = set()
    for tree in trees:
        sides |= {
            (column, left)
            for column, child, left in zip(
                tree["split_indices"], tree["left_children"], tree["default_left"], strict=True
            )
            if child >= 0
        }
    assert {column for column, left in sides if left} & {column for column, left in sides if not left}


def rows_of(plan: Plan, seed: int, rows: int = 500) -> dict[str, Values]:
    """Features at random, NaN and missing levels among them."""
    rng = np.random.default_rng(seed)
    made: dict[str, Values] = {}
    for feature in plan.features:
        if feature.kind == "category":
            levels = ("<5", "a,b", "r1", "never seen")
            made[feature.name] = Coded(rng.integers(-1, len(levels), rows).astype(np.int32), levels)
        else:
            made[feature.name] = np.where(rng.random(rows) < 0.3, np.nan, rng.normal(5, 20, rows))
    return made


def test_a_bundle_s_booster_scores_like_its_estimator(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    made = fitted["xgboost"]
    served = saved("xgboost", made, plan, tmp_path)
    loaded = booster.load(tmp_path, served)
    assert loaded is not None
    features = rows_of(plan, 1)
    library = made.model.raw_scores(made.encoder.matrix(features))
    assert loaded.raw_scores(features).tolist() == library.tolist()
    for kind in ("random_forest", "logistic_regression"):
        (tmp_path / kind).mkdir()
        assert booster.load(tmp_path / kind, saved(kind, fitted[kind], plan, tmp_path / kind)) is None


def resaved(served: Bundle, folder: Path, content: bytes) -> None:
    (folder / booster.NAME).write_bytes(content)
    served.manifest["files"][booster.NAME] = hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"learner": {"gradient_booster": {"model": {"trees": []}}}}'])
def test_what_is_no_booster_is_refused(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path, content: bytes) -> None:
    served = saved("xgboost", fitted["xgboost"], plan, tmp_path)
    resaved(served, tmp_path, content)
    with pytest.raises(BundleError, match=r"booster.json is no booster"):
        booster.load(tmp_path, served)


def test_a_booster_altered_since_the_model_was_loaded_is_not_parsed(
    fitted: dict[str, Fitted], plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = saved("xgboost", fitted["xgboost"], plan, tmp_path)
    path = tmp_path / booster.NAME
    path.write_bytes(path.read_bytes().replace(b'"1"', b'"2"', 1))

    def parsed(*arguments: Any) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(booster, "Booster", parsed)
    with pytest.raises(BundleError, match="is not what its manifest says"):
        booster.load(tmp_path, served)
