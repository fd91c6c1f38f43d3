"""What tests share: an isolated home, small tables, the folder of real tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

ROOT = Path(__file__).resolve().parent.parent


def _own(home: Path, patch: pytest.MonkeyPatch) -> None:
    """A home of its own, empty settings of Git and DVC, and a name for commits."""
    patch.setenv("HOME", str(home))
    patch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    patch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    patch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    patch.setenv("DVC_NO_ANALYTICS", "1")
    patch.setenv("DVC_SITE_CACHE_DIR", str(home / "site-cache"))
    for role in ("AUTHOR", "COMMITTER"):
        patch.setenv(f"GIT_{role}_NAME", "Ada Tester")
        patch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")


@pytest.fixture(scope="session", autouse=True)
def isolated_fixtures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nor do fixtures that several tests share, which are made before the first test's own home."""
    with pytest.MonkeyPatch.context() as patch:
        _own(tmp_path_factory.mktemp("home"), patch)
        yield


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or changes the user's Git and DVC settings."""
    _own(tmp_path_factory.mktemp("home"), monkeypatch)


@pytest.fixture
def tables() -> Path:
    """The folder of real tables; tests that need it are skipped where it is not named."""
    folder = os.environ.get("CHURN_TABLES")
    if not folder:
        pytest.skip("CHURN_TABLES is not set: no folder of real tables")
    return Path(folder)
