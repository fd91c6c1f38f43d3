"""What a pushed tag releases, if anything."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from mlops import policy
from mlops.cli import main
from mlops.errors import RegistryError, StoreError
from mlops.registry.look import Registry
from mlops.registry.release import release
from tests.registry.repository import Bundles, Repository

TAG = "churn#prod#1"
NAME = "Acme/Churn-Models"
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory, bundles: Bundles) -> Repository:
    """Two commits with a model, the first of which is v1.0.0 and prod; tests work on copies."""
    made = Repository.new(tmp_path_factory.mktemp("promoted") / "project")
    for message in ("first", "second"):
        commit = made.version(bundles["v1"], message=message)
        made.tag(message, commit, lightweight=True)
    made.tag("churn@v1.0.0", "first", when=START)
    made.tag(TAG, "first", when=START)
    return made


@pytest.fixture
def project(promoted: Repository, tmp_path: Path) -> Repository:
    shutil.copytree(promoted.folder, tmp_path / "project")
    return Repository(tmp_path / "project")


def registry(project: Repository) -> Registry:
    return Registry(project.git, policy.load(project.folder / policy.PATH))


def later(project: Repository, name: str, commit: str = "second", days: int = 1) -> None:
    project.tag(name, commit, when=START + timedelta(days=days))


def refused(project: Repository, name: str = TAG) -> str:
    with pytest.raises(RegistryError) as caught:
        release(registry(project), name)
    return str(caught.value)


@pytest.mark.parametrize("name", [TAG, f"refs/tags/{TAG}"])
def test_the_tag_that_its_stage_serves_is_released(project: Repository, name: str) -> None:
    found = release(registry(project), name, f"ghcr.io/{NAME}")
    assert found[:3] == (TAG, "prod", "v1.0.0")
    assert found.commit == project.git.commit("first")
    assert found.origin == "pipeline"
    assert found.reference == "ghcr.io/acme/churn-models:v1.0.0-prod.1"
    assert found.image == "ghcr.io/acme/churn-models"


def test_what_may_not_be_part_of_an_images_tag_is_replaced(project: Repository) -> None:
    later(project, "churn@v2.0.0-rc.1+exp.5")
    later(project, "churn#prod#2")
    assert release(registry(project), "churn#prod#2").image_tag == "v2.0.0-rc.1_exp.5-prod.2"


def test_a_commit_without_a_model_is_not_released(project: Repository) -> None:
    later(project, "churn#staging#2", "first~1")
    with pytest.raises(StoreError, match=r"has no dvc\.lock"):
        release(registry(project), "churn#staging#2")


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"churn@v1.1.0": "second", "churn#prod#2": "second"}, r"churn#prod#2 came after it; prod serves v1\.1\.0"),
        ({"churn#prod#2": "second"}, r"prod serves g[0-9a-f]{12}, by tag churn#prod#2: release that"),
        ({"churn#prod!#2": "first"}, r"churn#prod!#2 came after it; prod serves nothing"),
        ({"churn@v1.0.0!": "first"}, r"v1\.0\.0 was archived; prod serves nothing"),
        ({"churn#prod#2": "first"}, r"churn#prod#2 came after it; prod serves v1\.0\.0, by tag churn#prod#2"),
    ],
)  # fmt: skip
def test_a_tag_that_is_over_ends_with_one_line(project: Repository, tags: dict[str, str], said: str) -> None:
    for day, (name, commit) in enumerate(tags.items(), 1):
        later(project, name, commit, day)
    assert re.search(said, refused(project))


def test_what_came_back_is_released_again(project: Repository) -> None:
    later(project, "churn#prod#2")
    later(project, "churn#prod!#3", days=2)
    assert release(registry(project), TAG).version == "v1.0.0"
    assert "prod serves v1.0.0" not in refused(project, "churn#prod#2").partition(";")[0]


def test_tags_that_are_no_assignments_or_not_followed_say_so(project: Repository) -> None:
    assert f"gives no stage a version; released are assignments: {TAG}" in refused(project, "churn@v1.0.0")
    assert f"did you mean {TAG}?" in refused(project, "churn#prod#7")
    assert "git fetch --tags" in refused(project, "somebody's")
    project.tag("churn#prod#2", "second", lightweight=True)
    assert "is lightweight" in refused(project, "churn#prod#2")
    rules = project.document("policy.yaml")
    rules["registry"]["require_verdict"] = True
    project.write("policy.yaml", yaml.safe_dump(rules))
    assert "is NOT followed: it has no verdict" in refused(project)


def test_the_command_tells_people_programs_and_workflows(
    project: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.folder)
    outputs = tmp_path / "outputs"
    outputs.write_text("before=1\n")
    assert main(["release", TAG, "--image", "127.0.0.1:5000/a/b", "--append", str(outputs)]) == 0
    assert "prod serves v1.0.0" in capsys.readouterr().out
    assert main(["release", TAG, "--json", "--image", "127.0.0.1:5000/a/b"]) == 0
    said = json.loads(capsys.readouterr().out)
    lines = outputs.read_text().splitlines()
    assert lines == ["before=1", *(f"{key}={value}" for key, value in said.items())]
    for name in ("churn", "ghcr.io/a b", "ghcr.io/a/b:tag", "ghcr.io/a/$(id)"):
        assert main(["release", TAG, "--image", name]) == 1
        assert "is no name of a container image" in capsys.readouterr().err
