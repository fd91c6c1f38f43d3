"""Where files are kept: caches elsewhere, configurations of the machine, folders that are no repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlops.errors import StoreError
from mlops.store import digest
from mlops.store.lock import Out
from mlops.store.objects import Store, elsewhere
from tests.registry.repository import Bundles, Repository
from tests.registry.stored import contents

pytestmark = pytest.mark.slow


def test_a_cache_that_is_elsewhere(repository: Repository, served: Out, tmp_path: Path) -> None:
    (repository.cache).rename(tmp_path / "common")
    repository.write(".dvc/config.local", "[cache]\n    dir = ../../common\n")
    assert Store(repository.folder).missing([served]) == []


def test_the_configuration_of_the_machine_counts(repository: Repository, tmp_path: Path) -> None:
    home = Path(os.environ["XDG_CONFIG_HOME"]) / "dvc"
    home.mkdir(parents=True)
    (home / "config").write_text(f"[core]\n    remote = ours\n['remote \"ours\"']\n    url = {tmp_path / 'ours'}\n")
    assert Store(repository.folder).remote == str(tmp_path / "ours")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[core\n", "DVC's configuration .* is not valid.*`dvc config --list`"),
        ("[core]\n    remote = nowhere\n", "names 'nowhere', which it lacks.*`dvc remote list`"),
    ],
)
def test_a_broken_configuration_is_one_line(repository: Repository, served: Out, config: str, said: str) -> None:
    repository.write(".dvc/config", config)
    with pytest.raises(StoreError, match=said):
        assert Store(repository.folder).remote


def test_a_folder_without_dvc(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"has no \.dvc folder"):
        Store(tmp_path).file("0" * 32)


def test_a_store_for_a_repository_that_is_not_checked_out(
    repository: Repository, served: Out, bundles: Bundles, tmp_path: Path
) -> None:
    repository.remote("../../remote")
    Store(repository.folder).push([served])
    config = repository.git.read("HEAD", ".dvc/config")
    far, near = tmp_path / "deep" / "far", tmp_path / "near"

    from_cache = elsewhere(config, near, beside=repository.folder)
    (tmp_path / "remote").rename(tmp_path / "away")
    from_cache.copy(served, tmp_path / "one")
    assert contents(tmp_path / "one") == contents(bundles["v1"])
    assert not (near / ".dvc" / "cache").exists(), "what is beside is read, not copied"

    (tmp_path / "away").rename(tmp_path / "remote")
    repository.cache.rename(tmp_path / "no-cache")
    from_remote = elsewhere(config, near, beside=repository.folder)
    from_remote.copy(served, tmp_path / "two")
    assert contents(tmp_path / "two") == contents(bundles["v1"])
    assert not repository.cache.exists(), "the cache beside belongs to others"

    with pytest.raises(
        StoreError, match=r"'store' is the relative path '\.\./\.\./remote', .* absolute URL .* modify store"
    ):
        elsewhere(config, far)


def test_a_foreign_configuration_does_not_say_where_files_are_kept(tmp_path: Path) -> None:
    config = (
        f"[cache]\n    dir = {tmp_path / 'theirs'}\n[core]\n    remote = r\n['remote \"r\"']\n    url = {tmp_path}\n"
    )
    store = elsewhere(config.encode(), tmp_path / "ours")
    (tmp_path / "files" / "md5" / digest.of_bytes(b"x")[:2]).mkdir(parents=True)
    (tmp_path / "files" / "md5" / digest.of_bytes(b"x")[:2] / digest.of_bytes(b"x")[2:]).write_bytes(b"x")

    assert store.file(digest.of_bytes(b"x")).is_relative_to(tmp_path / "ours" / ".dvc" / "cache")
    assert not (tmp_path / "theirs").exists()


def test_reading_a_lock_does_not_load_dvc() -> None:
    code = (
        "import sys, mlops.store.lock, mlops.store.model, mlops.store.objects;"
        "print([m for m in ('dvc', 'pandas', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
