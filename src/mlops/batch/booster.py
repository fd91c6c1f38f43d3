"""XGBoost's own model, for scoring in bulk: the same trees as model.onnx, three times as fast.

XGBoost walks its trees about twice as fast through a matrix without missing values. So none is given any: a missing
number becomes −∞ where the trees send missing values left, +∞ where right. Of a column whose nodes disagree there is a
second copy, which the nodes that go right read. Every row reaches the same leaves, added in the same order: the scores
are the same bits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlops.bundle import Bundle
from mlops.encode import Encoder, Number
from mlops.errors import BundleError
from mlops.features import Floats, Values

NAME = "booster.json"


class Booster:
    """A booster and the encoder of the matrix that it reads. Scoring is thread-safe, each call on one thread."""

    def __init__(self, content: bytes, encoder: Encoder) -> None:
        import xgboost

        document = json.loads(content)
        copied, right = _without_missing(document["learner"], encoder)
        blocks = dict(zip(encoder.starts, encoder.blocks, strict=True))
        self._encoder = Encoder(encoder.plan, (*encoder.blocks, *(blocks[column] for column in copied)))
        self._missing = np.full(self._encoder.width, -np.inf, dtype=np.float32)
        self._missing[right] = np.inf
        self._booster = xgboost.Booster(model_file=bytearray(json.dumps(document).encode()))
        # Rows are shared out between threads of ours: XGBoost's own scale worse.
        self._booster.set_param({"nthread": 1})

    def raw_scores(self, features: Mapping[str, Values]) -> Floats:
        """Raw scores of feature columns of at least one row, shape (rows,).

        Raises:
            DataError: a number is too large for float32.
        """
        matrix = self._encoder.matrix(features)
        np.copyto(matrix, self._missing, where=np.isnan(matrix))
        scores = self._booster.inplace_predict(matrix, predict_type="margin", validate_features=False)
        return np.asarray(scores, dtype=np.float64)


def load(folder: Path, bundle: Bundle) -> Booster | None:
    """The booster of a bundle; None when its model is of another kind.

    Raises:
        BundleError: it is not the file that the manifest names, or no booster.
    """
    digest = bundle.manifest["files"].get(NAME)
    if digest is None:
        return None
    path = folder / NAME
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise BundleError(f"{path} is not what its manifest says; `dvc checkout --force {folder}` brings it back")
    try:
        return Booster(content, bundle.encoder)
    except Exception as error:  # XGBoost's error is known only once it is imported, and the document may be anything
        raise BundleError(f"{path} is no booster ({error!r}); make the model again with `dvc repro`") from error


def _without_missing(learner: dict[str, Any], encoder: Encoder) -> tuple[list[int], list[int]]:
    """Rewrite the trees in place so that nodes which send missing values right read a column that has them as +∞.

    Returns the columns of which copies are appended, and those (of the longer matrix) where missing is +∞.
    """
    trees = learner["gradient_booster"]["model"]["trees"]
    sides: dict[bool, set[int]] = {True: set(), False: set()}
    for tree in trees:
        for child, column, left in zip(tree["left_children"], tree["split_indices"], tree["default_left"], strict=True):
            if child >= 0:
                sides[bool(left)].add(column)
    numbers = {s for s, block in zip(encoder.starts, encoder.blocks, strict=True) if isinstance(block, Number)}
    copied = sorted(sides[True] & sides[False] & numbers)  # levels are never missing in the matrix
    place = {column: encoder.width + i for i, column in enumerate(copied)}
    for tree in trees:
        tree["split_indices"] = [
            column if left else place.get(column, column)
            for column, left in zip(tree["split_indices"], tree["default_left"], strict=True)
        ]
    width = encoder.width + len(copied)
    learner["learner_model_param"]["num_feature"] = str(width)
    learner["feature_names"] = learner["feature_types"] = []
    return copied, sorted((sides[False] - sides[True]) | set(range(encoder.width, width)))
