"""Names out of tables, parameters and branches, made harmless: nothing that they say is taken for markup or a command.

GitHub and GitLab look for @mentions, issues, commits, addresses, math and emoji in what Markdown has already become: an
escaping backslash does not help against those, an invisible word joiner (U+2060) after the sign that begins them does.
Of `www.` it stands before the dot: after it, it would be part of the host's name, and browsers drop it there.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable

JOINER = "\u2060"
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode's categories of what cannot be seen: controls, direction marks, zero-width signs, line separators."""
BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""What cannot be seen of other categories: fillers of Hangul, the empty Braille pattern, variation selectors."""
REPLACED = "\N{REPLACEMENT CHARACTER}"
MOST_MARKS = 3
"""Accents that one letter may carry; more of them would paint over the lines around."""

_CODE = re.compile(r"`([^`]+)`|\b([0-9a-f]{7,64})\b")
_SIGNS = re.compile(r"((?i:\bGH-(?=\w)|www(?=\.)))|([@#!%~:&$])(?=[\w\".+/-])|[\\`*_\[\]|~&<>$]|#\Z")
_BEGINS = re.compile(r"^(?:#|[-+=](?=[\s=-]|$)|\d{1,9}(?=[.)](?:\s|$)))")
_ESCAPED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "<span>$</span>"}


def clean(text: str) -> str:
    """The text on one line, in which every character can be seen, and none changes the direction of others."""
    return visible(re.sub(r"[ \t\n\r\f\v]+", " ", text).strip(" "))


def visible(text: str) -> str:
    """The text with a sign in the place of each character that cannot be seen."""
    seen, marks = [], 0
    for sign in text:
        category = unicodedata.category(sign)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks <= MOST_MARKS:
            seen.append(REPLACED if category in HIDDEN or BLANK.match(sign) else sign)
    return "".join(seen)


def markdown(text: str) -> str:
    """The text for Markdown of GitHub and GitLab, in a sentence or a cell; commands and hashes of commits as code."""
    return _parts(text, _plain_markdown, _code_markdown)


def web(text: str) -> str:
    """The text for HTML; commands and hashes of commits as code."""
    return _parts(text, html.escape, lambda code: f"<code>{html.escape(code)}</code>")


def _parts(text: str, plain: Callable[[str], str], code: Callable[[str], str]) -> str:
    made, end = [], 0
    whole = clean(text)
    for found in _CODE.finditer(whole):
        inside = found[1] or found[2]
        if inside.strip():
            made += [plain(whole[end : found.start()]), code(inside)]
            end = found.end()
    return "".join([*made, plain(whole[end:])])


def _code_markdown(text: str) -> str:
    """Inside code nothing has a meaning, but in a cell pipes and backslashes have."""
    return f"<code>{_signs(text)}</code>" if set(text) & {"|", "\\"} else f"`{text}`"


def _plain_markdown(text: str) -> str:
    made, begin = _signs(text), _BEGINS.match(text)
    if begin is None or made.startswith("\\"):  # it is escaped already
        return made
    at = begin.end() if text[0].isdigit() else 0
    return f"{made[:at]}\\{made[at:]}"


def _signs(text: str) -> str:
    def replaced(found: re.Match[str]) -> str:
        sign = found[0]
        if found[1]:
            return sign + JOINER
        escaped = f"\\{sign}" if sign in "\\`*_[]|~" else _ESCAPED.get(sign, sign)
        return escaped + JOINER if found[2] else "\\#" if sign == "#" else escaped

    return _SIGNS.sub(replaced, text)
