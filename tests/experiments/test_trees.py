"""Files of many commits at once are those that Git finds one by one."""

from __future__ import annotations

import os
from pathlib import Path

from mlops.experiments import trees
from mlops.git import Git

PATHS = ("params.yaml", "metrics/evaluate/metrics.json", "notebook.json", "metrics/live.json")


def commit(git: Git, files: dict[str, str]) -> str:
    """A commit with these files and no others."""
    git.raw("rm", "-r", "-q", "--ignore-unmatch", ".")
    for path, content in files.items():
        (git.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (git.folder / path).write_text(content)
    git.raw("add", "-A")
    git.raw("commit", "-q", "--allow-empty", "-m", "some")
    return git.commit("HEAD")


def test_they_are_those_that_git_finds_one_by_one(tmp_path: Path) -> None:
    git = Git(tmp_path)
    git.raw("init", "-q")
    commits = [
        commit(git, {}),
        commit(git, {"params.yaml": "a: 1\n", "metrics/evaluate/metrics.json": "{}"}),
        commit(git, {"metrics": "a file", "notebook.json/inside": "a folder", "my params.yaml": "another"}),
        commit(git, {"params.yaml": "", "metrics/live.json": "1", "é\n100644 params.yaml": "x"}),
    ]
    os.symlink("elsewhere", tmp_path / "notebook.json")
    git.raw("add", "-A")
    git.raw("commit", "-q", "-m", "a link")
    commits.append(git.commit("HEAD"))
    wanted = [tuple(git.read(c, path) for path in PATHS) for c in commits]
    assert list(trees.contents(git, [f"{c}^{{tree}}" for c in commits], PATHS)) == wanted
    hashes = [git.text("rev-parse", f"{c}^{{tree}}") for c in commits]
    assert list(trees.contents(git, hashes, PATHS)) == wanted
    assert sum(found is not None for row in wanted for found in row) == 7
    assert list(trees.contents(git, [], PATHS)) == []
