"""Trees of every library as the same arrays. What is written to ONNX, and later explained, is read from here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Trees:
    """An ensemble, all nodes of all trees one after another.

    A node goes left when its value is below its threshold (`inclusive`: or equal to it), and where `missing_left` says
    so when the value is missing. Leaves have feature −1. Raw score = base + sum of the leaves' values, in that order,
    added up in the type of `value`: float64 where float32 would lose what the library keeps.
    Arrays have one entry per node: tree (its number), node (number inside its tree), feature, threshold, left, right
    (node numbers inside the tree), missing_left, value (leaves), cover (training weight that reached it).
    """

    inclusive: bool
    base: float
    tree: Ints
    node: Ints
    feature: Ints
    threshold: Floats32
    left: Ints
    right: Ints
    missing_left: NDArray[np.bool_]
    value: Floats32 | NDArray[np.float64]
    cover: Floats32


def _collect(parts: Iterable[dict[str, Any]], *, inclusive: bool, base: float, sums: type = np.float32) -> Trees:
    """Join trees given one by one, numbering trees and nodes. sums: the type in which their leaves are added up."""
    numbered = []
    for number, part in enumerate(parts):
        size = len(part["feature"])
        numbered.append({"tree": np.full(size, number), "node": np.arange(size), **part})

    def joined(name: str, dtype: Any) -> NDArray[Any]:
        return np.concatenate([np.asarray(p[name]) for p in numbered]).astype(dtype)

    return Trees(
        inclusive=inclusive,
        base=base,
        tree=joined("tree", np.int64),
        node=joined("node", np.int64),
        feature=joined("feature", np.int64),
        threshold=joined("threshold", np.float32),
        left=joined("left", np.int64),
        right=joined("right", np.int64),
        missing_left=joined("missing_left", np.bool_),
        value=joined("value", sums),
        cover=joined("cover", np.float32),
    )


def from_xgboost(model: bytes) -> Trees:
    """From XGBoost's JSON (`Booster.save_raw("json")`), objective binary:logistic; raw score in log-odds."""
    learner = json.loads(model)["learner"]
    base = _base_margin(float(learner["learner_model_param"]["base_score"].strip("[]")))

    def part(tree: dict[str, Any]) -> dict[str, Any]:
        left = np.array(tree["left_children"])
        leaf = left < 0
        conditions = np.array(tree["split_conditions"], dtype=np.float32)
        return {
            "feature": np.where(leaf, -1, tree["split_indices"]),
            "threshold": np.where(leaf, 0, conditions),
            "left": left,
            "right": tree["right_children"],
            "missing_left": tree["default_left"],
            "value": np.where(leaf, conditions, 0),
            "cover": tree["sum_hessian"],
        }

    trees = learner["gradient_booster"]["model"]["trees"]
    return _collect((part(t) for t in trees), inclusive=False, base=base)


def _base_margin(probability: float) -> float:
    """The log-odds that XGBoost starts every row's sum from.

    It takes the C library's float32 logarithm, which is not always NumPy's: so a model without trees is asked.
    """
    row = xgboost.DMatrix(np.zeros((1, 1), dtype=np.float32), label=[0])
    start = xgboost.train({"objective": "binary:logistic", "base_score": probability}, row, num_boost_round=0)
    return float(start.predict(row, output_margin=True)[0])


def from_forest(estimators: Sequence[Any]) -> Trees:
    """From the decision trees of a scikit-learn random forest; raw score is the mean probability of class 1."""

    def part(tree: Any) -> dict[str, Any]:
        leaf = tree.children_left < 0
        share = tree.value[:, 0, 1] / tree.value[:, 0, :].sum(axis=1)
        return {
            "feature": np.where(leaf, -1, tree.feature),
            "threshold": np.where(leaf, 0, _below(tree.threshold)),
            "left": tree.children_left,
            "right": tree.children_right,
            "missing_left": tree.missing_go_to_left,
            "value": np.where(leaf, share / len(estimators), 0),
            "cover": tree.weighted_n_node_samples,
        }

    return _collect((part(e.tree_) for e in estimators), inclusive=True, base=0.0)


def from_hist(model: Any) -> Trees:
    """From a fitted HistGradientBoostingClassifier of two classes; raw score in log-odds."""

    def part(nodes: NDArray[Any]) -> dict[str, Any]:
        leaf = nodes["is_leaf"].astype(bool)
        return {
            "feature": np.where(leaf, -1, nodes["feature_idx"].astype(np.int64)),
            "threshold": np.where(leaf, 0, _below(nodes["num_threshold"])),
            "left": np.where(leaf, -1, nodes["left"].astype(np.int64)),
            "right": np.where(leaf, -1, nodes["right"].astype(np.int64)),
            "missing_left": nodes["missing_go_to_left"],
            "value": np.where(leaf, nodes["value"], 0),
            "cover": nodes["count"],
        }

    base = float(np.ravel(model._baseline_prediction)[0])
    parts = (part(step[0].nodes) for step in model._predictors)
    return _collect(parts, inclusive=True, base=base, sums=np.float64)


def _below(threshold: NDArray[np.float64]) -> Floats32:
    """The largest float32 not above each float64 threshold: for a float32 x, x ≤ it exactly when x ≤ threshold."""
    limit = np.finfo(np.float32).max
    rounded = np.clip(threshold, -limit, limit).astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)
