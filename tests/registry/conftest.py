"""Small real models, and a repository for versions of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.registry import servers
from tests.registry.repository import Repository
from tests.service.conftest import fit_into
from tests.unit.models import SCHEMA

Bundles = dict[str, Path]


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
