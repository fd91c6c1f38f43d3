"""models/model.joblib: the whole model as one scikit-learn Pipeline, for notebooks.

joblib.load("models/model.joblib").predict_proba(pd.read_parquet("data/raw/table.parquet"))
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.pipeline import Pipeline

from mlops import columns
from mlops.bundle import Calibrator
from mlops.encode import Encoder, Matrix
from mlops.features import Floats


class RawEncoder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Raw columns, as in data/raw/table.parquet, → float32 matrix. `document` is encoder.json."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def fit(self, frame: pd.DataFrame, y: Any = None) -> RawEncoder:
        """Nothing to fit: the document holds what training learnt."""
        return self

    def transform(self, frame: pd.DataFrame) -> Matrix:
        """The matrix of shape (rows, width); columns that the model does not use are ignored."""
        encoder = Encoder.from_json(self.document)
        table = pa.Table.from_pandas(frame[[i.name for i in encoder.plan.inputs]], preserve_index=False)
        return encoder.columns(columns.raw(table, encoder.plan.inputs))

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the matrix columns."""
        return np.array(Encoder.from_json(self.document).names, dtype=object)


class CalibratedModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted estimator, its calibrator, and the threshold at which a customer is worth contacting."""

    def __init__(self, estimator: Any, calibrator: Calibrator, threshold: float) -> None:
        self.estimator = estimator
        self.calibrator = calibrator
        self.threshold = threshold
        self.classes_ = np.array([0, 1])

    def fit(self, x: Matrix, y: Any = None) -> CalibratedModel:
        """Nothing to fit: the parts are fitted."""
        return self

    def raw_scores(self, x: Matrix) -> Floats:
        """Raw scores of encoded rows: log-odds, or probabilities for forests."""
        return raw_scores(self.estimator, x)

    def predict_proba(self, x: Matrix) -> Floats:
        """Calibrated probabilities, shape (rows, 2): of staying, of churning."""
        p = self.calibrator.many(self.raw_scores(x))
        return np.column_stack([1 - p, p])

    def predict(self, x: Matrix) -> NDArray[np.int64]:
        """1 where contacting the customer pays."""
        return (self.predict_proba(x)[:, 1] >= self.threshold).astype(np.int64)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def raw_scores(estimator: Any, x: Matrix) -> Floats:
    """Raw scores of any of the four kinds, float64 of shape (rows,)."""
    if hasattr(estimator, "decision_function"):
        scores = estimator.decision_function(x)
    elif hasattr(estimator, "get_booster"):
        scores = estimator.predict(x, output_margin=True)
    else:
        scores = estimator.predict_proba(x)[:, 1]
    return np.asarray(scores, dtype=np.float64)


def assemble(encoder: Encoder, model: CalibratedModel) -> Pipeline:
    """Encoder and model as one fitted Pipeline over raw columns."""
    return Pipeline([("encode", RawEncoder(encoder.to_json())), ("model", model)])
