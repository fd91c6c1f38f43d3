"""What a look at many experiments costs.

    python -m benchmarks compare

The repository is made for the purpose in a temporary folder; of this clone only its files are taken. The best of the
experiments, as many as are shown, have scored rows in DVC's cache: those get intervals.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.pipeline import ROOT, environment, workspace
from benchmarks.serving import report
from benchmarks.serving.report import Claim
from mlops.experiments.compare import SHOWN
from mlops.git import Git
from mlops.metrics.measure import Decision, Scored

FEW, MANY, ROUNDS = 20, 1_000, 7
ROWS, CUSTOMERS = 12_000, 3_000
START = 1_760_000_000
MEASURE = """
import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A small process of its own: a child's peak begins with its parent's, and benchmarks are large."""


def compare() -> str:
    """`mlops compare` of a thousand experiments from start to end, and its memory beside that of twenty."""
    with tempfile.TemporaryDirectory() as temporary:
        few, many = (compared(Path(temporary) / str(number) / "project", number) for number in (FEW, MANY))
        of_few, of_many = ([_measured(folder) for _ in range(ROUNDS)] for folder in (few, many))
        Git(many).raw("gc", "--quiet", "--prune=now")
        packed = [_measured(many) for _ in range(ROUNDS)]
    grown = statistics.median(m for _, m in of_many) - statistics.median(m for _, m in of_few)
    return f"{report.machine()}\n" + report.claims(
        [
            Claim(f"mlops compare, {MANY:,} experiments", statistics.median(t for t, _ in of_many), "s", most=1),
            Claim("the same, slowest", max(t for t, _ in of_many), "s"),
            Claim("the same, packed by git", statistics.median(t for t, _ in packed), "s", most=1),
            Claim(f"mlops compare, {FEW} experiments", statistics.median(t for t, _ in of_few), "s"),
            Claim(f"peak memory of {MANY:,}", statistics.median(m for _, m in of_many), "MiB"),
            Claim(f"that of {MANY:,} beyond that of {FEW}", grown, "MiB", most=25),
        ]
    )


def _measured(project: Path) -> tuple[float, float]:
    """Seconds and peak resident memory in MiB of `mlops compare`."""
    command = [sys.executable, "-c", MEASURE, "mlops", "compare"]
    env = environment(project.parent / "home")
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=True)
    spent, peak = map(float, done.stdout.split())
    return spent, peak / 1024 if sys.platform != "darwin" else peak / 2**20


def compared(project: Path, number: int) -> Path:
    """The default project's files, and so many experiments of it, as `dvc exp run` would leave them."""
    project.parent.mkdir(parents=True)
    git = Git(workspace(project))
    rng = random.Random(0)
    lock, params = (project / "dvc.lock").read_text(), (project / "params.yaml").read_text()
    table = _customers()
    head = _main(git, lock, table)
    given = []
    for i in range(number):
        changed = params
        for name, value in (
            ("max_depth", rng.randint(2, 12)),
            ("learning_rate", rng.uniform(0.01, 0.3)),
            ("subsample", rng.random()),
        ):
            changed = re.sub(rf"^{name}: null", f"{name}: {value:.6g}", changed, flags=re.MULTILINE)
        if i % (number // SHOWN) == 0:
            files = _evaluated(project, lock, table, rng.uniform(0.85, 0.99))
        else:
            files = {"metrics/evaluate/metrics.json": json.dumps({"roc_auc": round(rng.uniform(0.5, 0.6), 6)})}
        given.append(
            _commit(
                f"refs/exps/{head[:2]}/{head[2:]}/exp-{i:04d}", head, {"params.yaml": changed, **files}, START + 60 * i
            )
        )
    # Above this limit objects would be packed; DVC leaves them loose.
    git.raw("-c", f"fastimport.unpackLimit={100 * number}", "fast-import", "--quiet", given="".join(given).encode())
    return project


def _main(git: Git, lock: str, table: dict[str, Any]) -> str:
    """Commit main with predictions of its own; returns the commit."""
    for path, text in _evaluated(git.folder, lock, table, 0.8).items():
        (git.folder / path).write_text(text)
    env = environment(git.folder.parent / "home")
    git.raw("add", "--all", env=env)
    git.raw("commit", "--quiet", "--message=scored", env=env)
    git.raw("branch", "--move", "--force", "main")
    return git.commit("HEAD")


def _commit(ref: str, base: str, files: dict[str, str], at: int) -> str:
    lines = [f"commit {ref}", f"committer Ada <ada@example.org> {at} +0000", "data 0", f"from {base}"]
    for path, text in files.items():
        lines += [f"M 100644 inline {path}", f"data {len(text.encode())}", text]
    return "\n".join(lines) + "\n"


def _customers() -> dict[str, Any]:
    """Test rows before anybody scored them."""
    rng = np.random.default_rng(0)
    risk = rng.normal(size=ROWS)
    customers = [f"C{i % CUSTOMERS:06d}" for i in range(ROWS)]
    return {
        "key": [f"{customer}|{i // CUSTOMERS}" for i, customer in enumerate(customers)],
        "customer": customers,
        "risk": risk,
        "y": (rng.random(ROWS) < 1 / (1 + np.exp(3 - 1.5 * risk))).astype(np.int8),
    }


def _evaluated(project: Path, lock: str, customers: dict[str, Any], strength: float) -> dict[str, str]:
    """Put predictions into DVC's cache; returns the files of the commit that name and measure them."""
    noise = np.random.default_rng(int(1e6 * strength)).normal(size=ROWS)
    seen = strength * customers["risk"] + np.sqrt(1 - strength**2) * noise
    p = np.round(1 / (1 + np.exp(3 - 1.5 * seen)), 6)
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({**{k: customers[k] for k in ("key", "customer", "y")}, "p": p}), buffer)
    listing = json.dumps([{"md5": _put(project, buffer.getvalue().to_pybytes()), "relpath": "test.parquet"}])
    folder = _put(project, listing.encode(), ".dir")
    named, found = re.subn(r"(path: data/predictions\n +hash: md5\n +md5: )\S+", rf"\g<1>{folder}", lock)
    if found != 1:
        raise SystemExit(f"error: {ROOT / 'dvc.lock'} has no predictions; `dvc repro` makes them")
    metrics = Scored(customers["y"], p, Decision(0.1, 100.0, 10.0)).metrics()
    values = {name: round(value, 6) for name, value in metrics.items()}
    return {"dvc.lock": named, "metrics/evaluate/metrics.json": json.dumps(values)}


def _put(project: Path, content: bytes, suffix: str = "") -> str:
    md5 = hashlib.md5(content).hexdigest() + suffix
    place = project / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return md5
