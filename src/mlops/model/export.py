"""A fitted estimator of any kind as the files of a bundle; see `mlops.bundle`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from mlops.bundle import Calibrator, to_json
from mlops.encode import Encoder
from mlops.model import onnx_file, trees


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
        "model.onnx": _onnx(kind, estimator, encoder.width),
        "encoder.json": to_json(encoder.to_json()),
        "calibrator.json": to_json(asdict(calibrator)),
        "signature.json": to_json(described["signature"]),
        "profile.json": to_json(described["profile"]),
    }
    if kind == "xgboost":
        made["booster.json"] = bytes(estimator.get_booster().save_raw("json"))
    return made


def _onnx(kind: str, estimator: Any, width: int) -> bytes:
    if kind == "xgboost":
        return onnx_file.of_trees(trees.from_xgboost(estimator.get_booster().save_raw("json")), width)
    if kind == "random_forest":
        return onnx_file.of_trees(trees.from_forest(estimator.estimators_), width)
    if kind == "hist_gradient_boosting":
        return onnx_file.of_trees(trees.from_hist(estimator), width)
    return _linear(estimator, width)


def _linear(pipeline: Any, width: int) -> bytes:
    parts = dict(pipeline.named_steps["prepare"].transformer_list)
    imputer, scaler = (step for _, step in parts["values"].steps)
    coefficients = pipeline.named_steps["linear"].coef_[0]
    weight = np.zeros(2 * width)
    weight[:width] = coefficients[:width] / scaler.scale_
    weight[width + parts["missing"].features_] = coefficients[width:]
    fill = np.where(np.isnan(imputer.statistics_), 0.0, imputer.statistics_)
    return onnx_file.of_linear(fill, scaler.mean_, weight, float(pipeline.named_steps["linear"].intercept_[0]))
