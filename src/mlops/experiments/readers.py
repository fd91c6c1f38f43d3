"""Fitted estimators of notebooks as trees or weights, where that can be done exactly. No estimator is pickled.

A row's raw score out of what is read here is what the estimator itself computes, up to the last bits of sums.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.errors import ExperimentError
from mlops.model import trees
from mlops.model.trees import Trees


class CannotServeError(ExperimentError):
    """Why a model cannot be served without a pickle."""


@dataclass(frozen=True)
class Ensemble:
    """Trees. exact: thresholds in the type that the estimator compares in; width: columns that they read.

    slope: of the log-odds, for raw scores in another unit. booster: XGBoost's own file.
    """

    kind: str
    score: str
    trees: Trees
    exact: NDArray[np.floating[Any]]
    slope: float = 1.0
    booster: bytes | None = None

    @property
    def double(self) -> bool:
        """Whether the estimator compares in float64; the others read their columns as float32."""
        return self.kind in ("hist_gradient_boosting", "lightgbm")


@dataclass(frozen=True)
class Weights:
    """A linear model: log-odds = Σ weight · x + intercept."""

    weight: NDArray[np.float64]
    intercept: float
    kind: str = "logistic_regression"
    score: str = "log_odds"


Read = Ensemble | Weights


def read(estimator: Any) -> Read:
    """An estimator's parts.

    Raises:
        CannotServeError: its kind, or something that it uses, cannot be told exactly.
    """
    names = [f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(estimator).__mro__]
    reader = next((READERS[name] for name in names if name in READERS), None)
    if reader is None:
        kinds = ", ".join(name.partition(".")[2] for name in READERS)
        raise CannotServeError(f"{type(estimator).__name__} is none of the kinds that can: {kinds}")
    return reader(estimator)


def _xgboost(estimator: Any) -> Ensemble:
    if estimator.missing is not None and estimator.missing == estimator.missing:
        raise CannotServeError(f"missing={estimator.missing!r} is a number to it; leave missing values NaN")
    booster = estimator.get_booster()
    if (best := booster.attr("best_iteration")) is not None:
        booster = booster[: int(best) + 1]  # what its predict_proba uses
    content = bytes(booster.save_raw("json"))
    learner = json.loads(content)["learner"]
    objective, kind = learner["objective"]["name"], learner["gradient_booster"]["name"]
    if objective != "binary:logistic" or kind != "gbtree":
        raise CannotServeError(f"it is {kind} with objective {objective}; gbtree with binary:logistic can be served")
    if any(tree["categories_nodes"] for tree in learner["gradient_booster"]["model"]["trees"]):
        raise CannotServeError("it splits on categories; give it numbers, such as pandas.get_dummies makes")
    if not learner["gradient_booster"]["model"]["trees"]:
        raise CannotServeError("it has no trees; fit it with n_estimators of 1 or more")
    found = trees.from_xgboost(content)
    return Ensemble("xgboost", "log_odds", found, found.threshold, booster=content)


def _forest(estimator: Any) -> Ensemble:
    members = getattr(estimator, "estimators_", None) or [estimator]
    kinds = {"RandomForestClassifier": "random_forest", "ExtraTreesClassifier": "extra_trees"}
    kind = next((kinds[base.__name__] for base in type(estimator).__mro__ if base.__name__ in kinds), "decision_tree")
    exact = np.concatenate([member.tree_.threshold for member in members])
    return Ensemble(kind, "probability", trees.from_forest(members), exact)


def _hist(estimator: Any) -> Ensemble:
    if getattr(estimator, "is_categorical_", None) is not None and np.any(estimator.is_categorical_):
        raise CannotServeError("it splits on categories; give it numbers, such as pandas.get_dummies makes")
    exact = np.concatenate([step[0].nodes["num_threshold"] for step in estimator._predictors])
    return Ensemble("hist_gradient_boosting", "log_odds", trees.from_hist(estimator), exact)


def _logistic(estimator: Any) -> Weights:
    return Weights(np.asarray(estimator.coef_[0], dtype=np.float64), float(np.ravel(estimator.intercept_)[0]))


def _lightgbm(estimator: Any) -> Ensemble:
    from mlops.experiments import lightgbm_trees

    return lightgbm_trees.read(estimator)


READERS: dict[str, Callable[[Any], Read]] = {
    "xgboost.XGBClassifier": _xgboost,
    "lightgbm.LGBMClassifier": _lightgbm,
    "sklearn.RandomForestClassifier": _forest,
    "sklearn.ExtraTreesClassifier": _forest,
    "sklearn.DecisionTreeClassifier": _forest,
    "sklearn.HistGradientBoostingClassifier": _hist,
    "sklearn.LogisticRegression": _logistic,
}
"""Package and class → what reads it."""
