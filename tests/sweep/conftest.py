"""A clone whose pipeline ran on a small table, with a space of its own; each test gets a copy."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops import cli
from mlops.git import Git
from tests.e2e.conftest import Workspace, clone

SPACE = {
    "max_depth": {"low": 2, "high": 6},
    "learning_rate": {"low": 0.05, "high": 0.3, "log": True},
    "train.class_weight": {"choices": ["balanced", None]},
}
SWEEP: dict[str, Any] = {"validate": {"method": "cv", "folds": 3}, "params": SPACE, "startup": 3}


class Project(Workspace):
    """A copy of the small project, in the current folder."""

    @property
    def git(self) -> Git:
        return Git(self.folder)

    def sweep(self, **changed: Any) -> None:
        """Write the sweep section of policy.yaml, and commit it."""
        text = re.sub(r"\nsweep:.*", "", self.read("policy.yaml"), flags=re.DOTALL)
        (self.folder / "policy.yaml").write_text(
            f"{text}\n{yaml.safe_dump({'sweep': SWEEP | changed}, sort_keys=False)}"
        )
        self.git.raw("commit", "--quiet", "--all", "--allow-empty", "--message=a space")

    def trials(self) -> dict[str, dict[str, Any]]:
        """Name → record of the trials that are experiments."""
        listed = self.git.text("for-each-ref", "--format=%(refname)", "refs/exps/").split()
        records = self.git.contents([f"{ref}:sweep.json" for ref in listed])
        return {r.split("/", 4)[4]: json.loads(c) for r, c in zip(listed, records, strict=True) if c is not None}


Mlops = Callable[..., Any]


@pytest.fixture
def mlops(capsys: pytest.CaptureFixture[str]) -> Mlops:
    """`mlops …` in this process; its exit code, what it printed, its errors."""

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project, which nobody changes."""
    base = tmp_path_factory.mktemp("small")
    folder = base / "clone"
    folder.mkdir()
    clone(folder)
    workspace = Workspace(folder, base / "home")
    workspace.edit("params.yaml", "customers: 12000", "customers: 1200")
    workspace.edit("params.yaml", "months: 18", "months: 8")
    workspace.edit("params.yaml", "resamples: 1000", "resamples: 100")
    workspace.edit("params.yaml", "n_estimators: null", "n_estimators: 30")
    workspace.run("dvc repro --quiet && git add -A && git commit -qm 'run on a small table'")
    return folder


@pytest.fixture
def project(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of the small project with a space; the current folder is one inside it."""
    folder = tmp_path / "project"
    shutil.copytree(small, folder, symlinks=True)
    made = Project(folder, tmp_path / "home")
    made.sweep()
    monkeypatch.chdir(folder / "src")
    return made
