"""A fitted estimator of any kind as the files of a bundle; see `mlops.bundle`."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from mlops import contributions
from mlops.bundle import Calibrator, to_json
from mlops.encode import Encoder, Number
from mlops.model import onnx_file, trees
from mlops.model.trees import Trees


def files(
    kind: str, estimator: Any, encoder: Encoder, calibrator: Calibrator, described: dict[str, Any]
) -> dict[str, bytes]:
    """File name → content.

    Args:
        kind: a key of `mlops.model.kinds.DEFAULTS`.
        estimator: what `mlops.model.fit` returned.
        encoder, calibrator: what belongs to it.
        described: {"signature": …, "profile": …} of `mlops.model.describe`.
    """
    made = {
        "encoder.json": to_json(encoder.to_json()),
        "calibrator.json": to_json(asdict(calibrator)),
        "signature.json": to_json(described["signature"]),
        "profile.json": to_json(described["profile"]),
    }
    if kind == "logistic_regression":
        return made | _linear(estimator, encoder, described["profile"])
    ensemble = READERS[kind](estimator)
    made["model.onnx"] = onnx_file.of_trees(ensemble, encoder.width)
    made |= explainer(ensemble, encoder.width)
    if kind == "xgboost":
        made["booster.json"] = bytes(estimator.get_booster().save_raw("json"))
    return made


READERS: dict[str, Callable[[Any], Trees]] = {
    "xgboost": lambda estimator: trees.from_xgboost(estimator.get_booster().save_raw("json")),
    "random_forest": lambda estimator: trees.from_forest(estimator.estimators_),
    "hist_gradient_boosting": trees.from_hist,
}
"""Kind → how its trees are read out of the estimator."""


def explainer(made: Trees, width: int) -> dict[str, bytes]:
    """What `mlops.contributions` reads of trees over `width` matrix columns: the same trees, the same bytes."""
    nodes = np.zeros(len(made.feature), dtype=contributions.NODE)
    for name in ("feature", "missing_left", "value", "cover"):
        nodes[name] = getattr(made, name)
    below = np.nextafter(made.threshold, np.float32(-np.inf))  # x < t is x ≤ the float32 before t
    nodes["threshold"] = made.threshold if made.inclusive else below
    roots = np.flatnonzero(made.node == 0)
    for name in ("left", "right"):
        nodes[name] = np.where(made.feature < 0, -1, getattr(made, name) + roots[made.tree])
    file = io.BytesIO()
    np.save(file, nodes, allow_pickle=False)
    document = {"kind": "trees", "base": made.base, "width": width}
    return {contributions.DOCUMENT: to_json(document), contributions.TREES: file.getvalue()}


def _linear(pipeline: Any, encoder: Encoder, profile: Mapping[str, Any]) -> dict[str, bytes]:
    parts = dict(pipeline.named_steps["prepare"].transformer_list)
    imputer, scaler = (step for _, step in parts["values"].steps)
    coefficients = pipeline.named_steps["linear"].coef_[0]
    width = encoder.width
    weight = np.zeros(2 * width)
    weight[:width] = coefficients[:width] / scaler.scale_
    weight[width + parts["missing"].features_] = coefficients[width:]
    fill = np.where(np.isnan(imputer.statistics_), 0.0, imputer.statistics_)
    intercept = float(pipeline.named_steps["linear"].intercept_[0])
    document = {
        "kind": "linear",
        "fill": fill.tolist(),
        "center": scaler.mean_.tolist(),
        "missing": _missing_shares(encoder, profile),
        "weight": weight.tolist(),
        "intercept": intercept,
    }
    return {
        "model.onnx": onnx_file.of_linear(fill, scaler.mean_, weight, intercept),
        contributions.DOCUMENT: to_json(document),
    }


def _missing_shares(encoder: Encoder, profile: Mapping[str, Any]) -> list[float]:
    """Per matrix column, the share of training rows that miss it: of levels none, they have a column for that."""
    shares = []
    for block in encoder.blocks:
        gaps = profile["features"][block.feature]["missing"] if isinstance(block, Number) else 0.0
        shares += [gaps] * len(block.names)
    return shares
