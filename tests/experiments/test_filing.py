"""Experiments out of contents in memory: what Git holds afterwards, and that nothing else is touched."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mlops.errors import ExperimentError, GitError
from mlops.experiments import filing
from mlops.git import Git
from tests.experiments.conftest import experiments
from tests.registry.repository import Repository


def test_a_commit_of_the_baseline_with_its_changes(project: Repository) -> None:
    base = project.git.commit("HEAD")
    changes = {
        "src/fit": None,
        "src/fit/new.py": b"A = 1\n",
        'odd "name"\\é.txt': b"\x00\xff\n",
        "params.yaml": b"a: 1\n",
    }
    filed = filing.file(project.git, name="deep", base=base, changes=changes, message="why it is tried")
    assert filed.ref == f"refs/exps/{base[:2]}/{base[2:]}/deep"
    assert project.git.commit(filed.ref) == filed.commit
    assert project.git.commit(f"{filed.commit}^") == base
    assert project.git.text("log", "-1", "--format=%B%an <%ae>", filed.commit) == (
        "deep\n\nwhy it is tried\nAda Tester <ada@example.org>"
    )
    changed = set(project.git.raw("diff", "-z", "--name-only", base, filed.commit).decode().split("\0")) - {""}
    assert changed == {
        "src/fit/__init__.py",
        "src/fit/__main__.py",
        "src/fit/new.py",
        'odd "name"\\é.txt',
        "params.yaml",
    }
    assert project.git.read(filed.commit, 'odd "name"\\é.txt') == b"\x00\xff\n"
    assert project.git.read(filed.commit, "src/fit/__main__.py") is None


def test_tree_index_and_branches_stay(project: Repository) -> None:
    project.write("params.yaml", "dirty: true\n")
    project.write("new.txt", "untracked")
    project.write("src/prepare.py", "STAGED = 1\n")
    project.git.raw("add", "src/prepare.py")
    before = project.git.text("status", "--porcelain"), (project.folder / ".git/index").read_bytes()
    branches = project.git.text("for-each-ref", "refs/heads")
    filing.file(project.git, name="a", base=project.git.commit("HEAD"), changes={"params.yaml": b"b: 2\n"})
    assert (project.git.text("status", "--porcelain"), (project.folder / ".git/index").read_bytes()) == before
    assert project.git.text("for-each-ref", "refs/heads") == branches
    assert (project.folder / "params.yaml").read_text() == "dirty: true\n"


def test_names_collide_politely_unless_told_to_overwrite(project: Repository) -> None:
    base = project.git.commit("HEAD")
    names = [filing.file(project.git, name="a", base=base, changes={"x": bytes([i])}).name for i in range(3)]
    assert names == ["a", "a-2", "a-3"]
    assert project.git.read(experiments(project)["a"], "x") == b"\0"
    filing.file(project.git, name="a", base=base, changes={"x": b"new"}, overwrite=True)
    assert project.git.read(experiments(project)["a"], "x") == b"new"
    assert len(experiments(project)) == 3


def test_eight_at_once_under_one_name_lose_nothing(project: Repository) -> None:
    base = project.git.commit("HEAD")

    def one(number: int) -> filing.Filed:
        return filing.file(Git(project.folder), name="same", base=base, changes={"x": str(number).encode()})

    with ThreadPoolExecutor(8) as pool:
        filed = list(pool.map(one, range(8)))
    assert {f.name for f in filed} == {"same", *(f"same-{i}" for i in range(2, 9))}
    assert {project.git.read(f.commit, "x") for f in filed} == {str(i).encode() for i in range(8)}


@pytest.mark.parametrize("name", ["", "a b", "a/b", "../a", "-a", ".a", "a.lock", "a..b", "a@{b", "a~1", "HEAD", "a\n"])
def test_names_that_git_would_not_take(project: Repository, name: str) -> None:
    with pytest.raises(ExperimentError, match="is no name for a run"):
        filing.file(project.git, name=name, base=project.git.commit("HEAD"), changes={})
    assert not experiments(project)


def test_what_git_refuses_is_said_and_leaves_no_report(project: Repository) -> None:
    with pytest.raises(GitError, match="could not file experiment a"):
        filing.file(project.git, name="a", base="1" * 40, changes={"x": b"y"})
    assert not list((project.folder / ".git").glob("fast_import_crash*"))
    assert not experiments(project)
