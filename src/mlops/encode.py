"""From raw values to the float32 matrix that every model reads: one row or whole columns, the same bits.

An encoder is fitted on training rows only (`mlops.model.encoding`), stored as JSON beside the model, and applied
here with NumPy alone: this module is what the service loads.

Numbers pass through (float32, NaN where missing). A category of few levels becomes one column per level; one of many
levels becomes its churn rate on training rows, shrunk towards the mean where a level is rare. Levels that training did
not see count as rare, or get the mean.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.errors import BundleError, DataError
from mlops.features import FLOAT32_MAX, OPS, Coded, Plan, Scalar, Values

Matrix = NDArray[np.float32]

RARE = "(rare)"
MISSING = "(missing)"


@dataclass(frozen=True)
class Number:
    """One column: the feature itself."""

    feature: str

    @property
    def names(self) -> list[str]:
        """Names of the matrix columns."""
        return [self.feature]


@dataclass(frozen=True)
class OneHot:
    """One column per level, one for rare and unseen levels, one for missing."""

    feature: str
    levels: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Names of the matrix columns."""
        return [f"{self.feature} = {level}" for level in (*self.levels, RARE, MISSING)]


@dataclass(frozen=True)
class TargetMean:
    """One column: the shrunk churn rate of the level on training rows; `other` for levels that were not seen."""

    feature: str
    levels: tuple[str, ...]
    rates: tuple[float, ...]
    other: float
    missing: float

    @property
    def names(self) -> list[str]:
        """Names of the matrix columns."""
        return [f"{self.feature} (churn rate)"]


Block = Number | OneHot | TargetMean
_KINDS: dict[str, type[Number] | type[OneHot] | type[TargetMean]] = {
    "number": Number,
    "one_hot": OneHot,
    "target_mean": TargetMean,
}


class Encoder:
    """A plan of features and one block of matrix columns for each of them."""

    def __init__(self, plan: Plan, blocks: tuple[Block, ...]) -> None:
        self.plan, self.blocks = plan, blocks
        self.names: list[str] = [name for block in blocks for name in block.names]
        starts = np.cumsum([0, *(len(block.names) for block in blocks)]).tolist()
        self.starts: list[int] = starts[:-1]
        self._row_bytes = _row_writer(plan, blocks)
        self._row_shape = (1, len(self.names))

    @property
    def width(self) -> int:
        """Number of matrix columns."""
        return len(self.names)

    def columns(self, raw: Mapping[str, Values]) -> Matrix:
        """Raw columns → float32 matrix of shape (rows, width)."""
        return self.matrix(self.plan.columns(raw))

    def matrix(self, features: Mapping[str, Values]) -> Matrix:
        """Feature columns → float32 matrix of shape (rows, width).

        Raises:
            DataError: a number is too large for float32.
        """
        rows = len(next(_codes(v) for v in features.values())) if features else 0
        out = np.zeros((rows, self.width), dtype=np.float32)
        for block, start in zip(self.blocks, self.starts, strict=True):
            _write_columns(block, features[block.feature], out[:, start : start + len(block.names)])
        return self._checked(out)

    def row(self, raw: Mapping[str, Scalar]) -> Matrix:
        """One row's raw values → float32 matrix of shape (1, width), not to be written to; raises as `matrix` does."""
        try:
            return np.ndarray(self._row_shape, np.float32, self._row_bytes(raw))
        except (struct.error, OverflowError, TypeError):
            # What the quick way does not take goes the way of columns, which names the column that is wrong.
            row = self.plan.row(raw)
            return self.matrix({f.name: _column_of(row[f.name], f.kind) for f in self.plan.features})

    def _checked(self, matrix: Matrix) -> Matrix:
        """Refuse numbers that float32 cannot hold: as infinity they would score as something else in every library."""
        if np.isinf(matrix).any():
            column = self.names[int(np.argmax(np.isinf(matrix).any(axis=0)))]
            raise DataError(
                f"{column}: a value is beyond ±{FLOAT32_MAX:.3g}, the largest that the model reads; correct it"
            )
        return matrix

    def to_json(self) -> dict[str, Any]:
        """As plain lists and dictionaries; `from_json` reads it back."""
        kinds = {cls: name for name, cls in _KINDS.items()}
        blocks = [{"kind": kinds[type(b)], **_fields(b)} for b in self.blocks]
        return {**self.plan.to_json(), "blocks": blocks}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Encoder:
        """The encoder that `to_json` wrote.

        Raises:
            BundleError: the document is not one.
        """
        try:
            blocks = tuple(_block(dict(b)) for b in document["blocks"])
            plan = Plan.from_json(document)
            known = {i.name for i in plan.inputs}
            made = {f.name for f in plan.features if f.op in OPS and known.issuperset(f.inputs)}
            if {f.name for f in plan.features} != made or {b.feature for b in blocks} != made:
                raise ValueError("blocks, features and inputs do not belong together")
            return cls(plan, blocks)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(f"encoder.json is not an encoder ({error!r}); make it again with `dvc repro`") from error


def _block(fields: dict[str, Any]) -> Block:
    kind = _KINDS[fields.pop("kind")]
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return kind(**given)


def _fields(block: Block) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(block).items()}


def _codes(values: Values) -> NDArray[Any]:
    return values.codes if isinstance(values, Coded) else values


def _write_columns(block: Block, values: Values, out: Matrix) -> None:
    if isinstance(block, Number):
        assert not isinstance(values, Coded)
        with np.errstate(over="ignore"):
            out[:, 0] = values
        return
    assert isinstance(values, Coded)
    if isinstance(block, TargetMean):
        known = dict(zip(block.levels, block.rates, strict=True))
        out[:, 0] = values.lookup([known.get(level, block.other) for level in values.levels], block.missing)
        return
    place = {level: i for i, level in enumerate(block.levels)}
    rare, missing = len(block.levels), len(block.levels) + 1
    where = np.array([*(place.get(level, rare) for level in values.levels), missing], dtype=np.intp)[values.codes]
    out[np.arange(len(where)), where] = 1.0


def _column_of(value: Scalar, kind: str) -> Values:
    """A feature's value as a column of one row."""
    if kind == "category":
        return Coded(np.array([-1 if value is None else 0], dtype=np.int32), (str(value),))
    return np.array([value], dtype=np.float64)


def _row_writer(plan: Plan, blocks: Sequence[Block]) -> Callable[[Mapping[str, Scalar]], bytes]:
    """A function from one row's raw values to the matrix row's bytes, with all that can be looked up beforehand.

    A list holds one value per block. First it holds each feature's first raw column: plain numbers are done. Levels
    become their rate, or the bytes of all their columns; then the operations of other features are applied. At last
    `struct` makes float32 of everything at once: it rounds as NumPy does and refuses numbers that are too large.

    What is returned raises OverflowError, struct.error or TypeError for a value that it does not take.
    """
    made = {f.name: f for f in plan.features}
    features = [made[block.feature] for block in blocks]
    first = _picker([f.inputs[0] for f in features])
    numbers = _picker([i for i, block in enumerate(blocks) if isinstance(block, Number)])
    tables = [(i, *_table(block)) for i, block in enumerate(blocks) if not isinstance(block, Number)]
    applied = [(i, OPS[f.op][0], f.inputs[1:]) for i, f in enumerate(features) if f.op != "value"]
    unary = [(i, operation) for i, operation, others in applied if not others]
    binary = [(i, operation, others[0]) for i, operation, others in applied if others]
    pack = struct.Struct("=" + "".join(map(_format, blocks))).pack

    def write(raw: Mapping[str, Scalar]) -> bytes:
        values = list(first(raw))
        for i, table, unseen in tables:
            values[i] = table(values[i], unseen)
        for i, operation in unary:
            values[i] = operation(values[i])
        for i, operation, other in binary:
            values[i] = operation(values[i], raw[other])
        # hypot is infinite when any number is, whatever the others are (NaN too); `pack` would take an infinity.
        if math.hypot(*numbers(values)) == math.inf:
            raise OverflowError
        return pack(*values)

    return write


def _picker(keys: Sequence[Any]) -> Callable[[Any], Sequence[Any]]:
    """A function that takes the items of these keys out of what it is given."""
    if len(keys) > 1:
        return itemgetter(*keys)
    return lambda source: [source[key] for key in keys]


def _format(block: Block) -> str:
    """How `struct` packs a block: one-hot columns come as bytes already."""
    return f"{4 * len(block.names)}s" if isinstance(block, OneHot) else "f"


def _table(block: OneHot | TargetMean) -> tuple[Callable[[Any, Any], Any], float | bytes]:
    """Level (None: missing) → what stands for it in the matrix row; and what stands for levels that were not seen."""
    if isinstance(block, TargetMean):
        rates: dict[str | None, float] = dict(zip(block.levels, block.rates, strict=True))
        return (rates | {None: block.missing}).get, block.other
    *known, rare, missing = [row.tobytes() for row in np.eye(len(block.names), dtype=np.float32)]
    columns: dict[str | None, bytes] = dict(zip(block.levels, known, strict=True))
    return (columns | {None: missing}).get, rare
