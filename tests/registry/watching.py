"""`mlops sync` as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlops import production
from mlops.store.model import model
from mlops.store.objects import Store
from tests.registry.repository import Bundles, Repository

PATIENCE = 60


SHIM = """#!/bin/sh
printf '%s\\n' "$*" >> '{log}'
exec '{git}' "$@"
"""


class Sync:
    """`mlops sync` in a folder, its output in files."""

    def __init__(self, folder: Path, *words: str, path: Path | None = None) -> None:
        self.out, self.err = folder / "sync.out", folder / "sync.err"
        env = {**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"} if path else None
        command = [sys.executable, "-m", "mlops.cli", "sync", *words]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=err)

    def until(self, what: Callable[[], Any]) -> Any:
        """Wait for something to be true while the process runs; returns it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := what():
                return found
            assert self.process.poll() is None, self.err.read_text()
            time.sleep(0.02)
        raise AssertionError(f"it did not come; {self.out.read_text()}\n{self.err.read_text()}")

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def versions(repository: Repository, bundles: Bundles, count: int) -> list[str]:
    """Commits v1.0.0, v2.0.0 … whose models are in remote storage."""
    repository.remote(repository.folder.with_name("storage"))
    made = [repository.version(bundles[f"v{number}"]) for number in range(1, count + 1)]
    Store(repository.folder).push([model(repository.git, commit, "churn").out for commit in made])
    return made


def served(host: Path, version: str) -> bool:
    state = production.read_state(host / "models" / "production")
    return state is not None and state.stages.get("prod") == version
