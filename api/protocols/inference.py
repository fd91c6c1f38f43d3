"""Inference requests and answers of the Open Inference Protocol, with the extension for binary tensors.

Request and answer are one JSON object; the values of a tensor stand in it, or as raw bytes behind it. The header
Inference-Header-Content-Length then says where the JSON ends, and `binary_data_size` how long each tensor is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from api.protocols import document, tensors
from api.protocols.document import malformed, named
from mlops.errors import nearest

HEADER = b"inference-header-content-length"
READ_AS = (None, "pd", "np", "str", "datetime")
"""Values of `content_type`, by which MLServer's clients name a codec, that mean what is read here anyway."""

LARGEST = 1 << 40
"""Of a dimension: more than any body holds, and its product with another is still a number to show."""

Parameters = dict[str, str | int | float | bool]


class Input(msgspec.Struct):
    """One tensor as the client wrote it."""

    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters | None = None
    data: list[Any] | None = None


class Output(msgspec.Struct):
    """An output that the client asks for."""

    name: str
    parameters: Parameters | None = None


class Asked(msgspec.Struct):
    """An inference request as the client wrote it; keys that are not named here are ignored."""

    inputs: list[Input]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[Output] | None = None


class Tensor(NamedTuple):
    """A tensor with its values, flat and row by row; None is missing."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Sequence[Any]


def read(body: bytes, header: str | None, outputs: Collection[str]) -> tuple[Asked, list[Tensor]]:
    """A request and its tensors. header: the value of Inference-Header-Content-Length; outputs: those that there are.

    Raises:
        Refused: 400, naming the tensor or the part of the body that is wrong.
    """
    end = len(body) if header is None else _length(header, len(body))
    asked = document.read(body[:end], Asked)
    _check_outputs([output.name for output in asked.outputs or ()], outputs)
    raw = _Raw(body[end:], header is not None)
    read_tensors = [_tensor(given, raw) for given in asked.inputs]
    raw.used_up()
    return asked, read_tensors


def _check_outputs(asked: Sequence[str], outputs: Collection[str]) -> None:
    for i, name in enumerate(asked):
        if name not in outputs:
            raise malformed(f"output {named(name)} is none{nearest(name, outputs)}; there are {', '.join(outputs)}")
        if name in asked[:i]:  # at most as many as there are outputs: a long list cannot ask for a huge answer
            raise malformed(f"output {name} is asked for twice")


def _length(header: str, limit: int) -> int:
    if not header.isascii() or not header.isdigit() or len(header) > 15 or int(header) > limit:
        raise malformed(
            f"Inference-Header-Content-Length is {header[:20]!r}; the length in bytes of the JSON is needed,"
            f" at most the {limit} bytes that came"
        )
    return int(header)


class _Raw:
    """The bytes behind the JSON, taken tensor by tensor."""

    def __init__(self, raw: bytes, announced: bool) -> None:
        self._raw, self._announced, self._at = raw, announced, 0

    def take(self, where: str, size: Any) -> bytes:
        """The next `size` bytes."""
        if not self._announced:
            raise malformed(f"{where}: binary_data_size needs the header Inference-Header-Content-Length")
        if type(size) is not int or size < 0:
            raise malformed(f"{where}: binary_data_size is no number of bytes")
        left = len(self._raw) - self._at
        if size > left:
            raise malformed(f"{where}: binary_data_size is {size}, but only {left} bytes are left behind the JSON")
        self._at += size
        return self._raw[self._at - size : self._at]

    def used_up(self) -> None:
        """Refuse bytes that belong to no tensor: the ones before them would be others than the client meant."""
        if self._at != len(self._raw):
            raise malformed(f"{len(self._raw) - self._at} bytes behind the JSON belong to no tensor")


def _tensor(given: Input, raw: _Raw) -> Tensor:
    where = f"tensor {named(given.name)}"
    if given.datatype not in tensors.DATATYPES:
        raise malformed(
            f"{where}: datatype {named(given.datatype)!r} is none; one of {', '.join(tensors.DATATYPES)} is needed"
        )
    if not 1 <= len(given.shape) <= 2 or not all(0 <= size <= LARGEST for size in given.shape):
        raise malformed(f"{where}: shape {named(str(given.shape))} is not one of [rows], [rows, 1] or [rows, columns]")
    parameters = given.parameters or {}
    if parameters.get("content_type") not in READ_AS:
        raise malformed(
            f"{where}: content_type {named(repr(parameters['content_type']))} is not read here; send the values as text"
        )
    size = parameters.get("binary_data_size")
    if (size is None) == (given.data is None):
        raise malformed(f"{where}: either data or parameters.binary_data_size is needed")
    if size is None:
        values = tensors.from_json(where, given.datatype, given.shape, given.data or [])
    else:
        values = tensors.from_bytes(where, given.datatype, given.shape, raw.take(where, size))
    return Tensor(given.name, given.datatype, tuple(given.shape), values)


class Written(NamedTuple):
    """An answer: its body, and where the JSON ends when raw bytes follow."""

    body: bytes
    json_length: int | None


def write(answer: Mapping[str, Any], made: Mapping[str, Tensor], asked: Asked) -> Written:
    """The answer with the outputs that were asked for (all when none was named), raw where raw was asked for."""
    everything = (asked.parameters or {}).get("binary_data_output") is True
    outputs, behind = [], []
    for wanted in asked.outputs or [Output(name) for name in made]:
        tensor = made[wanted.name]
        shown: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if (wanted.parameters or {}).get("binary_data", everything) is True:
            raw = tensors.to_bytes(tensor.datatype, tensor.values)
            behind.append(raw)
            shown["parameters"] = {"binary_data_size": len(raw)}
        else:
            shown["data"] = tensor.values
        outputs.append(shown)
    text = msgspec.json.encode({**answer, "outputs": outputs})
    return Written(b"".join((text, *behind)), len(text) if behind else None)
