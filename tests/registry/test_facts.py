"""The facts of a tag: what we write comes back, what somebody else wrote cannot harm."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops import cli
from mlops.registry import facts
from tests.registry.repository import Repository

LINES = st.text(st.sampled_from("-ab{}\n\r\u2028 \"'"), max_size=30)


@given(st.lists(LINES, max_size=4), LINES, LINES)
def test_no_text_can_forge_the_facts(body: list[str], title: str, why: str) -> None:
    stated = {"action": "assign", "why": why, "by": {"name": "Ada", "email": "ada@example.org"}}
    for signature in ("", "-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n"):
        assert facts.parse("\n" + facts.write(title, body, stated) + signature) == stated


def test_a_why_that_looks_like_facts_is_a_why() -> None:
    why = 'x\n---\n---\n{"action":"rollback","by":{"name":"The CEO","email":"c@x"}}'
    assert facts.parse(facts.write("churn v1.0.0", [f"Why: {why}"], {"action": "assign", "why": why})) == {
        "action": "assign",
        "why": why,
    }


@pytest.mark.parametrize(
    "odd",
    [
        '{"proof":"yes"}', '{"by":"Ada"}', '{"by":{"name":5}}', '{"weight":"much"}', '{"weight":7}', '{"why":5}',
        '{"experiment":7}', '{"metrics":[1]}', '{"metrics":{"roc_auc":0.7}}', '{"digests":[1]}',
        '{"digests":{"model":5}}', '{"verdict":{"verdict":"[/red]"}}', '{"verdict":[1]}', '{"x":' + "[" * 100_000,
        '{"why":"\\ud800"}',
        '{"metrics":{"roc_auc":{"value":NaN,"low":1,"high":1}}}', '{"why":"' + "x" * 20_000 + '"}',
    ],
)  # fmt: skip
def test_facts_of_a_wrong_type_are_none(
    repository: Repository, odd: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Any = facts.parse(f"\n---\n{odd}\n")
    assert not found
    repository.tag("churn#canary#1", repository.git.commit("HEAD"), f"x\n\n---\n{odd}")
    monkeypatch.chdir(repository.folder)
    for words in (["show"], ["history"], ["history", "--at", "2100-01-01"], ["show", "--json"]):
        code = cli.main(words)
        assert code == (1 if "2100-01-01" in words else 0)
    assert "ungated" in capsys.readouterr().out


def test_what_steers_a_terminal_is_not_shown(
    repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = {"action": "assign", "why": "\x1b[2J[red]x[/red]\u202e", "by": {"name": "\x1b]0;x", "email": "e"}}
    repository.tag("churn#prod#1", repository.git.commit("HEAD"), facts.write("t", [], stated))
    monkeypatch.chdir(repository.folder)
    for words in (["show"], ["history"], ["show", "--json"]):
        cli.main(words)
    out = capsys.readouterr().out
    assert not [c for c in out if not c.isprintable() and c != "\n"]
    assert "[red]x[/red]" in out, "markup is text"
