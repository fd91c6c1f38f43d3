"""MLflow's real server as `make mlflow` starts it, from the environment of its own lock."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mlops.export import server
from tests.registry.repository import ROOT
from tests.service.server import free_port

INSTALL_SECONDS, PATIENCE = 900, 120


def environment() -> Path:
    """The server's environment, installed when it is not there yet. Without a network the test is skipped."""
    place = ROOT / ".venv-clients" / ".mlflow-server.lock"
    place.parent.mkdir(exist_ok=True)
    with place.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [ROOT / "deploy/trackers/install", server.ENVIRONMENT, "deploy/trackers/mlflow-server.txt"],
            cwd=ROOT, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True,
            timeout=INSTALL_SECONDS,
        )  # fmt: skip
    if done.returncode == 0:
        return ROOT / server.ENVIRONMENT
    said = f"`deploy/trackers/install` failed, which needs a package registry: {done.stderr.strip()[-300:]}"
    if os.environ.get("CI") == "true":
        pytest.fail(said)
    pytest.skip(said)


class Served:
    """`mlops export mlflow --serve` in a repository. said: the lines that it printed until it waited."""

    def __init__(self, folder: Path) -> None:
        (folder / server.ENVIRONMENT).symlink_to(environment())
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        words = ["export", "mlflow", "--serve", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlops.cli", *words],
            cwd=folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        watch = threading.Timer(PATIENCE, self.process.kill)
        watch.start()
        self.said = self._read()
        watch.cancel()

    def _read(self) -> list[str]:
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line.rstrip("\n"))
            if "until Ctrl-C" in line:
                return lines
        raise AssertionError(f"it ended: {lines}\n{self.process.communicate()[1]}")

    def stop(self) -> int:
        """As Ctrl-C does. Returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    @property
    def answers(self) -> bool:
        """Whether anything still answers at the address."""
        try:
            with urllib.request.urlopen(self.address, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False
