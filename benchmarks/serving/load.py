"""Load from the other core: wrk for throughput, an own client for the times of single requests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.serving.processes import Server, cores

PROGRAMS = Path(__file__).resolve().parent / "programs"


class Throughput(NamedTuple):
    """Requests a second, and processor time of the server for each, µs."""

    rate: float
    cpu: float


class Times(NamedTuple):
    """Milliseconds from sending a request to having its whole answer; `longest` is the longest pause."""

    requests: int
    p50: float
    p99: float
    p999: float
    longest: float


def throughput(server: Server, path: str, bodies: Path, connections: int, seconds: int) -> Throughput:
    """Keep-alive connections, each asking again as soon as it has its answer; every answer must be 200."""
    if not shutil.which("wrk"):
        raise SystemExit("error: wrk is not installed; apt-get install wrk")
    before = server.cpu_seconds()
    said = _run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(PROGRAMS / "load.lua"),
         f"http://127.0.0.1:{server.port}"],
        {"BENCH_PATH": path, "BENCH_BODIES": str(bodies)},
    )  # fmt: skip
    spent = server.cpu_seconds() - before
    counts = json.loads(said.splitlines()[-1])
    if counts["errors"] or not counts["requests"]:
        raise SystemExit(f"error: {path} on port {server.port}: {said}")
    return Throughput(counts["requests"] / counts["seconds"], spent / counts["requests"] * 1e6)


def times(server: Server, path: str, bodies: Path, seconds: float, count: int = 10**9) -> Times:
    """One connection, one request after the other, for so many seconds or requests."""
    program = [sys.executable, str(PROGRAMS / "client.py"), str(server.port), path, str(bodies)]
    counts = json.loads(_run([*program, str(seconds), str(count)], {}))
    return Times(counts["requests"], counts["p50"], counts["p99"], counts["p999"], counts["max"])


def write(bodies: list[bytes], file: Path) -> Path:
    """Bodies as a file, one a line."""
    file.write_bytes(b"".join(body + b"\n" for body in bodies))
    return file


def _run(command: list[str], variables: dict[str, str]) -> str:
    pinned = ["taskset", "-c", str(cores()[1]), *command]
    done = subprocess.run(pinned, capture_output=True, text=True, env={**os.environ, **variables})
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
