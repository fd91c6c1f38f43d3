"""The tags as Git holds them: what is read, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from gto.constants import tag_re
from hypothesis import given
from hypothesis import strategies as st

from mlops.registry import tags
from tests.registry.repository import Repository

WORDS = [
    "",
    "churn",
    "other",
    "@",
    "#",
    "v",
    "1.2.0",
    "v1.0.0-rc.1",
    "v01.0.0",
    "!",
    "prod",
    "dev-2",
    "7",
    "deprecated",
    "a/b",
    "-",
    "+b",
]


@given(st.lists(st.sampled_from(WORDS), max_size=7).map("".join))
def test_the_grammar_is_gtos(rest: str) -> None:
    name = "churn" + rest
    fields = tags._AFTER_NAME.fullmatch(name, len("churn"))
    theirs = tag_re.fullmatch(name)
    theirs_is_ours = theirs is not None and theirs["artifact"] == "churn" and not theirs["created"]
    assert (fields is not None) == theirs_is_ours
    if fields and theirs:
        assert (fields["stage"], fields["version"]) == (theirs["stage"], theirs["version"])
        assert (fields["counter"], bool(fields["away"] or fields["gone"])) == (
            theirs["counter"],
            theirs["cancel"] == "!",
        )


def test_every_kind_is_read(repository: Repository) -> None:
    commit, when = repository.git.commit("HEAD"), datetime(2026, 3, 15, 13, tzinfo=UTC)
    names = ["churn@v1.0.0", "churn#prod#1", "churn#prod!#2", "churn@v1.0.0!", "churn@deprecated", "churn#dev"]
    for number, name in enumerate(names):
        repository.tag(name, commit, when=when + timedelta(seconds=number))
    repository.tag("churners#prod#1", commit)
    repository.tag("v9", commit)
    found = {tag.name: tag for tag in tags.read(repository.git, "churn").tags}
    assert [found[n].kind for n in names] == ["register", "assign", "unassign", "archive", "deprecate", "assign"]
    assert len(found) == len(names)
    assert found["churn#prod!#2"][2:6] == (None, "prod", 2, commit)
    assert found["churn#dev"].counter is None
    assert found["churn@v1.0.0"].when == when
    assert "<" in found["churn@v1.0.0"].tagger


def test_a_lightweight_tag_is_refused_loudly_and_a_stranger_named(repository: Repository) -> None:
    commit = repository.git.commit("HEAD")
    repository.tag("churn#prod#1", commit, lightweight=True)
    repository.tag("churn@1.0", commit)
    found = tags.read(repository.git, "churn")
    assert not found.tags
    light, strange = sorted(found.refused, key=len, reverse=True)
    assert "churn#prod#1 is lightweight" in light
    assert f"git tag -a 'churn#prod#1' {commit[:8]}" in light
    assert "churn@1.0 is ignored" in strange


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("v1.9.0", "v1.10.0"),
        ("v2.0.0-rc.1", "v2.0.0"),
        ("v2.0.0-alpha", "v2.0.0-alpha.1"),
        ("v2.0.0-2", "v2.0.0-11"),
        ("v2.0.0-9", "v2.0.0-a"),
    ],
)
def test_versions_are_ordered_as_semantic_versioning_says(lower: str, higher: str) -> None:
    assert tags.order(lower) < tags.order(higher)
