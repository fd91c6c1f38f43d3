"""Objects of DVC's cache in tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mlops.store import lock
from mlops.store.lock import Out
from tests.registry.repository import Repository


def out_of(repository: Repository, commit: str, path: str = "models/serving") -> Out:
    found = lock.read(repository.git, commit).out(path)
    assert found
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"X" + path.read_bytes()[1:])
    path.chmod(0o444)  # as DVC leaves it: DVC itself would not look again


def files_of(repository: Repository, out: Out) -> list[Path]:
    """The objects of a folder's files in the cache, its list first."""
    listing = repository.object(out.md5)
    return [listing, *(repository.object(entry["md5"]) for entry in json.loads(listing.read_bytes()))]


def dvc(folder: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *words], cwd=folder, check=True, capture_output=True)
