"""Bodies that came compressed. What they would grow to is bounded before they grow."""

from __future__ import annotations

import zlib

from api.door.messages import Refused

GZIP, ZLIB, RAW = 31, 15, -15
"""Window bits, as zlib names the three wrappings."""


def inflate(body: bytes, coding: bytes, limit: int) -> bytes:
    """A body of `Content-Encoding: gzip` or `deflate`, at most `limit` bytes of it.

    Raises:
        Refused: 415 another coding, 413 it grows beyond the limit, 400 it is damaged.
    """
    name = coding.strip().lower()
    if name in (b"", b"identity"):
        return body
    if name in (b"gzip", b"x-gzip"):
        return _inflated(body, GZIP, limit)
    if name == b"deflate":
        try:
            return _inflated(body, ZLIB, limit)
        except Refused as refused:
            if refused.status != 400:
                raise
            return _inflated(body, RAW, limit)  # what some clients mean by deflate
    shown = name.decode("latin-1")
    raise Refused(415, "content_encoding", f"Content-Encoding {shown!r} is not known; send gzip, deflate or none")


def _inflated(body: bytes, bits: int, limit: int) -> bytes:
    reader = zlib.decompressobj(bits)
    try:
        content = reader.decompress(body, limit + 1)
        if len(content) > limit:
            raise Refused(413, "too_large", f"the body inflates to more than {limit} bytes; send fewer records at once")
        if not reader.eof:
            raise Refused(400, "content_encoding", "the compressed body ends too soon; send it whole")
        if reader.unused_data:
            raise Refused(400, "content_encoding", "something follows the compressed body; send one stream")
    except zlib.error as error:
        raise Refused(400, "content_encoding", f"the body is not compressed as its header says ({error})") from None
    return content
