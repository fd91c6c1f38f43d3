"""Rows as a model takes them, as the matrix that the service makes of the same columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.encode import Matrix
from mlops.experiments.readers import CannotServeError

LOOKED_AT = 2000
"""Values of a column that tell whether it holds decimals."""


def refuse_sparse(x: Any) -> None:
    """Raise CannotServeError for a sparse matrix, of which nobody knows whether what is left out is 0 or missing."""
    if hasattr(x, "tocsr"):
        raise CannotServeError("X is a sparse matrix, and clients send columns of numbers; fit on X.toarray()")


def columns_of(x: Any, names: Sequence[str]) -> list[Any]:
    """The columns in the order of names: by name where a frame has columns of these names, else by place.

    Raises:
        CannotServeError: they are not as many, or no columns.
    """
    refuse_sparse(x)
    if not hasattr(x, "columns"):
        array = np.asarray(x)
        if array.ndim != 2 or array.shape[1] != len(names):
            raise CannotServeError(f"X has the shape {array.shape}, and the model reads {len(names)} columns")
        return [array[:, place] for place in range(len(names))]
    held = list(x.columns)
    if len(set(held)) == len(held) and set(names) <= set(held):
        return [x[name] for name in names]
    if len(held) != len(names):
        raise CannotServeError(f"X has {len(held)} columns, and the model reads {len(names)} others")
    return [x.iloc[:, place] if hasattr(x, "iloc") else x[:, place] for place in range(len(names))]


def of(x: Any, names: Sequence[str]) -> Matrix:
    """Rows as the float32 matrix that the service makes of them, shape (rows, columns).

    Raises:
        CannotServeError: a column is none of numbers.
    """
    found = []
    for name, column in zip(names, columns_of(x, names), strict=True):
        kind = str(getattr(column, "dtype", ""))
        if kind in ("category", "object", "str", "string") or kind.startswith(("datetime", "period")):
            raise CannotServeError(
                f"column {name!r} holds no numbers ({kind}): the service would have to know how you made numbers of it;"
                " leave it out, or fit on columns of numbers (pandas.get_dummies)"
            )
        found.append(np.asarray(column, dtype=np.float64))
    with np.errstate(over="ignore"):
        matrix = np.stack(found, axis=1).astype(np.float32)
    if np.isinf(matrix).any():
        raise CannotServeError(
            "a value is infinite, or too large for float32; leave such rows out, or scale the column"
        )
    return matrix


def kind_of(x: Any, names: Sequence[str]) -> Any:
    """The type that transformers compute in: float32 where every column is, as scikit-learn has it."""
    kinds = {np.asarray(column).dtype for column in columns_of(x, names)}
    return np.float32 if kinds == {np.dtype(np.float32)} else np.float64


def shortest(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The decimals with fewest digits that are these float32 numbers: what 31.37 was before it became one."""
    return np.asarray(values, dtype=np.float32).astype(np.str_).astype(np.float64)


def decimals(x: Any, names: Sequence[str]) -> NDArray[np.bool_]:
    """Which columns hold decimals such as 31.37, which float32 rounds: none that it holds or that have all digits."""
    found = []
    for column in columns_of(x, names):
        values = np.asarray(column, dtype=np.float64)
        values = values[np.isfinite(values)]
        values = values[:: len(values) // LOOKED_AT + 1]
        with np.errstate(over="ignore"):
            single = values.astype(np.float32)
        found.append(np.count_nonzero(shortest(single) == values) > np.count_nonzero(single == values))
    return np.array(found, dtype=np.bool_)
