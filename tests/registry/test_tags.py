"""The tags as Git holds them: what is read, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

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


def test_a_tag_that_was_renamed_is_not_followed(repository: Repository) -> None:
    """A signature holds for the name inside the tag: under another one it is somebody else's word."""
    commit = repository.git.commit("HEAD")
    repository.tag("churn#dev#1", commit)
    repository.git.raw("update-ref", "refs/tags/churn#prod#2", repository.git.text("rev-parse", "churn#dev#1"))
    found = tags.read(repository.git, "churn")
    assert [tag.name for tag in found.tags] == ["churn#dev#1"]
    assert "churn#prod#2 is NOT followed: it was made, and signed if at all, as churn#dev#1" in found.refused[0]
    assert found.counter == 2


def test_only_commits_are_followed(repository: Repository) -> None:
    commit = repository.git.commit("HEAD")
    repository.tag("churn#dev#1", commit)
    for number, thing in enumerate((f"{commit}^{{tree}}", f"{commit}:policy.yaml", "churn#dev#1"), 2):
        repository.tag(f"churn#prod#{number}", thing)
    found = tags.read(repository.git, "churn")
    assert [tag.name for tag in found.tags] == ["churn#dev#1"]
    assert [w.split("it names a ")[1].split(",")[0] for w in found.refused] == ["tree", "blob", "tag"]


@pytest.mark.parametrize(
    "tagger",
    [
        "tagger A\u2028da <a@b.c> 1767225600 +0000\n",
        "tagger A\x0cda <a@b.c> 1767225600 +0000\n",
        "tagger Ada <a@b.c> 99999999999999 +0000\n",
        "tagger Ada <a@b.c>\n",
        "tagger \x1b]0;owned\x07\x1b[2J <a@b.c> 1767225600 +0000\n",
        "",
    ],
)
def test_an_odd_tagger_stops_nobody(repository: Repository, tagger: str) -> None:
    commit = repository.git.commit("HEAD")
    repository.tag("churn#prod#1", commit)
    content = f"object {commit}\ntype commit\ntag churn#prod#2\n{tagger}\nodd\n".encode()
    made = (
        repository.git.raw("hash-object", "-t", "tag", "-w", "--stdin", "--literally", given=content).decode().strip()
    )
    repository.git.raw("update-ref", "refs/tags/churn#prod#2", made)
    found = tags.read(repository.git, "churn")
    assert "churn#prod#1" in {tag.name for tag in found.tags}
    for tag in found.tags:
        assert tag.tagger.isprintable()
        assert tag.when.year < 2300
    assert len(found.tags) + len(found.refused) == 2


def test_a_name_in_other_bytes_is_only_ignored(repository: Repository) -> None:
    commit = repository.git.commit("HEAD")
    made = repository.git.text(
        "mktag", given=f"object {commit}\ntype commit\ntag x\ntagger A <a@b.c> 1 +0000\n\nx".encode()
    )
    (repository.folder / ".git" / "packed-refs").write_bytes(f"{made} refs/tags/churn#".encode() + b"\xff\n")
    found = tags.read(repository.git, "churn")
    assert not found.tags
    assert len(found.refused) == 1


def test_the_surroundings_do_not_lead_into_another_repository(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git sets these while a hook runs."""
    other = Repository.new(tmp_path / "other")
    other.tag("churn#prod#1", other.git.commit("HEAD"))
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.folder))
    assert not tags.read(repository.git, "churn").tags
