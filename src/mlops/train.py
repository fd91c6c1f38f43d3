"""Stage train: features → model.

Writes models/model.joblib for notebooks and models/serving/ for service, batch and evaluate.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
from dvclive import Live  # type: ignore[attr-defined]
from numpy.typing import NDArray
from scmrepo.exceptions import SCMError
from tqdm import tqdm

from mlops import bundle, columns, stage
from mlops import schema as schemas
from mlops.encode import Encoder
from mlops.errors import DataError, TrainingError
from mlops.features import Coded, Floats, Plan, Values
from mlops.model import calibrate, describe, encoding, export, fit, kinds
from mlops.model.pipeline import CalibratedModel, assemble, raw_scores
from mlops.params import View

FEATURES = Path("data/features")
LIVE = Path("metrics/live")
TIMINGS = Path("metrics/timings.json")
MIN_POSITIVES = 10
CURVE_POINTS = 200


@dataclass(frozen=True)
class Rows:
    """One side of the split: feature columns, outcomes (0 or 1) and whose rows they are."""

    features: Mapping[str, Values]
    y: NDArray[np.int8]
    customers: Coded


@dataclass(frozen=True)
class Encoded:
    """Both sides as matrices, and what is told of the training rows, so that these need not be kept while it trains."""

    encoder: Encoder
    train: fit.Side
    validation: fit.Side
    signature: dict[str, Any]
    profile: dict[str, Any]


@dataclass(frozen=True)
class Fitted:
    """What training made."""

    model: CalibratedModel
    hyperparameters: dict[str, Any]
    validation_p: Floats
    seconds: float


def read(path: Path, plan: Plan) -> Rows:
    """One side's features as preprocess wrote them."""
    table = columns.read_parquet(path, [*(f.name for f in plan.features), "__y", "__customer"])
    y = np.asarray(table.column("__y").to_numpy(), dtype=np.int8)
    return Rows(columns.Stored(table, plan), y, columns.coded(table.column("__customer")))


def check(train: Rows, validation: Rows) -> None:
    """Refuse rows that no model can be fitted on.

    Raises:
        TrainingError: too few rows of a class on a side, or no feature that varies.
    """
    for name, rows in (("training", train), ("validation", validation)):
        positives = int(rows.y.sum())
        for what, count in (("churned", positives), ("stayed", len(rows.y) - positives)):
            if count < MIN_POSITIVES:
                raise TrainingError(
                    f"data/features: {count} of {len(rows.y)} {name} rows {what}, at least {MIN_POSITIVES} are needed;"
                    " bring more rows, or check the target with `mlops data show`"
                )
    if not any(_varies(v) for v in train.features.values()):
        raise TrainingError(
            "data/features: no feature takes two different values on training rows; see what is used with"
            " `mlops data show` and edit data/schema.yaml"
        )


def _varies(values: Values) -> bool:
    seen = values.codes if isinstance(values, Coded) else values
    return len(seen) > 0 and not bool(np.all((seen == seen[0]) | ((seen != seen) & (seen[0] != seen[0]))))


def encode(train: Rows, validation: Rows, plan: Plan, params: View, id_column: str | None = None) -> Encoded:
    """Fit the encoder on training rows and encode both sides. id_column: the signature names it."""
    rules = encoding.LevelRules(params.get("features.one_hot_levels"), params.get("features.min_level_rows"))
    folds = encoding.customer_folds(train.customers, params.get("seed"))
    encoder, x = encoding.fit(plan, train.features, train.y, folds, rules)
    return Encoded(
        encoder,
        fit.Side(x, train.y),
        fit.Side(encoder.matrix(validation.features), validation.y),
        describe.signature(encoder, train.features, id_column),
        describe.profile(train.features),
    )


def fit_model(encoded: Encoded, params: View, watch: fit.Watch, means: fit.Means = fit.Means()) -> Fitted:  # noqa: B008
    """Estimator on training rows; calibrator and threshold on validation rows."""
    kind, settings = params.get("model"), params.get("train")
    values, ignored = kinds.resolve(kind, params.hyperparameters)
    if ignored:
        print(f"params.yaml: model {kind} has no use for {', '.join(ignored)}; ignored", file=sys.stderr)
    wanted = fit.Settings(values, params.get("seed"), settings.early_stopping_rounds, settings.class_weight, means)
    started = time.perf_counter()
    estimator = fit.fit(kind, encoded.train, encoded.validation, wanted, watch)
    seconds = time.perf_counter() - started
    y = encoded.validation.y
    raw = raw_scores(estimator, encoded.validation.x)
    calibrator = calibrate.fit(settings.calibration, kinds.score_of(kind), raw, y)
    p = calibrator.many(raw)
    return Fitted(CalibratedModel(estimator, calibrator, _threshold(params, p, y)), values, p, seconds)


def _threshold(params: View, p: Floats, y: NDArray[np.int8]) -> float:
    decision = params.get("decision")
    if decision.threshold != "auto":
        return float(decision.threshold)
    return calibrate.best_threshold(p, y, decision.value_saved, decision.cost_contact)


def plan() -> Plan:
    """How preprocess made the features, as it wrote it beside them."""
    path = FEATURES / "plan.json"
    if not path.exists():
        raise DataError(f"{path} is missing; `dvc repro` writes it, `dvc checkout` brings it back")
    return Plan.from_json(json.loads(path.read_bytes()))


def read_and_encode(params: View) -> Encoded:
    """The features that preprocess wrote, encoded. Raises as `check` does."""
    made = plan()
    train, validation = (read(FEATURES / f"{side}.parquet", made) for side in ("train", "validation"))
    check(train, validation)
    id_column = schemas.load().role("id")
    return encode(train, validation, made, params, id_column.name if id_column else None)


def work(params: View) -> None:
    """Read data/features, fit, and put models/ in place of the previous one."""
    kind = params.get("model")
    encoded = read_and_encode(params)
    pa.default_memory_pool().release_unused()  # the features were read with it; now the trees need the memory
    fitted = _fit_in_public(encoded, params)
    model, encoder = fitted.model, encoded.encoder
    profile = {**encoded.profile, "probability": describe.bins(fitted.validation_p)}
    described = {"signature": encoded.signature, "profile": profile}
    files = export.files(kind, model.estimator, encoder, model.calibrator, described)
    with stage.replaced("models/serving", "models/model.joblib", "metrics/train") as (serving, pipeline, curves):
        bundle.save(serving, files, _facts(fitted, encoded.train.y, params))
        joblib.dump(assemble(encoder, model), pipeline)
        shutil.copytree(LIVE, curves, dirs_exist_ok=True)
    TIMINGS.write_bytes(bundle.to_json({"train_time_seconds": round(fitted.seconds, 3)}))
    print(f"{kind}: {len(encoded.train.y):,} training rows, {encoder.width} columns, threshold {model.threshold:g}")


def _live() -> Live:
    try:
        return Live(str(LIVE), dvcyaml=None, save_dvc_exp=False, monitor_system=False)
    except SCMError as error:
        raise TrainingError(f"Git: {error}; commit once (`git add -A && git commit`), then `dvc repro`") from error


def _fit_in_public(encoded: Encoded, params: View) -> Fitted:
    """Fit with the curve written to metrics/live while it trains (DVCLive) and a progress bar in a terminal."""
    steps = kinds.resolve(params.get("model"), params.hyperparameters)[0].get("n_estimators")
    stride = max((steps or 0) // CURVE_POINTS, 1)
    with (
        _live() as live,
        tqdm(total=steps, desc="train", unit="tree", disable=None, leave=False) as bar,
    ):
        written = -stride

        def watch(step: int, values: Mapping[str, float]) -> None:
            nonlocal written
            bar.set_postfix({n.split("/")[0]: f"{v:.4f}" for n, v in values.items()}, refresh=False)
            bar.update(step - bar.n)
            if step - written < stride:
                # Each write of DVCLive reads its files again: a thousand of them would cost more than the training.
                return
            written = live.step = step
            for name, value in values.items():
                live.log_metric(name, round(value, 6))
            live.sync()

        return fit_model(encoded, params, watch)


def _facts(fitted: Fitted, y: NDArray[np.int8], params: View) -> dict[str, Any]:
    """What the manifest says besides digests. No time, commit, path or host: the same inputs give the same bytes."""
    with (FEATURES / "train.parquet").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "name": "churn",
        "model": params.get("model"),
        "score": fitted.model.calibrator.score,
        "threshold": fitted.model.threshold,
        "decision": params.get("decision").model_dump(),
        "seed": params.get("seed"),
        "hyperparameters": fitted.hyperparameters,
        "trained_on": {
            "rows": len(y),
            "churned": int(y.sum()),
            "sha256": digest,
        },
    }


def main(argv: list[str] | None = None) -> int:
    """Entry point of the stage; returns the exit code."""
    return stage.run("train", work)


if __name__ == "__main__":
    sys.exit(main())
