"""What a branch is compared with, in clones of all kinds; where there is nothing, a line says what to type."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlops import cli
from mlops.errors import ReportError
from mlops.report import base
from tests.registry.repository import Repository


@pytest.fixture
def branched(repository: Repository) -> Repository:
    """main with two commits, topic with two of its own that left it at the first."""
    repository.git.raw("switch", "--quiet", "--create", "topic")
    repository.commit("Mine")
    repository.commit("Mine too")
    repository.git.raw("switch", "--quiet", "main")
    repository.commit("Theirs")
    repository.git.raw("switch", "--quiet", "topic")
    return repository


def test_it_is_where_the_branch_left_main(branched: Repository) -> None:
    found = base.find(branched.git)
    assert (found.head, found.commit) == (branched.git.commit("HEAD"), branched.git.commit("main~1"))
    assert (found.branch, found.ahead, found.behind) == ("main", 2, 1)
    assert found.name == f"main ({found.commit[:8]})"
    assert base.find(branched.git, "HEAD~1").ahead == 1


def test_the_remotes_main_comes_first_under_the_same_name(branched: Repository) -> None:
    place = branched.bare()
    clone = branched.clone("clone")
    clone.git.raw("switch", "--quiet", "--detach", "HEAD~1")
    other = clone.commit("Elsewhere")
    found = base.find(clone.git)
    assert (found.head, found.branch) == (other, "main")
    clone.git.raw("branch", "--quiet", "--force", "main", "HEAD")  # local main is not asked
    assert base.find(clone.git).commit == found.commit
    assert base.find(clone.git, base="origin/main").branch == "main"
    assert place.exists()


def test_a_commit_may_be_named_instead(branched: Repository) -> None:
    found = base.find(branched.git, base="HEAD~1")
    assert (found.commit, found.branch) == (branched.git.commit("HEAD~1"), "HEAD~1")
    full = branched.git.commit("HEAD~1")
    assert base.find(branched.git, base=full).name == full[:8]


def test_main_itself_has_nothing_to_compare(branched: Repository) -> None:
    with pytest.raises(ReportError, match="main is in main already: there is nothing to compare; commit on a branch"):
        base.find(branched.git, "main")
    assert base.find(branched.git, "main", "main~1").ahead == 1


def test_a_branch_that_is_not_there(branched: Repository) -> None:
    with pytest.raises(ReportError, match=r"--base trunk names no commit here; `git fetch origin trunk` brings it"):
        base.find(branched.git, base="trunk")
    branched.git.raw("branch", "--quiet", "--move", "main", "trunk")
    with pytest.raises(ReportError, match=r"neither origin/main nor main here; .*name another branch with --base"):
        base.find(branched.git)


def test_a_shallow_clone_says_how_to_deepen_it(branched: Repository) -> None:
    branched.bare()
    branched.git.raw("push", "--quiet", "origin", "main:main", "--force")
    branched.git.raw("push", "--quiet", "origin", "topic")
    place = branched.folder.with_name("shallow")
    url = branched.folder.with_name(f"{branched.folder.name}-origin.git").as_uri()
    words = ["clone", "--quiet", "--depth=1", "--branch=topic", url, str(place)]
    subprocess.run(["git", *words], check=True, capture_output=True)
    shallow = Repository(place)
    with pytest.raises(ReportError, match="this clone is shallow: `git fetch --unshallow origin"):
        base.find(shallow.git)
    shallow.git.raw("fetch", "--quiet", "--depth=1", "origin", "main:refs/remotes/origin/main")
    with pytest.raises(ReportError, match="this clone is shallow, and lacks the commit where HEAD left origin/main"):
        base.find(shallow.git)
    shallow.git.raw("fetch", "--quiet", "--unshallow", "origin", "+refs/heads/*:refs/remotes/origin/*")
    assert base.find(shallow.git).commit == branched.git.commit("main~1")


def test_unrelated_histories(branched: Repository) -> None:
    branched.git.raw("switch", "--quiet", "--orphan", "other")
    branched.commit("From nothing")
    with pytest.raises(ReportError, match="HEAD and main have no commit in common: their histories are unrelated"):
        base.find(branched.git)


@pytest.mark.parametrize("command", ["report", "gate"])
def test_a_repository_without_a_commit(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "empty")], check=True)
    monkeypatch.chdir(tmp_path / "empty")
    assert cli.main([command]) == 1
    said = capsys.readouterr().err
    assert (said.count("\n"), "has no commit yet" in said) == (1, True)
    monkeypatch.chdir(tmp_path)
    assert cli.main([command]) == 1
    assert "is in no Git repository" in capsys.readouterr().err
