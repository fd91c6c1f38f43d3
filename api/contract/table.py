"""Many rows, checked and ready for the encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from api.contract.fields import TOO_LARGE, Field, Wrong
from api.contract.problems import MOST_PROBLEMS
from mlops.features import Coded, Floats, Values

_NOTHING = type(None)


@dataclass(frozen=True)
class Table:
    """n rows. columns: what the encoder reads; customers: ids, None where not given; given: values as they came.

    texts: writes rows, given as the columns of `given`, as JSON.
    """

    n: int
    columns: Mapping[str, Values]
    customers: Sequence[str | None]
    given: Mapping[str, Sequence[object]]
    texts: Callable[[Iterable[Sequence[object]]], list[bytes]]

    def inputs(self) -> list[bytes]:
        """Each row's values as a JSON object, as they came."""
        return self.texts(self.given.values())


def column(field: Field, given: Sequence[object]) -> Values | list[tuple[int, Wrong]]:
    """A column as arrays, or what is wrong with which rows: the first of them, more than anybody is told.

    Whole columns of the right types take the quick way; only when something does not fit is each value looked at.
    """
    quick = _quick(field, given)
    if quick is not None:
        return quick
    wrong: list[tuple[int, Wrong]] = []
    checked = []
    for i, value in enumerate(given):
        try:
            checked.append(field.value(value))
        except Wrong as problem:
            wrong.append((i, problem))
            if len(wrong) > MOST_PROBLEMS:
                break
    if wrong:
        return wrong
    if field.kind in ("category", "text"):
        return coded(checked)
    return np.array(checked, dtype=np.float64)


def _quick(field: Field, given: Sequence[object]) -> Values | None:
    kinds = set(map(type, given))
    if not field.nullable and _NOTHING in kinds:
        return None
    kinds.discard(_NOTHING)
    if field.kind == "number" and kinds <= {int, float}:
        return _numbers(field, given)
    if field.kind == "boolean" and kinds <= {bool}:
        return np.array(given, dtype=np.float64)  # None becomes NaN
    if kinds <= {str}:
        if field.kind in ("category", "text"):
            return coded(given)
        if field.kind == "date":
            texts = coded(given)
            try:
                return texts.lookup(list(map(field.days, texts.levels)))
            except Wrong:
                return None
    return None


def _numbers(field: Field, given: Sequence[object]) -> Floats | None:
    try:
        values = np.array(given, dtype=np.float64)
    except OverflowError:  # an integer of three hundred digits
        return None
    known, missing = values, np.isnan(values)
    if missing.any():
        if set(map(given.__getitem__, np.flatnonzero(missing).tolist())) != {None}:
            return None  # NaN that came as such
        known = values[~missing]
    if (np.abs(known) >= TOO_LARGE).any() or (field.whole and (np.trunc(known) != known).any()):
        return None
    return values


def coded(texts: Sequence[object]) -> Coded:
    """Texts as codes and distinct texts, in the order of their first row; None is missing."""
    distinct = [text for text in dict.fromkeys(texts) if text is not None]
    places: dict[object, int] = {text: code for code, text in enumerate(distinct)}
    places[None] = -1
    levels = tuple(map(str, distinct))
    return Coded(np.fromiter(map(places.__getitem__, texts), np.int32, len(texts)), levels)
