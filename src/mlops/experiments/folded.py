"""Imputers and scalers before a model, folded into it, so that what is left reads the columns themselves.

A scaler moves a column up or keeps it, so `f(x) ≤ t` is `x ≤ s` with s the largest float32 for which it holds. It is
found by bisection over the float32 numbers, asking the fitted transformers themselves: exact, whatever they round.
Where a column holds decimals of float64, s is the largest float32 whose decimal it holds for: clients send 31.37.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.encode import Matrix
from mlops.experiments.matrix import shortest
from mlops.experiments.readers import CannotServeError, Ensemble, Weights
from mlops.features import FLOAT32_MAX, Floats

COLUMNWISE = ("SimpleImputer", "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")
"""Transformers of scikit-learn that treat each column by itself and never turn its order round."""
AT_ONCE = 4_000_000
"""Numbers in a matrix that transformers are asked with."""

Transform = Callable[[NDArray[np.floating[Any]]], Floats]


@dataclass(frozen=True)
class Linear:
    """log-odds = Σ weight · (x, missing replaced by center, minus center) + Σ missing weight · (x is missing) +
    intercept. center: shape (width,); weight: (2 · width,), the missing weights last.
    """

    center: Floats
    weight: Floats
    intercept: float


def split(model: Any) -> tuple[Any, Any]:
    """What is before the last step of a Pipeline (None: nothing), and the estimator at its end.

    Raises:
        CannotServeError: a step is none that can be folded.
    """
    if not hasattr(model, "steps"):
        return None, model
    steps = [(name, step) for name, step in model.steps[:-1] if step is not None and step != "passthrough"]
    for name, step in steps:
        _check(name, step)
    return (model[:-1] if steps else None), model.steps[-1][1]


def _check(name: str, step: Any) -> None:
    kind = type(step).__name__
    if kind not in COLUMNWISE or not type(step).__module__.startswith("sklearn."):
        raise CannotServeError(
            f"step {name!r} is {kind}; {', '.join(COLUMNWISE)} can stand before a model that is served"
        )
    if kind == "SimpleImputer":
        if getattr(step, "add_indicator", False):
            raise CannotServeError(f"step {name!r} has add_indicator=True, which adds columns; leave that out")
        if step.missing_values == step.missing_values:
            raise CannotServeError(f"step {name!r} fills {step.missing_values!r}; only NaN is missing here")


def transform(before: Any, names: list[str], dtype: Any) -> Transform:
    """The steps as a function of a matrix of shape (rows, width), which must not change the number of columns."""
    import pandas as pd

    named = hasattr(before.steps[0][1], "feature_names_in_")

    def apply(matrix: NDArray[np.floating[Any]]) -> Floats:
        given = matrix.astype(dtype)
        found = np.asarray(before.transform(pd.DataFrame(given, columns=names) if named else given))
        if found.shape != matrix.shape:
            raise CannotServeError("its steps drop columns that hold no value; leave these columns out")
        return found

    return apply


def for_decimals(read: Ensemble, decimals: NDArray[np.bool_]) -> Ensemble:
    """Trees that take the float32 number of a decimal for that decimal, as the estimator took it.

    Args:
        read: trees without steps before them.
        decimals: of each column, whether it holds decimals.
    """
    if not read.double:
        return read
    found = read.trees
    some = np.flatnonzero((found.feature >= 0) & decimals[found.feature])
    limits = read.exact[some]
    threshold = found.threshold.copy()
    threshold[some] = _of_decimals(lambda values: np.asarray(values <= limits), threshold[some])
    return replace(read, trees=replace(found, threshold=threshold))


def _of_decimals(
    holds: Callable[[NDArray[np.float64]], NDArray[np.bool_]], largest: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The largest float32 whose decimal a condition holds for: a neighbour of the largest that it holds for, or that.

    A decimal is less than half a step from its float32.
    """
    inside = np.abs(largest) < FLOAT32_MAX  # infinities and the largest number have no neighbours to ask for
    known = np.where(inside, largest, np.float32(0))
    up, down = (np.nextafter(known, np.float32(end)) for end in (np.inf, -np.inf))
    moved = np.where(holds(shortest(up)), up, np.where(holds(shortest(known)), known, down))
    return np.where(inside, moved, largest)


def into_trees(read: Ensemble, apply: Transform, decimals: NDArray[np.bool_]) -> Ensemble:
    """Trees that read the columns themselves. decimals: of each column, whether it holds decimals."""
    width = len(decimals)
    found = read.trees
    inner = np.flatnonzero(found.feature >= 0)
    columns, limits = found.feature[inner], read.exact[inner]
    single = not read.double

    def left(values: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        moved = _asked(apply, columns, values, width)
        moved = moved.astype(np.float32) if single else moved
        return np.asarray(moved <= limits if found.inclusive else moved < limits)

    threshold = found.threshold.copy()
    largest = _largest(left, len(inner))
    moved = _of_decimals(left, largest) if decimals[columns].any() else largest
    threshold[inner] = np.where(decimals[columns], moved, largest)
    filled = apply(np.full((1, width), np.nan))[0][columns]
    filled = filled.astype(np.float32) if single else filled
    goes = filled <= limits if found.inclusive else filled < limits
    missing = found.missing_left.copy()
    missing[inner] = np.where(np.isnan(filled), missing[inner], goes)
    return replace(read, trees=replace(found, threshold=threshold, missing_left=missing, inclusive=True), booster=None)


def _asked(apply: Transform, columns: NDArray[np.int64], values: NDArray[np.floating[Any]], width: int) -> Floats:
    """What the transformers make of one value in one column, for many of them."""
    result = np.empty(len(values), dtype=np.float64)
    step = max(AT_ONCE // width, 1)
    for start in range(0, len(values), step):
        some = slice(start, start + step)
        rows = np.arange(len(values[some]))
        matrix = np.zeros((len(rows), width))
        matrix[rows, columns[some]] = values[some]
        with np.errstate(over="ignore", invalid="ignore"):
            result[some] = apply(matrix)[rows, columns[some]]
    return result


def _largest(holds: Callable[[NDArray[np.float32]], NDArray[np.bool_]], count: int) -> NDArray[np.float32]:
    """The largest float32 for which a condition holds that holds for all smaller ones too; −∞ where it never does."""
    edge = _order(np.array([FLOAT32_MAX], dtype=np.float32))[0]
    low, high = np.full(count, -edge - 1), np.full(count, edge)  # holds at low (or nowhere), may hold up to high
    while np.any(low < high):
        middle = low + (high - low + 1) // 2
        yes = holds(_number(middle))
        low, high = np.where(yes, middle, low), np.where(yes, high, middle - 1)
    return np.where(low < -edge, np.float32(-np.inf), _number(np.maximum(low, -edge)))


def _order(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """float32 → whole number in the same order; neighbours differ by one."""
    bits = values.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _number(order: NDArray[np.int64]) -> NDArray[np.float32]:
    """The float32 of a place in the order."""
    bits = np.where(order < 0, -order | 0x80000000, order).astype(np.uint32)
    return bits.view(np.float32)


def into_weights(read: Weights, before: Any, apply: Transform | None, matrix: Matrix) -> Linear:
    """A linear model of the columns themselves, around their means.

    Args:
        read: what reads the transformed columns.
        before: the steps, and apply: the same as a function; None where there are none.
        matrix: rows that show how far each column reaches, shape (rows, width).

    Raises:
        CannotServeError: a step does not only shift and stretch.
    """
    width = matrix.shape[1]
    known = np.where(np.isnan(matrix), 0.0, matrix.astype(np.float64))
    count = np.maximum((~np.isnan(matrix)).sum(axis=0), 1)
    center = known.sum(axis=0) / count
    if apply is None:
        if np.isnan(matrix).any():
            raise CannotServeError("rows miss values, which it cannot read")
        return Linear(center, np.append(read.weight, np.zeros(width)), read.intercept + float(read.weight @ center))
    if any(getattr(step, "clip", False) for _, step in before.steps):
        raise CannotServeError("a scaler before a linear model has clip=True, which bends it; leave that out")
    low, high = known.min(axis=0), known.max(axis=0)
    high = np.where(high > low, high, low + np.maximum(np.abs(low), 1.0))
    at_low, at_high, at_center, gone = apply(np.stack([low, high, center, np.full(width, np.nan)]))
    slope = (at_high - at_low) / (high - low)
    missing = np.where(np.isnan(gone), 0.0, gone - at_center)
    weight = np.append(read.weight * slope, read.weight * missing)
    return Linear(center, weight, read.intercept + float(read.weight @ at_center))
