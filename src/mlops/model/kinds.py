"""The four kinds of models: their own defaults, and which keys of params.yaml each of them reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULTS: dict[str, dict[str, Any]] = {
    "xgboost": {
        "n_estimators": 1000,
        "max_depth": 3,
        "learning_rate": 0.06,
        "min_child_weight": 5.0,
        "subsample": 0.8,
        "colsample": 0.6,
        "reg_lambda": 1.0,
    },
    "random_forest": {"n_estimators": 300, "max_depth": 12, "colsample": "sqrt"},
    "hist_gradient_boosting": {
        "n_estimators": 1000,
        "max_depth": 4,
        "learning_rate": 0.04,
        "colsample": 0.6,
        "reg_lambda": 1.0,
    },
    "logistic_regression": {"C": 1.0},
}
"""Kind → hyperparameter → the value that null in params.yaml stands for."""


def resolve(kind: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The hyperparameters of a kind, and the given ones that it has no use for.

    Args:
        kind: a key of DEFAULTS.
        given: what params.yaml sets, nulls left out.
    """
    known = DEFAULTS[kind]
    values = {name: given.get(name, default) for name, default in known.items()}
    return values, [name for name in given if name not in known]


def score_of(kind: str) -> str:
    """What a kind's raw score is: log_odds, or probability for forests."""
    return "probability" if kind == "random_forest" else "log_odds"
