"""After a merge with the driver, DVC makes what it would make from nothing, and no more than it has to."""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path

import pytest

from mlops.merge import install
from tests.registry.pipelines import Project

# DVC runs inside the test process here, ten times as fast, and its libraries warn each other.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAN", os.devnull)


def two_sides(folder: Path, seed: int) -> tuple[Project, bool]:
    """A project on branch main with branch other beside it; whether both ran everything that they changed."""
    project = Project(folder, seed)
    project.build()
    install.install(project.folder)
    project.commit("driver")
    project.git.raw("branch", "other")
    before = copy.deepcopy(project.stages)
    whole = project.random.random() < 0.75
    for branch, side in (("other", "b"), ("main", "a")):
        project.checkout(branch)
        project.stages = copy.deepcopy(before)
        project.change(side, project.random.randint(1, 3))
        stage = project.random.choice(project.stages)
        project.repro(None if whole or stage.items else stage.name)
        project.commit(f"side {side}")
    return project, whole


def from_nothing(project: Project) -> Project:
    """A clone of HEAD where nothing ever ran."""
    folder = project.folder.with_name("nothing")
    project.git.raw("clone", "--quiet", str(project.folder), str(folder))
    fresh = Project(folder, 0)
    (folder / "dvc.lock").unlink()
    shutil.rmtree(folder / "kept", ignore_errors=True)
    fresh.repro()
    return fresh


@pytest.mark.parametrize("seed", [0, 3, 4, 6, 7])
def test_merged_pipeline_gives_what_it_gives_from_nothing(tmp_path: Path, seed: int) -> None:
    project, whole = two_sides(tmp_path / "project", seed)
    base, sides = project.lock("main~1"), (project.lock("main"), project.lock("other"))
    project.git.raw("merge", "--quiet", "--no-edit", "other")
    merged = project.lock()
    for name, entry in merged.items():
        assert entry in [side.get(name) for side in sides], f"{name} is the record of no run"
    ran = project.repro()
    project.commit("merged")
    fresh = from_nothing(project)
    assert project.outputs() == fresh.outputs()
    truth, now = fresh.lock(), project.lock()
    assert {name: now[name] for name in truth} == truth
    known = [name for name in truth if merged.get(name) == truth[name]]
    assert not set(known) & set(ran), "ran again although its entry was true"
    untouched = [name for name in base if all(side.get(name) == base[name] for side in sides)]
    if whole:
        assert all(merged[name] == base[name] for name in untouched)
