"""Bodies of the service's own routes: JSON, and what is said when they are not."""

from __future__ import annotations

from typing import Any

import msgspec

from api.door.messages import JSON, Refused, Request

_decode = msgspec.json.Decoder().decode
ACCEPTED = frozenset((JSON, b"application/json; charset=utf-8", b"application/json;charset=utf-8", None))
"""Content types that need no second look; without one, JSON is assumed."""


def json_type(request: Request) -> None:
    """Refuse a body that says it is something else.

    Raises:
        Refused: 415.
    """
    given = request.headers.get(b"content-type")
    if given in ACCEPTED:
        return
    assert given is not None
    kind, _, rest = given.lower().partition(b";")
    charset = rest.replace(b" ", b"").replace(b'"', b"")
    if kind.strip() != JSON or charset not in (b"", b"charset=utf-8", b"charset=utf8"):
        shown = given.decode("latin-1")
        raise Refused(415, "content_type", f"Content-Type {shown!r} is not taken here; send application/json in UTF-8")


def document(request: Request) -> Any:
    """The body as Python values.

    Raises:
        Refused: 400, it is not JSON.
    """
    if not request.body:
        raise Refused(400, "json", "the body is empty; send JSON")
    try:
        return _decode(request.body)
    except UnicodeDecodeError as error:
        raise Refused(400, "utf8", f"the body is not UTF-8 (byte {error.start}); send JSON in UTF-8") from None
    except RecursionError:
        raise Refused(400, "depth", "the body is nested too deeply; a record is one object") from None
    except msgspec.ValidationError as error:  # a number that no float holds
        raise Refused(422, "range", f"{error}; the model reads no such number") from None
    except msgspec.DecodeError as error:
        raise Refused(400, "json", f"{error}; NaN and Infinity are no JSON either: send null") from None
