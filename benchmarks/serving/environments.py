"""The peers' environments: one each, made from its lock when it is first needed, outside the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

LOCKS = Path(__file__).resolve().parent / "locks"
INSTALLED = "installed"


def cache() -> Path:
    """Where environments stand: $XDG_CACHE_HOME/mlops-benchmarks, else ~/.cache/mlops-benchmarks."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mlops-benchmarks"


def programs(name: str, lock: Path | None = None) -> Path:
    """The folder of an environment's programs; the environment holds exactly what its lock says, locks/NAME.txt."""
    lock, folder = lock or LOCKS / f"{name}.txt", cache() / name
    mark = folder / INSTALLED
    if not mark.is_file() or mark.read_bytes() != lock.read_bytes():
        print(f"installing {name} into {folder}, once", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _install(folder, lock)
        mark.write_bytes(lock.read_bytes())
    return folder / "bin"


def _install(folder: Path, lock: Path) -> None:
    hashed = ["--quiet", "--no-deps", "--require-hashes", "-r", str(lock)]
    if shutil.which("uv"):
        run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)])
        run(["uv", "pip", "install", "--compile-bytecode", "--python", str(folder / "bin" / "python"), *hashed])
    else:
        run([sys.executable, "-m", "venv", str(folder)])
        run([str(folder / "bin" / "python"), "-m", "pip", "install", *hashed])


def run(command: list[str], folder: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Run a command that has to succeed; what it says is shown only when it does not."""
    said(command, folder, {**os.environ, **(environment or {})})


def said(command: list[str], folder: Path | None, environment: Mapping[str, str]) -> str:
    """What a command that has to succeed prints."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
