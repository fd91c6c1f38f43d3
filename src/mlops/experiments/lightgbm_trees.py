"""LightGBM's trees, read from what its Booster tells of itself. LightGBM is not needed to serve them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlops.experiments.readers import CannotServeError, Ensemble
from mlops.model.trees import Trees

FIELDS = ("feature", "exact", "left", "right", "missing_left", "value", "cover")


def read(estimator: Any) -> Ensemble:
    """The trees of a fitted LGBMClassifier of two classes.

    A missing value goes where the node says; in a column that training never missed it counts as 0, as LightGBM has it.

    Raises:
        CannotServeError: something that it uses cannot be told exactly.
    """
    told = estimator.booster_.dump_model(num_iteration=estimator.best_iteration_ or -1)
    objective, *options = str(told["objective"]).split()
    if objective != "binary" or told["average_output"] or told["num_tree_per_iteration"] != 1:
        kind = estimator.boosting_type
        raise CannotServeError(f"it is {kind} with objective {objective}; gbdt with binary can be served")
    slope = next((float(option.partition(":")[2]) for option in options if option.startswith("sigmoid:")), 1.0)
    parts = [dict(zip(FIELDS, zip(*_nodes(tree), strict=True), strict=True)) for tree in told["tree_info"]]
    sizes = [len(part["feature"]) for part in parts]

    def joined(name: str, dtype: Any) -> Any:
        return np.concatenate([np.asarray(part[name], dtype=dtype) for part in parts])

    exact = joined("exact", np.float64)
    trees = Trees(
        inclusive=True,
        base=0.0,
        tree=np.repeat(np.arange(len(parts)), sizes),
        node=np.concatenate([np.arange(size) for size in sizes]),
        feature=joined("feature", np.int64),
        threshold=_below(exact),
        left=joined("left", np.int64),
        right=joined("right", np.int64),
        missing_left=joined("missing_left", np.bool_),
        value=joined("value", np.float64),
        cover=joined("cover", np.float32),
    )
    return Ensemble("lightgbm", "log_odds", trees, exact, slope=slope)


def _nodes(info: dict[str, Any]) -> list[tuple[Any, ...]]:
    """A tree's nodes, parents before their children, as FIELDS."""
    found: list[tuple[Any, ...]] = []
    for node, left, right in _numbered(info["tree_structure"]):
        if "leaf_value" in node:
            if "leaf_coeff" in node:
                raise CannotServeError("its leaves hold linear models; linear_tree=False can be served")
            found.append((-1, 0.0, -1, -1, False, node["leaf_value"], node.get("leaf_count", 1)))
            continue
        if node["decision_type"] != "<=":
            raise CannotServeError("it splits on categories; give it numbers, such as pandas.get_dummies makes")
        if node["missing_type"] == "Zero":
            raise CannotServeError("it takes zeros for missing values; zero_as_missing=False can be served")
        threshold = float(node["threshold"])
        goes = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0
        found.append((node["split_feature"], threshold, left, right, goes, 0.0, node["internal_count"]))
    return found


def _numbered(root: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int, int]]:
    """Nodes in the order of their numbers, each with its children's numbers."""
    waiting, made = [root], 1
    for node in waiting:
        if "leaf_value" in node:
            yield node, -1, -1
        else:
            waiting += [node["left_child"], node["right_child"]]
            made += 2
            yield node, made - 2, made - 1


def _below(threshold: Any) -> Any:
    """The largest float32 not above each float64 threshold: for a float32 x, x ≤ it exactly when x ≤ threshold."""
    limit = np.finfo(np.float32).max
    rounded = np.clip(threshold, -limit, limit).astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)
