"""Tensors of the Open Inference Protocol: JSON or raw bytes ↔ flat lists of values, row by row.

Both encodings give the same values: JSON numbers are rounded to the tensor's datatype, as raw bytes are.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.protocols.document import malformed

BYTES, BOOL = "BYTES", "BOOL"
INTEGERS = {
    f"{sign}INT{bits}": np.dtype(f"<{sign.lower() or 'i'}{bits // 8}") for sign in ("", "U") for bits in (8, 16, 32, 64)
}
FLOATS = {f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)}
DATATYPES = (BOOL, *INTEGERS, *FLOATS, BYTES)
TYPES: Mapping[str, tuple[type, ...]] = {
    BOOL: (bool,),
    BYTES: (str,),
    **dict.fromkeys(INTEGERS, (int,)),
    **dict.fromkeys(FLOATS, (float, int)),
}
"""What JSON has for a datatype."""

_LENGTH = struct.Struct("<I")


def from_json(where: str, datatype: str, shape: Sequence[int], data: list[Any]) -> list[Any]:
    """The values of `data`, nested as the shape says or flat; null, and NaN in a tensor of floats, is None.

    Raises:
        Refused: 400, naming the tensor: data and shape or data and datatype do not belong together.
    """
    flat = _flat(data, shape)
    if flat is None:
        raise malformed(
            f"{where}: shape {list(shape)} asks for {math.prod(shape)} values, flat or nested like the shape;"
            " data holds something else"
        )
    if not _fit(datatype, flat):
        fits = _of_integer(datatype) if datatype in INTEGERS else lambda value: type(value) in TYPES[datatype]
        for i, value in enumerate(flat):
            if value is not None and not fits(value):
                raise malformed(f"{where}: value {i} is {_shown(value)}, which is no {datatype}")
    return _rounded(where, datatype, flat) if datatype in FLOATS else flat


def from_bytes(where: str, datatype: str, shape: Sequence[int], raw: bytes) -> list[Any]:
    """The values in raw bytes: little-endian numbers, one byte per boolean, texts behind their 4-byte lengths.

    NaN is None.

    Raises:
        Refused: 400, naming the tensor: the bytes are not what shape and datatype ask for.
    """
    wanted = math.prod(shape)
    if datatype == BYTES:
        texts = _texts(where, raw, wanted)
        found: float = len(texts)
    else:
        dtype = np.dtype(np.uint8) if datatype == BOOL else INTEGERS.get(datatype) or FLOATS[datatype]
        found = len(raw) / dtype.itemsize
    if found != wanted:
        raise malformed(
            f"{where}: shape {list(shape)} asks for {wanted} values of {datatype}, its bytes hold {found:g}"
        )
    if datatype == BYTES:
        return texts
    numbers = np.frombuffer(raw, dtype=dtype)
    return _booleans(where, numbers.tolist()) if datatype == BOOL else _listed(numbers)


def to_bytes(datatype: str, values: Sequence[Any]) -> bytes:
    """Values as raw bytes; `from_bytes` reads them back."""
    if datatype == BYTES:
        texts = [str(value).encode("utf-8") for value in values]
        return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))
    dtype = np.dtype(np.uint8) if datatype == BOOL else INTEGERS.get(datatype) or FLOATS[datatype]
    return np.asarray(values, dtype=dtype).tobytes()


def _flat(data: list[Any], shape: Sequence[int]) -> list[Any] | None:
    """Row-major values; None when they are neither flat nor nested as the shape says."""
    if not (data and type(data[0]) is list):
        return data if len(data) == math.prod(shape) else None
    parts = [data]
    for size in shape:
        if any(type(part) is not list or len(part) != size for part in parts):
            return None
        parts = list(chain.from_iterable(parts))
    return parts


def _fit(datatype: str, flat: list[Any]) -> bool:
    """Whether all values are plainly of the datatype; when not, each is looked at to name the one that is not."""
    kinds = set(map(type, flat))
    if not kinds <= {*TYPES[datatype], type(None)}:
        return False
    if datatype not in INTEGERS:
        return True
    known = [value for value in flat if value is not None] if type(None) in kinds else flat
    limits = np.iinfo(INTEGERS[datatype])
    return not known or (int(limits.min) <= min(known) and max(known) <= int(limits.max))


def _of_integer(datatype: str) -> Callable[[Any], bool]:
    """Whole numbers within the datatype's limits, also where they are written as 3.0."""
    low, high = int(np.iinfo(INTEGERS[datatype]).min), int(np.iinfo(INTEGERS[datatype]).max)
    return lambda value: type(value) in (int, float) and low <= value <= high and value == int(value)


def _rounded(where: str, datatype: str, flat: list[Any]) -> list[Any]:
    try:
        numbers: NDArray[np.float64] = np.array(flat, dtype=np.float64)  # None becomes NaN
    except OverflowError:
        raise malformed(f"{where}: a value is too large for {datatype}") from None
    with np.errstate(over="ignore"):
        return _listed(numbers.astype(FLOATS[datatype]))


def _listed(numbers: NDArray[Any]) -> list[Any]:
    values: list[Any] = numbers.tolist()
    if numbers.dtype.kind == "f":
        for i in np.flatnonzero(np.isnan(numbers)).tolist():
            values[i] = None
    return values


def _booleans(where: str, values: list[int]) -> list[bool]:
    wrong = next((i for i, value in enumerate(values) if value > 1), None)
    if wrong is not None:
        raise malformed(f"{where}: value {wrong} is byte {values[wrong]}; a BOOL is 0 or 1")
    return [value == 1 for value in values]


def _texts(where: str, raw: bytes, wanted: int) -> list[str]:
    """At most one text more than wanted: it tells that there are too many."""
    parts: list[bytes] = []
    at, end = 0, len(raw)
    while at < end and len(parts) <= wanted:
        start = at + _LENGTH.size
        at = start + _LENGTH.unpack_from(raw, at)[0] if start <= end else start
        if at > end:
            raise malformed(f"{where}: its bytes end inside value {len(parts)}")
        parts.append(raw[start:at])
    texts: list[str] = []
    try:
        texts += map(_decoded, parts)
    except UnicodeDecodeError:
        raise malformed(f"{where}: value {len(texts)} is not UTF-8") from None
    return texts


_decoded = bytes.decode


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
