"""A clone of this working tree in a folder of its own, with its pipeline run once on a small simulated table."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops import schema, simulator
from mlops.table import project

ROOT = Path(__file__).resolve().parents[2]

Run = subprocess.CompletedProcess[str]


def environment(home: Path, **extra: str) -> dict[str, str]:
    """What a newcomer's shell has: an empty home, this environment's programs first, nothing else of ours."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if k in ("LANG", "TMPDIR", "SSL_CERT_FILE", "CHURN_TABLES")}
    who = {
        f"GIT_{r}_{k}": v for r in ("AUTHOR", "COMMITTER") for k, v in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    quiet = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(home / "site"), "GIT_CONFIG_NOSYSTEM": "1"}
    return {**kept, **who, **quiet, "HOME": str(home), "PATH": path, "COLUMNS": "120", **extra}


class Workspace:
    """A clone and its shell."""

    def __init__(self, folder: Path, home: Path, **extra: str) -> None:
        self.folder = folder
        self.env = environment(home, **extra)

    def run(self, command: str, *, ok: bool = True) -> Run:
        """Run a shell command line in the clone; unless told otherwise, it has to succeed."""
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=self.env, capture_output=True, text=True)
        if ok:
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = self.read(name)
        assert old in text, f"{name} does not hold {old!r}"
        (self.folder / name).write_text(text.replace(old, new), encoding="utf-8")

    def small(self) -> None:
        """Make the simulated table small enough for a test."""
        self.edit("params.yaml", "customers: 12000", "customers: 1500")
        self.edit("params.yaml", "resamples: 1000", "resamples: 200")


def simulated(folder: Path) -> None:
    """Put a clone back to the embedded default: whoever brought a table of her own can still run the tests."""
    (folder / "params.yaml").write_text((ROOT / "tests" / "params.yaml").read_text())
    (folder / "data" / "schema.yaml").write_text(schema.dump(simulator.SCHEMA))
    pipeline = folder / "dvc.yaml"
    pipeline.write_text(project.with_deps(pipeline.read_text(), []))
    shutil.rmtree(folder / "data" / "source", ignore_errors=True)


def clone(folder: Path, *, as_it_is: bool = False) -> None:
    """This working tree's files, committed or not, as the first commit of a repository of their own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        source = ROOT / name
        if source.exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    if not as_it_is:
        simulated(folder)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "clone"]):
        subprocess.run(["git", *command], cwd=folder, check=True, env=environment(folder.parent / "git-home"))


@pytest.fixture
def fresh(tmp_path: Path) -> Workspace:
    """A clone in which nothing has run yet."""
    folder = tmp_path / "clone"
    folder.mkdir()
    clone(folder)
    return Workspace(folder, tmp_path / "home")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A clone whose pipeline ran on a small table and was committed; tests of a module share it and leave it clean."""
    base = tmp_path_factory.mktemp("ran")
    folder = base / "clone"
    folder.mkdir()
    clone(folder)
    workspace = Workspace(folder, base / "home")
    workspace.small()
    workspace.run("dvc repro --quiet && git add -A && git commit -qm 'run on a small table'")
    yield workspace
    assert workspace.run("git status --porcelain").stdout == ""


@pytest.fixture
def make_clone(tmp_path: Path) -> Callable[..., Workspace]:
    """Further clones, each in a folder and a home of its own."""

    def make(name: str, **extra: str) -> Workspace:
        folder = tmp_path / name / "deep" / "clone"
        folder.mkdir(parents=True)
        clone(folder)
        return Workspace(folder, tmp_path / f"{name}-home", **extra)

    return make
