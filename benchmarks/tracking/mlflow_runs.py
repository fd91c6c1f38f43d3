"""`python -m benchmarks.tracking.mlflow_runs TRIALS [model]`, in an empty folder: the same trials as MLflow's runs.

The store is an SQLite file. Names of packages are given to log_model, which otherwise starts a process to find them.
"""

from __future__ import annotations

import sys
import time

import mlflow
import mlflow.sklearn
from mlflow.models import infer_signature
from sklearn import metrics as measures

from benchmarks.tracking import trial

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("trials")
FITTED = trial.fitted() if "model" in sys.argv else None


def measured(model: object, x: object, y: object) -> dict[str, float]:
    p = model.predict_proba(x)[:, 1]
    predicted = p > 0.5
    return {
        "roc_auc": measures.roc_auc_score(y, p), "pr_auc": measures.average_precision_score(y, p),
        "log_loss": measures.log_loss(y, p), "brier": measures.brier_score_loss(y, p),
        "f1": measures.f1_score(y, predicted), "precision": measures.precision_score(y, predicted),
        "recall": measures.recall_score(y, predicted), "accuracy": measures.accuracy_score(y, predicted),
    }  # fmt: skip


def one(number: int, spent: trial.Spent) -> None:
    with mlflow.start_run(run_name=f"trial-{number}"):
        mlflow.log_params(trial.params(number))
        values, curve = trial.objective()
        for step, loss in curve:
            mlflow.log_metric("loss", loss, step)
        mlflow.log_metrics(values)
        if FITTED:
            model, x, y = FITTED
            started = time.perf_counter()
            mlflow.log_metrics(measured(model, x, y))
            logged = time.perf_counter()
            signature = infer_signature(x, model.predict_proba(x[:10]))
            mlflow.sklearn.log_model(model, name="model", signature=signature, pip_requirements=["scikit-learn"])
            spent.measuring.append(logged - started)
            spent.keeping.append(time.perf_counter() - logged)
        ended = time.perf_counter()
    spent.ending.append(time.perf_counter() - ended)


if __name__ == "__main__":
    trial.run(one)
