"""What a classifier of scikit-learn's kind predicts for rows, checked, and the metrics of that.

Metrics are those of the pipeline, measured by the same code on probabilities of six decimals.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.errors import ExperimentError
from mlops.experiments import plain
from mlops.features import Floats
from mlops.metrics.measure import Decision, Scored

ABOVE_HALF = 0.5000005
"""The threshold of `predict`, p > 0.5, for probabilities of six decimals that count from the threshold on."""
QUICK = 0.01
"""Seconds: predictions that take less are made again, so that the time is no accident."""


@dataclass(frozen=True)
class Predicted:
    """Rows as a model scored them. y: 0 or 1; p: probability of 1 with six decimals; seconds: for all rows at once.

    positive: the label that counts as 1.
    """

    y: NDArray[np.int8]
    p: Floats
    positive: Any
    seconds: float


def predicted(model: Any, x: Any, y: Any, positive: Any = None) -> Predicted:
    """Score rows with a classifier.

    Args:
        model: fitted, with predict_proba, of two classes.
        x: rows, in what the model takes.
        y: their labels.
        positive: the label whose probability it is; the model's second class unless told.

    Raises:
        ExperimentError: it cannot be done with this model or these rows; what to do.
    """
    labels = np.asarray(y).reshape(-1) if np.asarray(y).ndim == 2 and np.asarray(y).shape[1] == 1 else np.asarray(y)
    rows = x.shape[0] if hasattr(x, "shape") else len(x)
    if labels.ndim != 1 or len(labels) != rows:
        raise ExperimentError(
            f"X has {rows:,} rows and y {len(labels) if labels.ndim else 1:,}: give as many labels as rows"
        )
    column, positive = _column(model, positive)
    outcomes = _outcomes(labels, classes(model), positive)
    p, seconds = _probabilities(model, x, column)
    if len(p) != rows or not np.isfinite(p).all():
        raise ExperimentError(
            f"predict_proba of {_name(model)} gives {len(p) - int(np.isfinite(p).sum()):,} probabilities that are no"
            " numbers; look at the rows that it cannot score"
        )
    return Predicted(outcomes, np.round(p, 6), positive, seconds)


def classes(model: Any) -> list[Any]:
    """The labels that a model tells apart."""
    found = getattr(model, "classes_", None)
    return [0, 1] if found is None else np.asarray(found).tolist()


def _column(model: Any, positive: Any) -> tuple[int, Any]:
    """Which column of predict_proba, and of which label."""
    if not hasattr(model, "predict_proba"):
        raise ExperimentError(
            f"{_name(model)} has no predict_proba, and metrics of ranking need probabilities: wrap it in scikit-learn's"
            " CalibratedClassifierCV, or log numbers of your own with log_metrics({…})"
        )
    known = classes(model)
    if len(known) != 2:
        raise ExperimentError(f"{_name(model)} tells {len(known)} classes apart; metrics here are of two")
    if positive is None:
        return 1, known[1]
    if positive not in known:
        raise ExperimentError(f"positive={positive!r} is none of the model's classes: {known[0]!r}, {known[1]!r}")
    return known.index(positive), positive


def _outcomes(labels: NDArray[Any], known: list[Any], positive: Any) -> NDArray[np.int8]:
    found = labels.tolist()
    gaps = sum(label is None or label != label for label in found)
    if gaps:
        raise ExperimentError(f"y is missing in {gaps:,} of {len(found):,} rows; leave these rows out")
    distinct = list(dict.fromkeys(found))
    strange = next((label for label in distinct if label not in known), None)
    if strange is not None:
        raise ExperimentError(
            f"y holds {strange!r}, which the model was not trained on: it knows {known[0]!r} and {known[1]!r};"
            " give y in the same labels as in fit"
        )
    if len(distinct) < 2:
        what = f"all {len(found):,} rows are {distinct[0]!r}" if distinct else "there are no rows"
        raise ExperimentError(f"{what}: no metric can be told; give rows of both classes")
    return np.fromiter((label == positive for label in found), dtype=np.int8, count=len(found))


def _probabilities(model: Any, x: Any, column: int) -> tuple[Floats, float]:
    """Probabilities and the seconds that they took: the median of up to five times where that is quick."""
    spent: list[float] = []
    while not spent or (sum(spent) < QUICK and len(spent) < 5):
        started = time.perf_counter()
        try:
            found = model.predict_proba(x)
        except Exception as error:
            if type(error).__name__ == "NotFittedError":
                raise ExperimentError(f"{_name(model)} is not fitted; call fit before log_metrics") from error
            raise
        spent.append(time.perf_counter() - started)
    return _of_column(model, found, column), float(np.median(spent))


def probabilities(model: Any, x: Any, column: int) -> Floats:
    """The probabilities that a model gives rows, shape (rows,). column: of which of its classes."""
    return _of_column(model, model.predict_proba(x), column)


def _of_column(model: Any, found: Any, column: int) -> Floats:
    table = np.asarray(found, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != 2:
        raise ExperimentError(
            f"predict_proba of {_name(model)} gives the shape {table.shape}; (rows, 2) is what classifiers of two give"
        )
    return table[:, column]


def threshold(value: Any) -> float:
    """A threshold of the decision, checked.

    Raises:
        ExperimentError: it is no probability.
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= float(value) <= 1:
        raise ExperimentError(f"threshold={value!r} is no probability; give a number from 0 to 1, such as 0.4")
    return float(value)


def metrics(found: Predicted, threshold: float, money: Mapping[str, float] | None) -> dict[str, float]:
    """The metrics of scored rows. money: value_saved and cost_contact, without which there is no expected profit."""
    paid = money or {"value_saved": 1.0, "cost_contact": 1.0}
    decision = Decision(threshold, float(paid["value_saved"]), float(paid["cost_contact"]))
    values = Scored(found.y, found.p, decision).metrics()
    if money is None:
        del values["expected_profit"]
    values["inference_time_ms"] = 1000 * found.seconds / len(found.y)
    return {name: round(value, 6) for name, value in values.items()}


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Metrics that somebody gives as numbers, checked.

    Raises:
        ExperimentError: names the one that is no finite number.
    """
    checked: dict[str, float] = {}
    for name, value in values.items():
        checked[str(name)] = number(str(name), value)
    return checked


def number(name: str, value: Any) -> float:
    """A number as JSON holds it."""
    if not isinstance(name, str) or not name.strip():
        raise ExperimentError("a metric needs a name, such as roc_auc")
    if name != plain.text(name):
        raise ExperimentError(f"metric {name!r} is no name that UTF-8 can hold; letters, digits, _ and / make one")
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:  # of NumPy, or a tensor
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ExperimentError(f"metric {name} is {value!r}, no number; log_params and log_text take words")
    try:
        there = float(value)
    except OverflowError:
        there = math.inf
    if not math.isfinite(there):
        raise ExperimentError(f"metric {name} is {there}; leave it out, or find out where it comes from")
    return int(value) if isinstance(value, int) else float(value)


def _name(model: Any) -> str:
    return type(model).__name__
