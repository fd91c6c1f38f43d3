"""Small real models, and a repository for versions of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mlops.store.lock import Out
from tests.registry import servers
from tests.registry.branches import ROWS
from tests.registry.predicted import WHEN
from tests.registry.repository import Bundles, Repository, predictions
from tests.registry.stored import out_of
from tests.registry.traced import SAID
from tests.registry.watching import PATIENCE, Sync
from tests.service.conftest import fit_into
from tests.unit.models import SCHEMA


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Models v1 to v4 of 10 to 40 trees, which read the same columns and score the same row otherwise."""
    made = {}
    for number in range(1, 5):
        made[f"v{number}"] = tmp_path_factory.mktemp(f"bundle-v{number}")
        fit_into(made[f"v{number}"], SCHEMA, 10 * number)
    return made


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with a pipeline, one commit and no model yet."""
    return Repository.new(tmp_path / "project")


@pytest.fixture
def keys(tmp_path: Path) -> Callable[[str], Path]:
    """SSH keys to sign with, by the name of whose they are; the public one lies beside as .pub."""
    if shutil.which("ssh-keygen") is None:
        servers.missing("ssh-keygen is not installed: apt-get install openssh-client")

    def make(name: str) -> Path:
        place = tmp_path / f"key-{name}"
        words = ["-q", "-t", "ed25519", "-N", "", "-C", f"{name}@example.org", "-f", str(place)]
        subprocess.run(["ssh-keygen", *words], check=True, capture_output=True)
        return place

    return make


@pytest.fixture
def start() -> Iterator[Callable[..., Sync]]:
    """Starts `mlops sync` in a folder; ends it after the test."""
    started: list[Sync] = []

    def run(folder: Path, *words: str, path: Path | None = None) -> Sync:
        started.append(Sync(folder, *words, path=path))
        return started[-1]

    yield run
    for sync in started:
        if sync.process.poll() is None:
            sync.process.kill()
            sync.process.wait(PATIENCE)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """An empty folder of a machine that serves."""
    (tmp_path / "host").mkdir()
    return tmp_path / "host"


@pytest.fixture
def project(repository: Repository, bundles: Bundles, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A main with a model of middling scores, and a branch that has no commit of its own yet."""
    repository.version(bundles["v1"], predictions(*ROWS, strength=0.5), message="Main's model")
    repository.git.raw("switch", "--quiet", "--create", "topic")
    monkeypatch.chdir(repository.folder)
    return repository


@pytest.fixture
def served(repository: Repository, bundles: Bundles) -> Out:
    """The model of a version of `repository`, by digest."""
    return out_of(repository, repository.version(bundles["v1"]))


@pytest.fixture
def promoted(repository: Repository, bundles: Bundles) -> Repository:
    """v1.0.0 is prod for an hour, then v1.1.0; v1.2.0 is the shadow."""
    first = repository.version(bundles["v1"], params={"max_depth": 3})
    second = repository.version(bundles["v2"])
    third = repository.version(bundles["v3"])
    hour = timedelta(hours=1)
    tags = [("@v1.0.0", first), ("#prod#1", first), ("@v1.1.0", second), ("#prod#2", second), ("@v1.2.0", third),
            ("#shadow#3", third)]  # fmt: skip
    for number, (name, commit) in enumerate(tags):
        message = SAID if name == "#prod#1" else name
        repository.tag(f"churn{name}", commit, message, WHEN - hour + number // 2 * hour)
    return repository
