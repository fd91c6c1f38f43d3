"""JSON bodies of the protocols. Their clients write a bare NaN, which JSON does not have, for a missing value."""

from __future__ import annotations

import json
from typing import Any, TypeVar, overload

import msgspec

from api.door.messages import Refused

T = TypeVar("T")
LONGEST_NAME = 100


@overload
def read(body: bytes) -> Any: ...


@overload
def read(body: bytes, form: type[T]) -> T: ...


def read(body: bytes, form: Any = Any) -> Any:
    """The document in a body, as `form` asks for it. A bare NaN is read as null; Infinity and numbers that no
    float holds as infinity, which no column takes: its refusal can then name the place.

    Raises:
        Refused: 400, what is wrong and where: no JSON, not UTF-8, nested too deeply, or not of this form.
    """
    try:
        try:
            return msgspec.json.decode(body, type=form)
        except msgspec.DecodeError as error:
            if b"NaN" not in body and b"Infinity" not in body and "out of range" not in str(error):
                raise
            return msgspec.convert(_loosely(body), form)
    except RecursionError:
        raise malformed("the body is nested too deeply", "depth") from None
    except msgspec.ValidationError as error:
        raise malformed(f"the body does not fit: {error}") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise malformed(f"the body is not JSON ({error}); send one JSON document as UTF-8", "json") from None


def _loosely(body: bytes) -> Any:
    found = json.loads(body.decode("utf-8"), parse_constant=lambda word: None if word == "NaN" else float(word))
    # Half a surrogate pair is no text: it could be read here, but never be written to a log or an answer.
    msgspec.json.encode(found)
    return found


def malformed(message: str, reason: str = "malformed") -> Refused:
    """The refusal of a body that cannot be read, whatever its values are."""
    return Refused(400, reason, message)


def named(name: str) -> str:
    """A name that a client sent, as a message repeats it."""
    return name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…"
