"""Fitting the four kinds, each to the same bytes for the same input whatever the number of threads.

Every fit reports its curve step by step to a `Watch`, so that it can be looked at while the model trains.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_limits

from mlops.encode import Matrix
from mlops.errors import TrainingError

Watch = Callable[[int, dict[str, float]], None]
"""Called with the number of trees so far and the curve's values, e.g. {"validation/log_loss": 0.33}."""

FOREST_STEP = 20
MIN_LEAF_ROWS = 10
MOST_PLAIN = 4_000_000
"""Numbers of validation rows, 32 MB, that XGBoost gets as they are."""


@dataclass(frozen=True)
class Side:
    """Encoded rows of one side of the split: x (rows, width) float32, y 0 or 1, weight per row or None."""

    x: Matrix
    y: NDArray[np.int8]
    weight: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Means:
    """What a fit may use, which changes nothing of what it makes.

    threads: None for all that there are. bins: what XGBoost made of rows, for later fits on the same ones: the
    address of the matrix, and whether rows are weighted → its own matrix. Whoever gives it keeps the rows, and the way
    in which they are weighted.
    """

    threads: int | None = None
    bins: dict[tuple[int, bool], Any] | None = None


@dataclass(frozen=True)
class Settings:
    """What a fit needs to know: resolved hyperparameters, seed, patience (0: no early stopping), class weights."""

    values: dict[str, Any]
    seed: int
    patience: int
    class_weight: str | None
    means: Means = Means()


def fit(kind: str, train: Side, validation: Side, settings: Settings, watch: Watch) -> Any:
    """Fit one kind of model: a fitted scikit-learn estimator of classes 0 and 1 that predicts on one thread."""
    if settings.class_weight:
        train, validation = (_weighted(side, settings.class_weight) for side in (train, validation))
    # BLAS gives other last bits with another number of threads.
    limits = {"blas": 1} if settings.means.threads is None else {"blas": 1, "openmp": settings.means.threads}
    with threadpool_limits(limits):
        return FITS[kind](train, validation, settings, watch)


def _weighted(side: Side, class_weight: str) -> Side:
    return replace(side, weight=compute_sample_weight(class_weight, side.y))


class _Reporter(xgboost.callback.TrainingCallback):
    """Passes XGBoost's evaluation of each round on to the watch."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Report the newest value of each curve; never asks to stop."""
        names = {"validation_0": "train", "validation_1": "validation"}
        now = {f"{names[side]}/log_loss": float(curve["logloss"][-1]) for side, curve in evals_log.items()}
        self.watch(epoch + 1, now)
        return False


class _Classifier(xgboost.XGBClassifier):
    """Chooses matrices that take less time; what comes of them is the same to the bit.

    XGBoost scores binned rows five times as slowly as plain ones, so validation rows, which every round scores, are
    left plain unless they are many: plain ones take eight times the memory.
    """

    bins: dict[tuple[int, bool], Any] | None = None

    def _create_dmatrix(self, ref: Any, **given: Any) -> Any:
        key = id(given["data"]), given.get("weight") is not None
        if self.bins is not None and key in self.bins:
            return self.bins[key]
        if ref is not None and given["data"].size <= MOST_PLAIN:
            made = xgboost.DMatrix(**given, nthread=self.n_jobs)
        else:
            made = super()._create_dmatrix(ref, **given)
        if self.bins is not None:
            self.bins[key] = made
        return made


def _xgboost(train: Side, validation: Side, settings: Settings, watch: Watch) -> Any:
    callbacks: list[Any] = [_Reporter(watch)]
    if settings.patience:
        callbacks.append(
            xgboost.callback.EarlyStopping(
                rounds=settings.patience, metric_name="logloss", data_name="validation_1", save_best=True
            )
        )
    given = dict(settings.values)
    fixed = {
        "tree_method": "hist",
        "random_state": settings.seed,
        "colsample_bytree": given.pop("colsample"),
        "objective": "binary:logistic",
    }
    model = _Classifier(**given, **fixed, n_jobs=settings.means.threads, eval_metric="logloss", callbacks=callbacks)
    model.bins = settings.means.bins
    sides = [train, validation]
    model.fit(
        train.x,
        train.y,
        sample_weight=train.weight,
        eval_set=[(s.x, s.y) for s in sides],
        sample_weight_eval_set=None if train.weight is None else [s.weight for s in sides],
        verbose=False,
    )
    # A fresh wrapper around the trees alone: the one that trained remembers callbacks and its number of threads.
    clean = xgboost.XGBClassifier(**given, **fixed, n_jobs=1)
    clean.load_model(model.get_booster().save_raw("json"))
    clean.set_params(**given, **fixed, n_jobs=1)
    return clean


def _random_forest(train: Side, validation: Side, settings: Settings, watch: Watch) -> Any:
    given = dict(settings.values)
    trees = given.pop("n_estimators")
    model = RandomForestClassifier(
        max_features=given.pop("colsample"),
        min_samples_leaf=MIN_LEAF_ROWS,
        random_state=settings.seed,
        warm_start=True,
        n_jobs=settings.means.threads or -1,
        **given,
    )
    sides = {"train": train, "validation": validation}
    sums = {name: np.zeros(len(side.y)) for name, side in sides.items()}
    for size in [*range(FOREST_STEP, trees, FOREST_STEP), trees]:
        grown = len(getattr(model, "estimators_", ()))
        model.set_params(n_estimators=size).fit(train.x, train.y, sample_weight=train.weight)
        for name, side in sides.items():
            for tree in model.estimators_[grown:]:
                sums[name] += tree.predict_proba(side.x)[:, 1]
        watch(size, {f"{name}/log_loss": _log_loss(side, sums[name] / size) for name, side in sides.items()})
    return model.set_params(n_jobs=1, warm_start=False)  # one thread: sums over trees in a fixed order


def _log_loss(side: Side, p: NDArray[np.float64]) -> float:
    return float(log_loss(side.y, np.clip(p, 1e-7, 1 - 1e-7), sample_weight=side.weight, labels=[0, 1]))


def _hist_gradient_boosting(train: Side, validation: Side, settings: Settings, watch: Watch) -> Any:
    given = dict(settings.values)
    model = HistGradientBoostingClassifier(
        max_iter=given.pop("n_estimators"),
        max_features=given.pop("colsample"),
        l2_regularization=given.pop("reg_lambda"),
        random_state=settings.seed,
        early_stopping=bool(settings.patience),
        n_iter_no_change=max(settings.patience, 1),
        scoring=_hist_scorer(watch) if settings.patience else "loss",
        **given,
    )
    if settings.patience:
        model.fit(
            train.x, train.y, train.weight,
            X_val=validation.x, y_val=validation.y, sample_weight_val=validation.weight,
        )  # fmt: skip
        best = max(int(np.argmax(model.validation_score_)), 1)
        model._predictors = model._predictors[:best]
    else:
        model.fit(train.x, train.y, train.weight)
        watch(model.n_iter_, _losses(model, train, validation))
    model.scoring = "loss"  # the scorer belongs to this run; a pickle must not hold it
    model._scorer = None
    model._bin_mapper.n_threads = 1  # else the file depends on the number of threads
    return model


def _hist_scorer(watch: Watch) -> Callable[..., float]:
    """A scorer that scikit-learn calls after each iteration, on training and on validation rows in turn."""
    waiting: dict[str, float] = {}
    steps = 0

    def score(model: Any, x: Any, y: NDArray[Any], sample_weight: Any = None) -> float:
        nonlocal steps
        p = np.clip(model.predict_proba(x)[:, 1], 1e-7, 1 - 1e-7)
        loss = float(log_loss(y, p, sample_weight=sample_weight, labels=[0, 1]))
        if waiting:
            watch(steps, {**waiting, "validation/log_loss": loss})
            waiting.clear()
            steps += 1
        else:
            waiting["train/log_loss"] = loss
        return -loss

    return score


def _logistic_regression(train: Side, validation: Side, settings: Settings, watch: Watch) -> Any:
    model = Pipeline(
        [
            ("float64", FunctionTransformer(np.asarray, kw_args={"dtype": np.float64})),
            (
                "prepare",
                FeatureUnion(
                    [
                        (
                            "values",
                            make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()),
                        ),
                        ("missing", MissingIndicator(features="missing-only", error_on_new=False)),
                    ]
                ),
            ),
            ("linear", LogisticRegression(C=settings.values["C"], max_iter=2000, random_state=settings.seed)),
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(train.x, train.y, linear__sample_weight=train.weight)
        except ConvergenceWarning as error:
            raise TrainingError(
                "params.yaml: logistic_regression did not converge in 2000 steps; regularise more, e.g. C: 0.1"
            ) from error
    watch(1, _losses(model, train, validation))
    return model


def _losses(model: Any, train: Side, validation: Side) -> dict[str, float]:
    sides = {"train": train, "validation": validation}
    return {f"{name}/log_loss": _log_loss(side, model.predict_proba(side.x)[:, 1]) for name, side in sides.items()}


FITS: dict[str, Callable[[Side, Side, Settings, Watch], Any]] = {
    "xgboost": _xgboost,
    "random_forest": _random_forest,
    "hist_gradient_boosting": _hist_gradient_boosting,
    "logistic_regression": _logistic_regression,
}
