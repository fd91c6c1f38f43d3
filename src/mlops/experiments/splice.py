"""YAML files of people with other values in them: only these change, comments stay where they are."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import yaml

Node = yaml.nodes.Node
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_GAP = re.compile(r"( +)#")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"))


def with_values(text: str, values: Mapping[str, Any]) -> str:
    """The text with other values at dotted keys, all of which it has (`has`)."""
    known = _values(text)
    for key in sorted(values, key=lambda k: -known[k][0]):  # from the end, so that places before it stay right
        start, end = known[key]
        gap = " " if text[start - 1 : start] == ":" else ""
        new = gap + shown(values[key])
        spaces = None if "\n" in text[start:end] else _GAP.match(text, end)
        rest = max(len(spaces[1]) + end - start - len(new), 1) * " " if spaces else ""
        text = text[:start] + new + rest + text[end + len(spaces[1]) if spaces else end :]
    return text


def has(text: str, key: str) -> bool:
    """Whether the text has a value at a dotted key that is no mapping."""
    return key in _values(text)


def with_items(text: str, key: str, items: list[str], *, listed: bool = True) -> str:
    """The text with more entries in front of those of a top-level list or mapping, which is made where it is missing.

    Args:
        text: YAML.
        key: of the list or mapping.
        items: YAML on one line each, of a list without the dash.
        listed: whether it is a list.
    """
    dash = "- " if listed else ""
    node = next((value for name, value in _pairs(_root(text)) if name.value == key), None)
    if node is None:
        return f"{text.rstrip()}\n\n{key}:\n".lstrip() + "".join(f"  {dash}{item}\n" for item in items)
    start, column = node.start_mark.index, node.start_mark.column
    if not isinstance(node, yaml.nodes.CollectionNode):  # `plots:` and nothing below
        end = int(node.end_mark.index)
        return text[:start] + "".join(f"\n  {dash}{item}" for item in items) + text[end:]
    if node.flow_style:
        return text[: start + 1] + "".join(f"{item}, " for item in items) + text[start + 1 :]
    return text[:start] + "".join(f"{dash}{item}\n{' ' * column}" for item in items) + text[start:]


def without_items(text: str, key: str, unwanted: Callable[[str], bool]) -> str:
    """The text without those entries of a top-level block list whose own text is unwanted."""
    node = next((value for name, value in _pairs(_root(text)) if name.value == key), None)
    if not isinstance(node, yaml.nodes.SequenceNode) or node.flow_style or not node.value:
        return text
    starts = [text.rfind("\n", 0, item.start_mark.index) + 1 for item in node.value]
    ends = [*starts[1:], text.find("\n", _end(node)) + 1 or len(text)]
    kept = [text[a:b] for a, b in zip(starts, ends, strict=True) if not unwanted(text[a:b])]
    before = text[: starts[0]] if kept else f"{text[: starts[0]].rstrip()} []\n"
    return before + "".join(kept) + text[ends[-1] :]


def shown(value: Any) -> str:
    """A value on one line of YAML, read alike by YAML 1.1 and 1.2."""
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else _quoted(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
        mantissa, e, exponent = repr(value).partition("e")
        return f"{mantissa}{'' if '.' in mantissa else '.0'}e{exponent}" if e else mantissa
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{shown(str(k))}: {shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(shown, value)) + "]"
    return json.dumps(value)


def _quoted(text: str) -> str:
    """A text in quotes, what cannot be seen escaped as YAML has it (JSON's pairs of halves are nothing to it)."""
    escaped = (f"\\U{ord(c):08x}" if not c.isprintable() else f"\\{c}" if c in '"\\' else c for c in text)
    return f'"{"".join(escaped)}"'


@lru_cache(maxsize=16)
def _values(text: str) -> dict[str, tuple[int, int]]:
    """Dotted key → where its value begins and ends, of values that are no mappings."""
    found: dict[str, tuple[int, int]] = {}

    def walk(node: Node | None, prefix: str) -> None:
        for name, value in _pairs(node):
            key = f"{prefix}{name.value}"
            if isinstance(value, yaml.nodes.MappingNode):
                walk(value, f"{key}.")
            else:
                found[key] = value.start_mark.index, _end(value)

    walk(_root(text), "")
    return found


@lru_cache(maxsize=16)
def _root(text: str) -> Node | None:
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _pairs(node: Node | None) -> list[tuple[Node, Node]]:
    return node.value if isinstance(node, yaml.nodes.MappingNode) else []


def _end(node: Node) -> int:
    """Where a value ends; a block list is said to end where the next key begins, so its last entry is asked."""
    if isinstance(node, yaml.nodes.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)
