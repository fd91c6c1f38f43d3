"""Parameter files of a thousand commits: most of their lines are the same, so the text of each top-level key is read
once, and a plain number without any reader of YAML.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML without libyaml: the same, slower
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

_NUMBER = re.compile(r"([A-Za-z_]\w*): +(?:(-?(?:0|[1-9]\d*))|(-?\d+\.\d+(?:e[-+]?\d+)?))(?: +#.*)?")
_KEY = re.compile(r"^(?=[A-Za-z_])", re.MULTILINE)
_POWER = re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+")


class _Loader(_Base):
    """Reads dates as the texts they are, and `1e-3` as the number it is: as DVC does, which reads YAML 1.2."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(rf"^(?:{_POWER.pattern})$"), list("-+0123456789"))


class Reader:
    """Reads texts of YAML as dotted key → value. What is equal in many texts is one object in what comes of them."""

    def __init__(self) -> None:
        self._read: dict[str, dict[str, Any] | None] = {}

    def flat(self, content: bytes | None) -> dict[str, Any]:
        """The values of a file; empty for none, and for what holds no keys and values."""
        text = (content or b"").decode("utf-8", "replace")
        begin, *parts = _split(text)
        found = self._parts(parts) if _is_comment(begin) else None
        return _document(text) or {} if found is None else found

    def _parts(self, parts: list[str]) -> dict[str, Any] | None:
        """The values of the texts of all top-level keys; None where one cannot be read without the others."""
        found: dict[str, Any] = {}
        number = 0
        for part in parts:
            values = self._part(part)
            if values is None:
                return None
            number += len(values)
            found.update(values)
        return found if number == len(found) else None

    def _part(self, part: str) -> dict[str, Any] | None:
        if part in self._read:
            return self._read[part]
        line, _, rest = part.partition("\n")
        number = _NUMBER.fullmatch(line)
        if number and _is_comment(rest):  # of a thousand experiments perhaps as many different ones
            return {number[1]: int(number[2]) if number[2] else float(number[3])}
        self._read[part] = _document(part)
        return self._read[part]


def _split(text: str) -> list[str]:
    """What stands before the first line that begins with a letter, and the text of each such line and those below."""
    return _KEY.split(text)


def mapping(content: bytes | str | None) -> dict[str, Any]:
    """What a file of JSON holds; empty for none, and for what is no object: others' files may hold anything."""
    if content is None:
        return {}
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def flat(document: Any, prefix: str = "") -> dict[str, Any]:
    """A nested document as dotted names (those of `mlops.registry.describe`, which loads more than a look needs)."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            found.update(flat(value, f"{prefix}{key}.") if value else {f"{prefix}{key}": value})
        else:
            found[f"{prefix}{key}"] = value
    return found


def _is_comment(text: str) -> bool:
    """Whether there is nothing but comments and empty lines."""
    return not text or all(line.lstrip(" ")[:1] in ("", "#") for line in text.split("\n"))


def _document(text: str) -> dict[str, Any] | None:
    """The values of a text that is a mapping; None for any other text."""
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
        return flat(document) if isinstance(document, dict) else None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return None
