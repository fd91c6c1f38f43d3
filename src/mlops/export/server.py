"""MLflow's own server on this machine: its store under .dvc/tmp/mlflow, its programs in an environment of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops.errors import ExperimentError

HOST, PORT = "127.0.0.1", 5000
ENVIRONMENT = Path(".venv-mlflow")
STORE = Path(".dvc/tmp/mlflow")
START_SECONDS, END_SECONDS = 120, 10
_OURS = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"})


@contextmanager
def running(root: Path, port: int = PORT) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a server, and end it with everything that it started.

    Args:
        root: the repository; runs and files stay in it when the server ends.
        port: to listen on, at 127.0.0.1 alone.

    Yields:
        Its address, once it answers, and its process.

    Raises:
        ExperimentError: MLflow is not installed, the port is in use, or it does not start.
    """
    program, store = root / ENVIRONMENT / "bin" / "mlflow", root / STORE
    if not program.exists():
        raise ExperimentError(
            f"MLflow's server is not installed in {ENVIRONMENT}; `make mlflow` installs and starts it"
        )
    _check(port)
    store.mkdir(parents=True, exist_ok=True)
    words: list[str | Path] = [
        program, "server", "--host", HOST, "--port", str(port), "--workers", "1", "--backend-store-uri",
        f"sqlite:///{(store / 'mlflow.db').absolute()}", "--artifacts-destination", (store / "artifacts").absolute(),
    ]  # fmt: skip
    env = {key: value for key, value in os.environ.items() if key not in _OURS}
    env |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (store / "server.log").open("wb") as log:
        # A session of its own: Ctrl-C reaches us alone, and we end the server with its workers.
        process = subprocess.Popen(
            words, cwd=store, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        address = f"http://{HOST}:{port}"
        _wait(address, process, store / "server.log")
        yield address, process
    finally:
        _end(process)


def _check(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise ExperimentError(
                f"port {port} cannot be used ({getattr(error, 'strerror', None) or error}); `make mlflow PORT=5001`"
                " takes another"
            ) from None


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):  # noqa: S310 (our own address)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    why = f"ended with code {process.poll()}" if process.poll() is not None else f"{START_SECONDS} s without an answer"
    raise ExperimentError(f"MLflow's server did not start: {why}; {said[-1] if said else 'it said nothing'} ({log})")


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(END_SECONDS)
        except ProcessLookupError:  # all of them are gone
            return
        except subprocess.TimeoutExpired:
            continue
