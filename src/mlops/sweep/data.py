"""The rows of a sweep: read once, split once, encoded once for all trials that encode alike.

Test rows are never read here: a setting that was chosen by them would be measured by what it was chosen by.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops import train
from mlops.encode import Encoder
from mlops.errors import DataError
from mlops.features import Coded, Plan, Values
from mlops.model import encoding, fit
from mlops.params import View
from mlops.policy import Validate
from mlops.train import Rows

PART, PART_OF_VALIDATION = 8, 4
"""A trial is first fitted on the rows of one customer in so many, and stopped by those of one in so many."""
FEWEST = 100
"""Rows of an outcome in that part; with fewer, what it says is chance, and trials begin with all rows."""
KEPT = 3
"""Encodings that are held: more are needed only where a sweep searches how categories are encoded."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Fold:
    """Rows to fit on, rows that stop and calibrate as the pipeline's do, and rows that are measured.

    For method validation the last two are the same. customers: number of each measured row's customer.
    """

    encoder: Encoder
    train: fit.Side
    validation: fit.Side
    held: fit.Side
    customers: NDArray[np.intp]


@dataclass(frozen=True)
class Encoded:
    """Everything that a trial fits and measures on. part: what it is first tried on, None where rows are few.

    bins: what XGBoost made of these rows (`fit.Means`).
    """

    part: Fold | None
    folds: tuple[Fold, ...]
    bins: dict[tuple[int, bool], Any]


class Data:
    """Training and validation rows.

    Args:
        validate: how trials are measured.
        seed: of the folds, which are the same for all trials.
    """

    def __init__(self, plan: Plan, sides: tuple[Rows, Rows], validate: Validate, seed: int) -> None:
        self.plan, self._validate, self._seed = plan, validate, seed
        self.train, self._validation = _held(sides[0]), _held(sides[1])
        self._made: OrderedDict[tuple[int, ...], Encoded] = OrderedDict()
        _check(self.train, self.masks())

    def encoded(self, params: View) -> Encoded:
        """The rows as a trial with these params encodes them."""
        rules = params.get("features.one_hot_levels"), params.get("features.min_level_rows")
        key = (*rules, params.get("seed"))
        if key not in self._made:
            self._made[key] = self._encode(encoding.LevelRules(*rules), params.get("seed"))
            if len(self._made) > KEPT:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        return self._made[key]

    def masks(self) -> Sequence[Mask]:
        """Which training rows each fold measures; none for method validation."""
        if self._validate.method == "validation":
            return []
        of_row = customer_parts(self.train.customers, self._validate.folds, self._seed)
        return [of_row == fold for fold in range(self._validate.folds)]

    def measured(self) -> list[tuple[NDArray[np.int8], NDArray[np.intp]]]:
        """Outcomes and customers' numbers of the rows that each fold measures."""
        of = [_taken(self.train, mask) for mask in self.masks()] or [self._validation]
        return [(rows.y, rows.customers.codes.astype(np.intp)) for rows in of]

    def _encode(self, rules: encoding.LevelRules, seed: int) -> Encoded:
        masks = self.masks()
        folds = tuple(self._fold(rules, seed, mask) for mask in (masks or (None,)))
        return Encoded(self._part(folds[0], masks[0] if masks else None), folds, {})

    def _fold(self, rules: encoding.LevelRules, seed: int, measured: Mask | None) -> Fold:
        rows = self.train if measured is None else _taken(self.train, ~measured)
        folds = encoding.customer_folds(rows.customers, seed)
        encoder, x = encoding.fit(self.plan, rows.features, rows.y, folds, rules)
        validation = fit.Side(encoder.matrix(self._validation.features), self._validation.y)
        of = self._validation if measured is None else _taken(self.train, measured)
        held = validation if measured is None else fit.Side(encoder.matrix(of.features), of.y)
        return Fold(encoder, fit.Side(x, rows.y), validation, held, of.customers.codes.astype(np.intp))

    def _part(self, fold: Fold, measured: Mask | None) -> Fold | None:
        """The rows of some customers of a fold; all of those that are measured."""
        among = customer_parts(self.train.customers, PART, self._seed + 1) == 0
        chosen = among if measured is None else among[~measured]
        stopping = customer_parts(self._validation.customers, PART_OF_VALIDATION, self._seed + 1) == 0
        fitted, stopped = (
            fit.Side(side.x[of], side.y[of]) for side, of in ((fold.train, chosen), (fold.validation, stopping))
        )
        if any(min(int(side.y.sum()), len(side.y) - int(side.y.sum())) < FEWEST for side in (fitted, stopped)):
            return None
        return Fold(fold.encoder, fitted, stopped, fold.held, fold.customers)


def load(validate: Validate, seed: int) -> Data:
    """Read data/features of the current folder.

    Raises:
        DataError: it is missing or damaged, or a fold has too few rows of a class.
        TrainingError: too few rows of a class on a side, or no feature that varies.
    """
    plan = train.plan()
    first, second = (train.read(train.FEATURES / f"{side}.parquet", plan) for side in ("train", "validation"))
    train.check(first, second)
    return Data(plan, (first, second), validate, seed)


def customer_parts(customers: Coded, parts: int, seed: int) -> NDArray[np.intp]:
    """A number from 0 for each row, one for all rows of a customer; parts of as many customers, as near as may be."""
    order = np.argsort(np.argsort(np.array(customers.levels, dtype=object)))
    drawn = np.random.default_rng(seed).permutation(len(order)) % parts
    return np.asarray(drawn[order][customers.codes], dtype=np.intp)


def _held(rows: Rows) -> Rows:
    """The rows with all columns in memory."""
    return Rows({name: rows.features[name] for name in rows.features}, rows.y, rows.customers)


def _taken(rows: Rows, mask: Mask) -> Rows:
    features: Mapping[str, Values] = {name: _of(values, mask) for name, values in rows.features.items()}
    return Rows(features, rows.y[mask], Coded(rows.customers.codes[mask], rows.customers.levels))


def _of(values: Values, mask: Mask) -> Values:
    return Coded(values.codes[mask], values.levels) if isinstance(values, Coded) else values[mask]


def _check(rows: Rows, masks: Sequence[Mask]) -> None:
    for number, mask in enumerate(masks, 1):
        churned = int(rows.y[mask].sum())
        least = min(churned, int(mask.sum()) - churned, int(rows.y.sum()) - churned)
        if least < train.MIN_POSITIVES:
            raise DataError(
                f"policy.yaml: sweep.validate.folds: fold {number} of {len(masks)} leaves {least} rows of a class to"
                f" measure or to fit on, at least {train.MIN_POSITIVES} are needed; fewer folds, or method: validation"
            )
