"""The sweep section of policy.yaml: what it may say, and the line that names what it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mlops import policy, strict
from mlops.errors import ParamsError, PolicyError
from mlops.policy import Searched
from mlops.sweep import space

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = strict.read((ROOT / "tests" / "params.yaml").read_text(), Path("params.yaml"), ParamsError)


def read(params: dict[str, Any], **document: Any) -> space.Space:
    text = yaml.safe_dump({"sweep": {"params": params}}, sort_keys=False)
    return space.checked(policy.parse(text).sweep.params, DOCUMENT | document)


def asked(searched: space.Space, **fixed: Any) -> space.Settings:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(fixed)
    return searched.suggest(study.ask(), lambda place: None)


def test_the_default_space_is_one_that_every_kind_of_model_can_take() -> None:
    default = policy.load(ROOT / "policy.yaml").sweep
    for kind in ("xgboost", "random_forest", "hist_gradient_boosting"):
        assert asked(space.checked(default.params, DOCUMENT | {"model": kind})), kind
    with pytest.raises(PolicyError, match="nothing that model logistic_regression has a use for"):
        space.checked(default.params, DOCUMENT | {"model": "logistic_regression"})


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "names nothing to try"),
        ({"max_dept": {"low": 1, "high": 3}}, "params.max_dept: params.yaml has no such key; did you mean max_depth?"),
        ({"max_depth": {"low": 0, "high": 3}}, "params.max_depth: max_depth = 0: input should be greater"),
        ({"max_depth": {"low": 1.5, "high": 3}}, "params.max_depth: max_depth = 1.5: input should be a valid integer"),
        ({"max_depth": {"low": 5, "high": 3}}, "params.max_depth = {low, high}: low 5 is not below high 3"),
        ({"max_depth": {"low": 5}}, "low and high are needed"),
        ({"max_depth": {"choices": []}}, "choices are empty"),
        ({"max_depth": {"choices": [3, 3]}}, "a choice is there twice"),
        ({"max_depth": {"choices": [3], "low": 1}}, "choices take no low"),
        ({"learning_rate": {"low": 0.0, "high": 0.3, "log": True}}, "log needs a low above 0"),
        ({"learning_rate": {"low": 0.1, "high": 0.3, "log": True, "step": 0.1}}, "log and step do not go together"),
        ({"max_depth": {"low": 1, "hihg": 3}}, "hihg is not a known key; did you mean high?"),
        ({"train.class_weight": {"choices": ["balancd"]}}, "params.train.class_weight: train.class_weight = balancd"),
        ({"data.simulator.seed": {"low": 1, "high": 3}}, "changes rows or features"),
        ({"decision.value_saved": {"low": 1.0, "high": 3.0}}, "cannot be searched"),
        ({"max_depth": {"low": 2, "high": 4, "when": {"modle": "xgboost"}}}, "names modle, .* did you mean model?"),
        (
            {"max_depth": {"low": 2, "high": 4, "when": {"subsample": 1.0}}, "subsample": {"choices": [0.8, 1.0]}},
            "when names subsample, which has to stand above it",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_with_its_key(params: dict[str, Any], said: str) -> None:
    with pytest.raises(PolicyError, match=said.replace("[", r"\[").replace("?", r"\?")) as error:
        read(params)
    assert str(error.value).startswith("policy.yaml: ")


def test_a_param_is_asked_for_only_where_it_matters() -> None:
    made = read(
        {
            "max_depth": {"low": 2, "high": 16},
            "subsample": {"low": 0.5, "high": 1.0},
            "features.one_hot_levels": {"low": 5, "high": 20, "when": {"model": ["random_forest"]}},
            "C": {"low": 0.01, "high": 10.0, "log": True},
            "model": {"choices": ["xgboost", "random_forest", "logistic_regression"]},
        }
    )
    assert asked(made, model="xgboost").keys() == {"model", "max_depth", "subsample"}
    assert asked(made, model="random_forest").keys() == {"model", "max_depth", "features.one_hot_levels"}
    assert asked(made, model="logistic_regression").keys() == {"model", "C"}


def test_what_a_kind_has_no_use_for_is_null_in_its_trial() -> None:
    made = read({"model": {"choices": ["xgboost", "logistic_regression"]}, "C": {"low": 0.1, "high": 1.0}}, max_depth=5)
    assert made.whole({"model": "logistic_regression", "C": 0.5}) == {
        "model": "logistic_regression", "C": 0.5, "max_depth": None,
    }  # fmt: skip
    assert made.whole({"model": "xgboost"}) == {"model": "xgboost"}


def test_todays_values_are_those_that_null_stands_for() -> None:
    made = read({"max_depth": {"low": 4, "high": 8}, "learning_rate": {"low": 0.01, "high": 0.5, "log": True}})
    assert made.today() == {"max_depth": 4, "learning_rate": 0.06}


@st.composite
def ranges(draw: st.DrawFn) -> dict[str, Any]:
    numbers = st.integers(1, 40) if draw(st.booleans()) else st.integers(10, 40_000).map(lambda n: n / 1000)
    low, high = sorted((draw(numbers), draw(numbers)))
    made: dict[str, Any] = {"low": low, "high": high}
    kind = draw(st.sampled_from(["plain", "log", "step"]))
    if kind == "log":
        made["log"] = True
    if kind == "step":
        made["step"] = draw(st.integers(1, 5)) if isinstance(low, int) else draw(st.integers(50, 5000)) / 1000
    return made


@given(ranges().filter(lambda r: r["low"] < r["high"]), st.floats(0, 100))
def test_the_nearest_value_is_one_that_optuna_takes(made: dict[str, Any], value: float) -> None:
    searched = Searched.model_validate(made)
    nearest = space.nearest_value(searched, value)
    found = asked(space.Space({"reg_lambda": searched}, DOCUMENT), reg_lambda=nearest)  # warns where it does not
    assert found["reg_lambda"] == pytest.approx(nearest, rel=1e-5)
    assert made["low"] <= found["reg_lambda"] <= made["high"] + 1e-9
    if searched.is_whole:
        assert isinstance(found["reg_lambda"], int)
