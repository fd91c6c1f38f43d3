"""What DVC and four processes cost beside one bare Python process that does the same work, and their peak memory.

The peer runs the very same stage functions, one after the other in one process in a folder without Git and DVC: what
differs is what DVC adds (its own start, hashing, cache) and that each stage starts Python and imports anew.
Pairs run in turn; the median of the ratios is reported.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MILLION = 170_000  # subscriptions of the simulator; six months of them are 1.02 million rows
BARE = """
import importlib, sys
from mlops import params
for name in ("ingest", "preprocess", "train", "evaluate"):
    importlib.import_module("mlops." + name).work(params.view(name))
"""


def environment(home: Path) -> dict[str, str]:
    """An empty home, quiet DVC, this environment's programs first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    names = {f"GIT_{r}_{k}": "bench" for r in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}
    return {**os.environ, **names, "HOME": str(home), "DVC_SITE_CACHE_DIR": str(home / "site"),
            "DVC_NO_ANALYTICS": "1", "PATH": path}  # fmt: skip


def workspace(folder: Path, customers: int | None = None, months: int | None = None) -> Path:
    """A clone of this working tree; customers and months change the size of the simulated table."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    if customers:
        text = (folder / "params.yaml").read_text()
        text, found = re.subn(r"customers: \d+\n    months: \d+", f"customers: {customers}\n    months: {months}", text)
        if found != 1 or "source: simulator" not in text:
            raise SystemExit(
                "error: params.yaml: benchmarks run on the simulator; `mlops data use simulator` goes back"
            )
        (folder / "params.yaml").write_text(text)
    for command in ("git init -q", "git add -A", "git commit -qm bench"):
        subprocess.run(command.split(), cwd=folder, check=True, env=environment(folder.parent / "home"))
    return folder


def seconds(command: list[str], folder: Path) -> float:
    """Wall time of a command; it has to succeed."""
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment(folder.parent / "home"), capture_output=True, text=True)
    spent = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return spent


def in_turn(a: Callable[[], float], b: Callable[[], float], rounds: int) -> tuple[list[float], list[float]]:
    """a, b, a, b …: two lists of seconds."""
    pairs = [(a(), b()) for _ in range(rounds)]
    return [p[0] for p in pairs], [p[1] for p in pairs]


def summary(what: str, ours: list[float], peer: list[float]) -> str:
    """Both medians and the median ratio."""
    ratio = statistics.median(x / y for x, y in zip(ours, peer, strict=True))
    return (
        f"{what}: {statistics.median(ours):.2f} s beside {statistics.median(peer):.2f} s, ratio {ratio:.2f},"
        f" difference {statistics.median(x - y for x, y in zip(ours, peer, strict=True)):.2f} s (n={len(ours)})"
    )


def startup() -> str:
    """`dvc repro` with nothing to do, beside `dvc repro` of a pipeline of one trivial stage with nothing to do."""
    with tempfile.TemporaryDirectory() as temporary:
        ours = workspace(Path(temporary) / "ours", customers=600, months=6)
        trivial = Path(temporary) / "trivial"
        trivial.mkdir()
        (trivial / "dvc.yaml").write_text("stages: {one: {cmd: echo 1 > out, outs: [out]}}\n")
        for command in ("git init -q", "dvc init -q", "dvc repro -q"):
            seconds(command.split(), trivial)
        seconds(["dvc", "repro", "-q"], ours)
        command = ["dvc", "repro"]
        return summary("dvc repro, nothing to do; peer: one trivial stage",
                       *in_turn(lambda: seconds(command, ours), lambda: seconds(command, trivial), 7))  # fmt: skip


def _four_stages(customers: int | None, months: int | None, rounds: int) -> str:
    with tempfile.TemporaryDirectory() as temporary:
        ours = workspace(Path(temporary) / "ours", customers, months)
        bare = workspace(Path(temporary) / "bare", customers, months)
        shutil.rmtree(bare / ".git")
        shutil.rmtree(bare / ".dvc")

        def with_dvc() -> float:
            shutil.rmtree(ours / ".dvc" / "cache", ignore_errors=True)
            return seconds(["dvc", "repro", "--force"], ours)

        return summary("dvc repro, all four stages; peer: one bare process",
                       *in_turn(with_dvc, lambda: seconds([sys.executable, "-c", BARE], bare), rounds))  # fmt: skip


def default_size() -> str:
    """All four stages at the default size."""
    return _four_stages(None, None, rounds=5)


def million_rows() -> str:
    """All four stages at a million rows."""
    return _four_stages(MILLION, 6, rounds=2)


def peak_memory() -> str:
    """Each stage's peak memory at a million rows, beside the raw table as a pandas frame."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = workspace(Path(temporary) / "ours", MILLION, 6)
        peaks = {}
        for stage in ("ingest", "preprocess", "train", "evaluate"):
            code = f"import os, sys; os.execv(sys.executable, [sys.executable, '-m', 'mlops.{stage}'])"
            peaks[stage] = _peak_mb([sys.executable, "-c", code], folder)
        frame = ("import pandas as pd; f = pd.read_parquet('data/raw/table.parquet');"
                 "print(len(f), f.memory_usage(deep=True).sum() / 2**20)")  # fmt: skip
        shown = subprocess.run([sys.executable, "-c", frame], cwd=folder, capture_output=True, text=True, check=True)
        rows, size = shown.stdout.split()
        lines = [f"{s}: {mb:.0f} MiB, {mb / float(size):.2f} x the frame" for s, mb in peaks.items()]
        return f"raw table: {int(rows):,} rows, {float(size):.0f} MiB as a pandas frame\n" + "\n".join(lines)


def _peak_mb(command: list[str], folder: Path) -> float:
    """Peak resident memory of one command, in MiB, as the kernel accounts it."""
    process = subprocess.Popen(command, cwd=folder, env=environment(folder.parent / "home"), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"error: {command} ended with {process.returncode}")
    return used.ru_maxrss / 1024 if sys.platform != "darwin" else used.ru_maxrss / 2**20


def cold() -> str:
    """`make` in a fresh clone whose environment is installed: everything that a first run does."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = workspace(Path(temporary) / "ours")
        (folder / ".venv").symlink_to(Path(sys.prefix))
        for mark in (".installed", ".installed-test"):
            (folder / ".venv" / mark).touch()
        return f"make, after installation: {seconds(['make'], folder):.1f} s (bound: 60 s)"
