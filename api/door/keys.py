"""API keys: only their SHA-256 is ever configured, so a leaked configuration opens nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Keys:
    """Names of clients with the SHA-256 of their keys. Without any, no key is asked for."""

    entries: tuple[tuple[str, str], ...]
    _by_digest: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_digest", {digest: name for name, digest in self.entries})

    def __repr__(self) -> str:
        return f"Keys({', '.join(self.names)})"

    @property
    def names(self) -> list[str]:
        """Names of the clients."""
        return [name for name, _ in self.entries]

    def client(self, presented: bytes) -> str | None:
        """Whose key this is. Looked up by digest: the time it takes says nothing of how much of a guess was right."""
        return self._by_digest.get(hashlib.sha256(presented).hexdigest())


def parse_keys(parts: Iterable[str]) -> Keys:
    """From parts such as `crm:<64 hexadecimal digits>`; empty parts are skipped.

    Raises:
        ValueError: a part is not of that form. The message never shows it: it may be a key by mistake.
    """
    entries = []
    for number, part in enumerate((p.strip() for p in parts), start=1):
        if not part:
            continue
        found = re.fullmatch(r"([A-Za-z0-9._-]{1,64}):([0-9a-fA-F]{64})", part)
        if found is None:
            raise ValueError(
                f'entry {number} is not name:sha256; make one with `printf %s "$KEY" | sha256sum`, and keep the key'
            )
        entries.append((found[1], found[2].lower()))
    return Keys(tuple(entries))


def presented(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key of a request: `X-API-Key`, or `Authorization: Bearer`."""
    key = headers.get(b"x-api-key")
    if key is None:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        key = token.strip() if scheme.lower() == b"bearer" else None
    return key or None
