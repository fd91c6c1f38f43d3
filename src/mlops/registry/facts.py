"""What a tag's message says: a readable part for `git show`, and under it the same facts for programs.

    churn v1.2.0 → prod

    better: roc_auc 0.8012 against 0.7900 of v1.1.0, …

    ---
    {"action": "assign", "version": "v1.2.0", …}

A signature that Git puts below changes nothing of it. Facts that somebody's own tag does not have are simply not there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mlops.git import Git

Facts = dict[str, Any]
LINE = "\n---\n"
_DECODER = json.JSONDecoder()


def write(title: str, body: Sequence[str], facts: Facts) -> str:
    """The message of a tag."""
    text = "\n".join([title, "", *body]).replace(LINE, "\n--\n")
    return f"{text}\n{LINE}{json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)}\n"


def parse(message: str) -> Facts | None:
    """The facts of a message; None where it holds none."""
    at = message.find(LINE + "{")
    if at < 0:
        return None
    try:
        facts, _ = _DECODER.raw_decode(message, at + len(LINE))
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


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
