"""A commit rebuilt in a folder of its own: what is within its reach, what it is made with, why it cannot be made."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mlops.errors import MlopsError
from mlops.git import Git
from mlops.store import digest
from mlops.store.objects import Store
from mlops.verify import environment, rebuild
from mlops.verify.environment import Installed
from mlops.verify.proof import CANNOT
from mlops.verify.verify import verify
from tests.registry.repository import Bundles, Repository


@pytest.fixture
def made(repository: Repository, bundles: Bundles) -> str:
    """A version."""
    return repository.version(bundles["v2"])


def locked(repository: Repository, text: str) -> str:
    repository.write("requirements.txt", text)
    return repository.commit("Packages")


def test_an_environment_is_compared_with_the_lock_of_the_commit(repository: Repository) -> None:
    text = """# a lock
numpy==2.4.0 \\
    --hash=sha256:00
PyYAML==6.0.1
scikit_learn==1.9.1 ; python_version >= "3.11"
old==1.0 ; python_version < "3.11"
windows==1.0 ; sys_platform == "win32"
absent[extra]==3.0 ; sys_platform != "win32" \\
    --hash=sha256:00
"""
    here = Installed("3.11.2", {"numpy": "2.4.6", "pyyaml": "6.0.1", "scikit-learn": "1.9.1", "more": "1"})
    found = environment.differences(repository.git, locked(repository, text), here)
    assert found == ("numpy 2.4.0 recorded, 2.4.6 installed", "absent 3.0 recorded, none installed")


def test_python_is_compared_with_what_the_project_asks_for(repository: Repository) -> None:
    repository.write("pyproject.toml", '[project]\nname = "x"\nrequires-python = ">=3.12"\n')
    commit = locked(repository, "numpy==2.4.0\n")
    packages = {"numpy": "2.4.0"}
    assert environment.differences(repository.git, commit, Installed("3.12.1", packages)) == ()
    found = environment.differences(repository.git, commit, Installed("3.11.2", packages))
    assert found == ("Python >=3.12 recorded, 3.11.2 here",)


def test_a_commit_without_a_lock_of_packages_says_so(repository: Repository) -> None:
    (repository.folder / "requirements.txt").unlink()
    (found,) = environment.differences(repository.git, repository.commit("None"), Installed("3.11.2", {}))
    assert "no requirements.txt" in found


def test_this_environment_is_the_one_that_its_lock_names() -> None:
    here = environment.installed(Path(sys.executable))
    assert here.packages["numpy"] == np.__version__
    assert here.python == ".".join(map(str, sys.version_info[:3]))


def test_any_commit_is_cloned_also_one_that_no_branch_knows(
    repository: Repository, bundles: Bundles, tmp_path: Path
) -> None:
    made = repository.version(bundles["v1"], params={"seed": 77}, experiment="deeper")
    rebuild.clone(repository.git, made, tmp_path / "clone")
    assert "seed: 77" in (tmp_path / "clone/params.yaml").read_text()
    assert Git(tmp_path / "clone").commit("HEAD") == made
    assert not (tmp_path / "clone/models").exists()


def test_settings_of_this_machine_do_not_change_what_is_checked_out(
    repository: Repository, made: str, tmp_path: Path
) -> None:
    for setting in ("core.autocrlf", "true"), ("core.hooksPath", str(tmp_path / "hooks")):
        repository.git.raw("config", "--global", *setting)
    program(tmp_path / "hooks/post-checkout", "touch made-by-a-hook")
    rebuild.clone(repository.git, made, tmp_path / "clone")
    assert b"\r" not in (tmp_path / "clone/params.yaml").read_bytes()
    assert not (tmp_path / "clone/made-by-a-hook").exists()


def test_a_folder_that_holds_something_is_not_touched(repository: Repository, made: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("mine")
    with pytest.raises(MlopsError, match="mine is not empty; name a folder that does not exist yet"):
        verify(repository.git, Store(repository.folder), made, name="churn", keep=tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["file"]


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_nothing_outside_of_the_folder_is_within_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DVC_CACHE_DIR", "GIT_DIR", "PYTHONPATH", "XDG_CONFIG_HOME", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, "elsewhere")
    (tmp_path / "clone/.dvc").mkdir(parents=True)
    python = program(tmp_path / "bin/python", "env; echo \"Running stage 'train':\"; pwd; command -v python")
    said: list[str] = []
    rebuild.run(tmp_path / "clone", python, tmp_path / "home", tmp_path / "log", said.append)
    log = (tmp_path / "log").read_text().splitlines()
    assert not [line for line in log if "elsewhere" in line]
    assert f"HOME={tmp_path / 'home'}" in log
    assert log[-2:] == [str(tmp_path / "clone"), str(python)]
    assert said == ["stage train"]
    assert "dir = cache" in (tmp_path / "clone/.dvc/config.local").read_text()


def test_a_stage_that_fails_is_told_with_its_own_last_words(tmp_path: Path) -> None:
    (tmp_path / "clone/.dvc").mkdir(parents=True)
    script = "echo \"Running stage 'train':\"; echo '> python -m fit'; echo 'error: no rows'; echo; "
    python = program(
        tmp_path / "python", script + "echo \"ERROR: failed to reproduce 'train': exited with 1\"; exit 255"
    )
    with pytest.raises(rebuild.NotRebuiltError, match=r"^stage train failed: error: no rows$"):
        rebuild.run(tmp_path / "clone", python, tmp_path / "home", tmp_path / "log", lambda _: None)
    program(python, "echo 'no module named dvc'; exit 1")
    with pytest.raises(rebuild.NotRebuiltError, match=r"^python failed: no module named dvc$"):
        rebuild.run(tmp_path / "clone", python, tmp_path / "home", tmp_path / "log", lambda _: None)


def test_packages_are_installed_by_the_commits_own_script(tmp_path: Path) -> None:
    with pytest.raises(rebuild.NotRebuiltError, match=r"no \.ci/install"):
        rebuild.install(tmp_path, tmp_path / "log")
    program(tmp_path / ".ci/install", 'mkdir -p "$1/bin"; echo "$2" > "$1/bin/python"')
    assert rebuild.install(tmp_path, tmp_path / "log").read_text() == "requirements.txt\n"
    program(tmp_path / ".ci/install", "echo no network >&2; exit 1")
    with pytest.raises(rebuild.NotRebuiltError, match="install failed: no network"):
        rebuild.install(tmp_path, tmp_path / "log")


def test_a_model_of_a_notebook_cannot_be_rebuilt(repository: Repository, bundles: Bundles) -> None:
    made = repository.notebook(bundles["v1"])
    said: list[str] = []
    found = verify(repository.git, Store(repository.folder), made, name="churn", say=said.append)
    assert (found.verdict, found.code, said) == (CANNOT, 5, [])
    assert found.reason == "no stage made models/serving: models/serving.dvc brought it from elsewhere"


def test_raw_data_that_nobody_has_cannot_be_rebuilt(repository: Repository, made: str) -> None:
    content, path = b"id,churn\n1,0\n", "data/source/table.csv"
    repository.write(path, content)
    md5 = digest.of_bytes(content)
    repository.write(f"{path}.dvc", f"outs:\n- md5: {md5}\n  size: {len(content)}\n  path: table.csv\n")
    repository.write(".gitignore", "*.csv\n/data/features\n/data/predictions\n/models\n")
    pipeline = (repository.folder / "dvc.yaml").read_text()
    lock = (repository.folder / "dvc.lock").read_text()
    repository.write(
        "dvc.yaml", pipeline.replace("- src/prepare.py", "- src/prepare.py\n    - data/source/table.csv", 1)
    )
    entry = f"- path: data/source/table.csv\n      md5: {md5}\n    "
    repository.write("dvc.lock", lock.replace("- path: src/prepare.py", f"{entry}- path: src/prepare.py", 1))
    commit = repository.commit("A table")
    found = verify(repository.git, Store(repository.folder), commit, name="churn")
    assert found.verdict == CANNOT
    assert found.reason is not None
    assert found.reason.startswith(path)
    assert "(all it said" not in found.reason
    assert not (repository.folder / ".dvc/tmp/verify").exists()
