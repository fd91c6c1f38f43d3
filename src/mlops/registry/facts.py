"""What a tag's message says: a readable part for `git show`, and under it the same facts for programs.

    churn v1.2.0 → prod

    better: roc_auc 0.8012 against 0.7900 of v1.1.0, …

    ---
    {"action": "assign", "version": "v1.2.0", …}

A signature that Git puts below changes nothing of it. Facts that somebody's own tag does not have are simply not there.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from mlops.git import Git

Facts = dict[str, Any]
LINE = "\n---\n"
LONGEST, LONGEST_TEXT = 1_000_000, 10_000
"""Characters of a message whose facts are read, and of a text among them."""
VERDICTS = ("better", "no worse", "worse", "undecided", "not comparable")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DECODER = json.JSONDecoder()


def write(title: str, body: Sequence[str], facts: Facts) -> str:
    """The message of a tag. No line of the text can be taken for the beginning of the facts."""
    lines = "\n".join([title, "", *body]).splitlines()
    text = "\n".join(f" {line}" if line.strip() == LINE.strip() else line for line in lines)
    return f"{text}\n{LINE}{json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)}\n"


def parse(message: str) -> Facts | None:
    """The facts of a message, as far as they are of the types that they must have; None where it holds none."""
    at = message.rfind(LINE + "{")
    if at < 0 or len(message) > LONGEST:
        return None
    try:
        facts, _ = _DECODER.raw_decode(message, at + len(LINE))
    except (ValueError, RecursionError):
        return None
    return _typed(facts) if isinstance(facts, dict) else None


def _typed(facts: Facts) -> Facts:
    """Only what is of the right type: anybody may write a tag by hand, and one that is odd must not stop the others."""
    return {key: value for key, value in facts.items() if key in _TYPES and _TYPES[key](value)}


def _text(value: Any) -> bool:
    """A text that is not too long and can be written to a file: JSON may hold half a surrogate pair."""
    return isinstance(value, str) and len(value) <= LONGEST_TEXT and not _SURROGATE.search(value)


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(_text(v) for v in value.values())


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1


def _metrics(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(m, dict) and all(_number(m.get(part)) for part in ("value", "low", "high")) for m in value.values()
    )


def _person(value: Any) -> bool:
    return _texts(value) and value.keys() == {"name", "email"}


def _verdict(value: Any) -> bool:
    return isinstance(value, dict) and value.get("verdict") in VERDICTS


def _proof(value: Any) -> bool:
    return isinstance(value, dict) and _text(value.get("verdict"))


_TYPES: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("action", "version", "stage", "commit", "origin", "why", "experiment", "from", "at"), _text),
    "forced": lambda value: isinstance(value, bool),
    "weight": _share,
    "metrics": _metrics,
    "digests": _texts,
    "by": _person,
    "verdict": _verdict,
    "proof": _proof,
}
"""What a tag may state, and how each is known to be what it should be."""


def of(git: Git, objects: Sequence[str]) -> list[Facts]:
    """The facts of tags, named by their objects' hashes; an empty one for a tag that has none. One git process."""
    found = []
    for content in git.contents(list(objects)):
        message = (content or b"").decode("utf-8", "replace").partition("\n\n")[2]
        found.append(parse("\n" + message) or {})
    return found


def verdict(facts: Facts) -> str:
    """The gate's verdict in one word, `forced: …` where it was overruled, `ungated` where nobody asked it."""
    said = facts.get("verdict")
    word = said.get("verdict") if isinstance(said, dict) else None
    if not isinstance(word, str):
        return "ungated"
    return f"forced: {word}" if facts.get("forced") else word
