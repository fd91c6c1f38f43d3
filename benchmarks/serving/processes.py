"""A server as a process of its own, held on one core, and what the kernel knows of it and its children."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE = 120
TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> tuple[int, int]:
    """The core of the server and the core of the load."""
    found = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(found) < 2 or not shutil.which("taskset"):
        raise SystemExit(
            "error: Linux with two cores and taskset (Debian: util-linux) is needed: server and load apart"
        )
    return found[0], found[1]


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A running server, pinned to the server's core; a context that ends it."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], port: int, ready: str
    ) -> None:
        self.port, self._ready, self._output = port, ready, folder / f"server-{port}.log"
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment}
        with self._output.open("wb") as output:
            self.started = time.perf_counter()
            self._process = subprocess.Popen(
                ["taskset", "-c", str(cores()[0]), *command], cwd=folder, env=variables, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        """End the process and its children: they are a process group of their own."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def wait(self, pause: float = 0.05) -> float:
        """Seconds from the start of the process to the first 200 on its readiness path, asked every `pause`."""
        while time.perf_counter() - self.started < PATIENCE:
            if self._process.poll() is not None:
                break
            if self._answers():
                return time.perf_counter() - self.started
            time.sleep(pause)
        said = self._output.read_text(encoding="utf-8", errors="replace")[-4000:]
        raise SystemExit(f"error: {' '.join(map(str, self._process.args))} does not answer {self._ready}\n{said}")  # type: ignore[arg-type]

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", self._ready)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def post(self, path: str, body: bytes) -> bytes:
        """What it answers to a JSON body; it must be 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise SystemExit(f"error: POST {path} answers {answer.status}: {content[:500]!r}")
        return content

    def cpu_seconds(self) -> float:
        """Processor time of the process and its children so far."""
        spent = 0
        for pid in _tree(self._process.pid):
            fields = _stat(pid)
            spent += int(fields[11]) + int(fields[12]) if fields else 0
        return spent / TICKS

    def memory_mb(self) -> float:
        """Resident memory of the process and its children, MB of a million bytes."""
        kilobytes = 0
        for pid in _tree(self._process.pid):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    kilobytes += int(line.split()[1])
        return kilobytes * 1024 / 1e6


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the program's name; none when the process has just ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _tree(root: int) -> list[int]:
    """A process and all that it started."""
    parents = {int(p.name): _stat(int(p.name)) for p in Path("/proc").iterdir() if p.name.isdigit()}
    found = [root]
    for parent in found:
        found += [pid for pid, fields in parents.items() if fields and int(fields[1]) == parent]
    return found
