"""Tensors ↔ the columns of a model: one tensor per column, or one matrix where all columns are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.contract import Contract, Table
from api.contract.fields import Field
from api.protocols.document import malformed, named
from api.protocols.inference import Tensor
from api.protocols.tensors import BOOL, BYTES, FLOATS, INTEGERS
from mlops.errors import nearest

NUMERIC = (*FLOATS, *INTEGERS)
TAKEN = {
    "number": NUMERIC,
    "boolean": (BOOL, *NUMERIC),
    "category": (BYTES,),
    "text": (BYTES,),
    "date": (BYTES,),
}
"""Datatypes that a column of a kind is read from."""


def datatype(field: Field) -> str:
    """The datatype that the model's metadata names for a column: a missing whole number needs a float, NaN."""
    if field.kind == "number":
        return "INT64" if field.whole and not field.nullable else "FP64"
    return BOOL if field.kind == "boolean" else BYTES


def table(contract: Contract, tensors: Sequence[Tensor]) -> Table:
    """The rows that tensors hold.

    Raises:
        Refused: 400, a tensor's shape or datatype; as Invalid, values that the model does not take.
    """
    if not tensors:
        raise malformed("inputs is empty; send one tensor per column")
    fields = {field.name: field for field in contract.fields}
    given: dict[str, Sequence[Any]] = {}
    for tensor in tensors:
        known = tensor.name in fields or tensor.name in contract.id_names
        if not known and len(tensor.shape) == 2 and tensor.shape[1] != 1:
            made = _matrix(tensor, contract)
        else:
            made = {tensor.name: _column(tensor, fields.get(tensor.name))}
        twice = next((name for name in made if name in given), None)
        if twice is not None:
            raise malformed(f"column {named(twice)} is there twice")
        given |= made
    read = {name: _values(fields[name], values) if name in fields else values for name, values in given.items()}
    return contract.from_columns(read, extra=False, at=("inputs",))


def _matrix(tensor: Tensor, contract: Contract) -> dict[str, Sequence[Any]]:
    where = f"tensor {named(tensor.name)}"
    other = next((field for field in contract.fields if field.kind not in ("number", "boolean")), None)
    if other is not None:
        raise malformed(
            f"{where} is no column of this model{nearest(tensor.name, contract.names)}. One matrix of all"
            f" columns is taken only where all are numbers, and {other.name} is a {other.kind}: send one tensor each"
        )
    width = len(contract.names)
    if tensor.datatype not in NUMERIC or tensor.shape[1] != width:
        raise malformed(
            f"{where}: {tensor.datatype} of shape {list(tensor.shape)}; numbers of shape [rows, {width}]"
            " are needed, in the order of the model's metadata"
        )
    return {name: tensor.values[i::width] for i, name in enumerate(contract.names)}


def _column(tensor: Tensor, field: Field | None) -> Sequence[Any]:
    where = f"tensor {named(tensor.name)}"
    if len(tensor.shape) == 2 and tensor.shape[1] != 1:
        raise malformed(f"{where}: shape {list(tensor.shape)}; [rows] or [rows, 1] is needed")
    if field is not None and tensor.datatype not in TAKEN[field.kind]:
        raise malformed(f"{where}: {tensor.datatype}, but the column is a {field.kind}; send it as {datatype(field)}")
    return tensor.values


def _values(field: Field, values: Sequence[Any]) -> Sequence[Any]:
    """Values as JSON gives them. Raw bytes have no null: an empty text stands for it unless it is a known level."""
    if field.kind == "boolean":
        return [_truth(value) for value in values]
    if (
        field.kind in ("category", "text", "date")
        and field.nullable
        and "" in values
        and "" not in (field.levels or ())
    ):
        return [None if value == "" else value for value in values]
    return values


def _truth(value: Any) -> Any:
    """1 and 0 of a tensor of numbers are true and false; anything else the column refuses itself."""
    return bool(value) if value in (0, 1) else value
