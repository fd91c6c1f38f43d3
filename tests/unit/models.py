"""Small fitted models of all four kinds, and the simulated customers that they are fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mlops import bundle, columns, features
from mlops.encode import Encoder
from mlops.features import Plan, Scalar
from mlops.model import export, fit, kinds
from mlops.model.pipeline import CalibratedModel
from mlops.params import View
from mlops.schema import Column, Derived, Schema
from mlops.train import Rows, encode, fit_model

ROOT = Path(__file__).resolve().parents[2]
KINDS = list(kinds.DEFAULTS)
SCHEMA = Schema(
    (
        Column("minutes", "number"),
        Column("sessions", "number"),
        Column("auto", "boolean"),
        Column("plan [a,b]", "category"),
        Column("region", "category"),
        Column("since", "date"),
        Column("comment", "text"),
        Column("churned", "target", positive="1", negative="0"),
    ),
    (Derived("per_session", "ratio", ("minutes", "sessions")),),
)
TOLERANCE = {"random_forest": 5e-6}


def simulated(rows: int, seed: int) -> tuple[pa.Table, np.ndarray[Any, np.dtype[np.int8]]]:
    rng = np.random.default_rng(seed)
    minutes = np.where(rng.random(rows) < 0.2, np.nan, rng.gamma(2.0, 40.0, rows).round(2))
    sessions = rng.integers(0, 9, rows).astype(float)
    plan = rng.choice(np.array(["<5", "a,b", "[pro]", "new\u00e9"], dtype=object), rows)
    plan[rng.random(rows) < 0.1] = None
    region = np.array([f"r{i}" for i in rng.zipf(1.6, rows) % 70], dtype=object)
    auto = rng.random(rows) < 0.5
    comment = rng.choice(np.array([None, "love it", "hate the crashes", "bill came"], dtype=object), rows)
    days = rng.integers(15_000, 19_000, rows)
    churn_score = -1.2 + 0.9 * (plan == "<5") - 0.02 * np.nan_to_num(minutes, nan=10) + 0.8 * np.isnan(minutes)
    churn_score += np.where(comment == "hate the crashes", 1.2, 0) + (region == "r1") - 0.2 * auto
    y = (rng.random(rows) < 1 / (1 + np.exp(-churn_score))).astype(np.int8)
    table = pa.table(
        {
            "minutes": pa.array(minutes, from_pandas=True),
            "sessions": sessions,
            "auto": pa.array(auto, pa.bool_()),
            "plan [a,b]": pa.array(plan, pa.string()),
            "region": pa.array(region, pa.string()),
            "since": pa.array((days * 86400).astype("datetime64[s]")),
            "comment": pa.array(comment, pa.string()),
        }
    )
    return table, y


@dataclass(frozen=True)
class Fitted:
    encoder: Encoder
    model: CalibratedModel
    validation_p: np.ndarray[Any, np.dtype[np.float64]]
    described: dict[str, Any]


def fitted_on(
    train: Rows, validation: Rows, plan: Plan, view: View, watch: fit.Watch = lambda step, values: None
) -> Fitted:
    encoded = encode(train, validation, plan, view)
    made = fit_model(encoded, view, watch)
    described = {"signature": encoded.signature, "profile": encoded.profile}
    return Fitted(encoded.encoder, made.model, made.validation_p, described)


def rows_of(plan: Plan, table: pa.Table, y: Any) -> Rows:
    ids = pa.chunked_array([pa.array([f"c{i // 2}" for i in range(len(y))])])
    return Rows(plan.columns(columns.raw(table, plan.inputs)), y, columns.coded(ids))


def to_scalars(plan: Plan, table: pa.Table) -> list[dict[str, Scalar]]:
    raw = columns.raw(table, plan.inputs)
    listed = {}
    for name, values in raw.items():
        if isinstance(values, features.Coded):
            listed[name] = [None if c < 0 else values.levels[c] for c in values.codes]
        else:
            listed[name] = values.tolist()
    return [dict(zip(listed, row, strict=True)) for row in zip(*listed.values(), strict=True)]


def saved(kind: str, made: Fitted, plan: Plan, folder: Path) -> bundle.Bundle:
    files = export.files(kind, made.model.estimator, made.encoder, made.model.calibrator, made.described)
    bundle.save(folder, files, {"threshold": made.model.threshold, "model": kind})
    return bundle.load(folder)


def features_auc(y: Any, p: Any) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y, p))
