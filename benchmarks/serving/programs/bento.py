"""`bentoml serve bento:Churn`: the scikit-learn pipeline behind BentoML, rows as a DataFrame."""

import os

import bentoml
import joblib
import numpy as np
import pandas as pd

DATES = ("snapshot", "signup_date")


@bentoml.service(workers=1)
class Churn:
    """The model of $BENCH_PIPELINE."""

    def __init__(self) -> None:
        self.pipeline = joblib.load(os.environ["BENCH_PIPELINE"])

    @bentoml.api
    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """Probabilities of staying and churning, a row for each row."""
        for name in DATES:
            rows[name] = pd.to_datetime(rows[name])
        return self.pipeline.predict_proba(rows)
