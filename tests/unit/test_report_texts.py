"""Whatever a name says, it is shown, and does nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlops.report import texts
from mlops.report.texts import JOINER

NASTY = st.text(
    st.one_of(st.sampled_from(list("`*_[]()<>#+-=!|~@&$:./\\\n\t\"'1a%^{}")), st.characters(codec="utf-8")), max_size=40
)
EXAMPLES = [
    "@everyone", "#12 and GH-1, acme/churn#7", "![x](http://evil.example/x.png)", "<img src=x onerror=alert(1)>",
    "</td></tr></table><script>alert(1)</script>", "a | b `x|y`", "`` x ` `", "`a\\|[click](http://evil.example)`",
    "www.evil.example https://evil.example a@b.example", "1. one", "- [ ] task", "# title", "====", "$x$ $$y$$",
    "&lt;b&gt; &amp;", "\\", "a\\", "*a* _b_ ~~c~~ **d**", "[^1] [a]: b", "\u202etxt.exe\u202c", "\x1b[31mred\x07",
    "zero\u200bwidth", "in C#", "C #", "all ##", "#", "_www.evil.example",
    "WWW.evil.example (www.evil.example", "a\u3164b\u115f\u1160\u2800\ufe0f\uffa0", "a\nb\r\nc", ":+1: :smile:",
    "!12 %3 ~bug &9", "Z\u0351\u0351\u0351\u0351\u0351\u0351algo",
]  # fmt: skip
LINKS = r"(?:^|[\s*_~(])(?i:www\.)\S|(?i:https?|ftp)://\S|(?i:mailto|xmpp):\S|[\w.+-]+@[\w.-]+"
"""What GitHub's Markdown makes a link of by itself ("Autolinks (extension)" of its specification): any character but
a space or punctuation may be part of a host's name, U+2060 as well.
"""
REFERENCES = re.compile(rf"[@#!%~]\w|\bGH-\d|{LINKS}|:[\w+-]+:|\b[0-9a-f]{{7,40}}\b")
"""What GitHub and GitLab look for in the finished text."""
ALLOWED = {"p", "h2", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "code", "span"}


class Read(HTMLParser):
    """The text of a page, which elements it has, and each text outside of code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.outside = "", [], []
        self._code = 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        assert not [a for a in attrs if a[0] != "style"]  # type: ignore[attr-defined]
        self.tags.append(tag)
        self._code += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag == "code"

    def handle_data(self, data: str) -> None:
        self.text += data
        if not self._code:
            self.outside.append(data)


def shown(markdown: str) -> Read:
    return Read(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))


def squeezed(text: str) -> str:
    """Without white space, the joiner, and the backticks that became code."""
    return re.sub(r"[\s`]", "", text.replace(JOINER, ""))


@pytest.mark.parametrize("place", ["## {}\n", "{}\n", "- {}\n- end\n", "| a | {} |\n| :-- | :-- |\n| {} | b |\n"])
@given(text=NASTY)
@example(text=EXAMPLES[7])
@example(text="C #")
@example(text="#")
@example(text="_www.a")
def test_text_comes_out_as_it_went_in_anywhere_in_markdown(place: str, text: str) -> None:
    found = shown(place.replace("{}", texts.markdown(text)))
    assert set(found.tags) <= ALLOWED
    expected = squeezed(texts.clean(text))
    assert not expected or squeezed(found.text).count(expected) >= place.count("{}")
    assert (found.tags.count("th"), found.tags.count("td")) == ((2, 2) if "|" in place else (0, 0))
    assert not any(REFERENCES.search(said) for said in found.outside)


@pytest.mark.parametrize("text", EXAMPLES)
def test_known_tricks_are_only_shown(text: str) -> None:
    found = shown(f"{texts.markdown(text)}\n\n| {texts.markdown(text)} |\n| :-- |\n| x |\n")
    assert set(found.tags) <= ALLOWED
    for said in found.outside:
        assert not REFERENCES.search(said), said
    hidden = "\u202a-\u202e\u2066-\u2069\u200b\x00-\x08\x0b-\x1f\u3164\u115f\u1160\u2800\ufe00-\ufe0f\uffa0"
    assert not re.search(f"[{hidden}]", found.text)


def test_each_sign_that_cannot_be_seen_is_seen() -> None:
    for sign in ("\u3164", "\u115f", "\u1160", "\u2800", "\ufe00", "\ufe0f", "\uffa0", "\u200b", "\U000e0100"):
        assert texts.clean(f"a{sign}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_commands_and_commits_are_code() -> None:
    assert texts.markdown("0123abcd: `dvc repro`, then commit") == "`0123abcd`: `dvc repro`, then commit"
    assert texts.web("`a<b` & c") == "<code>a&lt;b</code> &amp; c"


@given(NASTY)
def test_html_shows_the_text_and_nothing_else(text: str) -> None:
    found = Read(f"<p>{texts.web(text)}</p>")
    assert set(found.tags) <= {"p", "code"}
    assert squeezed(found.text) == squeezed(texts.clean(text))


@given(NASTY)
def test_clean_text_is_one_line_without_hidden_signs(text: str) -> None:
    found = texts.clean(text)
    assert len(found.splitlines()) <= 1
    assert texts.clean(found) == found
