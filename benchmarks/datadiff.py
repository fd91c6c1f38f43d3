"""What `mlops data diff` costs on two versions of a million rows, beside a plain reading with pandas.

    python -m benchmarks data-diff

The second version lacks some rows, has others, another price in some and another label in a few. The peer reads both
tables, merges them by their key and compares column by column: rows added, removed and changed, label flips, and PSI of
the columns of numbers; it tells less than we do.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.pipeline import MILLION, environment
from benchmarks.serving import report
from benchmarks.serving.report import Claim
from mlops.git import Git
from mlops.params import Drift, Simulator
from mlops.store import digest

ROOT = Path(__file__).resolve().parent.parent
MONTHS, ROUNDS = 6, 5
PEER = """
import sys
import numpy as np
import pandas as pd

was, now = (pd.read_parquet(path) for path in sys.argv[1:])
key = ["customer_id", "snapshot"]
both = was.merge(now, on=key, how="outer", suffixes=("", "__now"), indicator=True)
print(both._merge.value_counts().to_dict())
both = both[both._merge == "both"]
changed = np.zeros(len(both), dtype=bool)
for name in was.columns.difference(key):
    a, b = both[name], both[name + "__now"]
    differ = ((a != b) & ~(a.isna() & b.isna())).to_numpy()
    changed |= differ
    print(name, differ.sum(), was[name].isna().mean(), now[name].isna().mean())
    if pd.api.types.is_float_dtype(a) or pd.api.types.is_integer_dtype(a):
        edges = np.unique(was[name].quantile(np.arange(1, 10) / 10))
        bins = [-np.inf, *edges, np.inf]
        p, q = (pd.cut(side[name], bins).value_counts(normalize=True, sort=False) + 1e-6 for side in (was, now))
        print(((q - p) * np.log(q / p)).sum())
print(changed.sum())
"""


def data_diff() -> str:
    """Time and peak memory of `mlops data diff` and of the peer, each in a process of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        tables = versions(folder)
        rows, frame = _frame(tables[0])
        ours = [measured(["mlops", "data", "diff", "HEAD~1", "--json"], folder) for _ in range(ROUNDS)]
        peer = [measured([sys.executable, "-c", PEER, *map(str, tables)], folder) for _ in range(ROUNDS)]
        equal = [measured(["mlops", "data", "diff", "HEAD"], folder)[0] for _ in range(ROUNDS)]
    times, peaks = zip(*ours, strict=True)
    theirs, their_peaks = zip(*peer, strict=True)
    return f"{report.machine()}\n{rows:,} rows, {frame:,.0f} MiB as a pandas frame\n" + report.claims(
        [
            Claim("mlops data diff", statistics.median(times), "s", most=10),
            Claim("the same, slowest", max(times), "s"),
            Claim("pandas, times that", report.ratio(theirs, times), ""),
            Claim("mlops data diff, peak memory", max(peaks), "MiB"),
            Claim("the same, times the frame of one version", max(peaks) / frame, "", most=2),
            Claim("pandas, peak memory, times the frame", max(their_peaks) / frame, ""),
            Claim("mlops data diff of equal versions", statistics.median(equal), "s", most=1),
        ]
    )


def versions(folder: Path) -> list[Path]:
    """A repository with two commits of a table of a million rows; returns the tables' files."""
    from mlops.simulator import simulate

    table = simulate(Simulator(customers=MILLION, months=MONTHS, start="2025-01", seed=7, drift=Drift()))
    home = environment(folder.parent / "home")
    git = Git(folder.parent)
    git.raw("init", "--quiet", "--initial-branch=main", str(folder))
    (folder / ".dvc").mkdir()
    given = {name: (ROOT / name).read_text() for name in ("data/schema.yaml", "policy.yaml")}
    for name, text in {**given, ".dvc/config": "", ".gitignore": ".dvc/cache\n"}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return [_commit(folder, v, home) for v in (table.slice(1000), changed(table.slice(0, table.num_rows - 2000)))]


def changed(table: pa.Table) -> pa.Table:
    """The table with another price in a tenth of the rows, and another label in one of a hundred."""
    rng = np.random.default_rng(0)
    price = table.column("price").to_numpy() * np.where(rng.random(table.num_rows) < 0.1, 1.2, 1.0)
    churned = table.column("churned").cast(pa.string()).to_numpy(zero_copy_only=False).astype(object)
    flipped = np.where(rng.random(table.num_rows) < 0.01, np.where(churned == "1", "0", "1"), churned)
    for name, values in (("price", pa.array(price)), ("churned", pa.array(flipped, pa.string()))):
        values = values.cast(table.schema.field(name).type)
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def _commit(folder: Path, table: pa.Table, home: dict[str, str]) -> Path:
    """Put a table into the cache as data/raw, and commit a dvc.lock that names it."""
    made = folder.parent / "table.parquet"
    pq.write_table(table, made, compression="zstd", row_group_size=131_072, store_schema=False)
    cache = folder / ".dvc" / "cache" / "files" / "md5"
    md5 = digest.of_file(made)
    listing = json.dumps([{"md5": md5, "relpath": "table.parquet"}]).encode()
    place, listed = (cache / name[:2] / name[2:] for name in (md5, f"{digest.of_bytes(listing)}.dir"))
    for path in (place, listed):
        path.parent.mkdir(parents=True, exist_ok=True)
    made.replace(place)
    listed.write_bytes(listing)
    out = {"path": "data/raw", "md5": f"{listed.parent.name}{listed.name}", "size": place.stat().st_size, "nfiles": 1}
    lock = {"schema": "2.0", "stages": {"ingest": {"cmd": "true", "outs": [out]}}}
    (folder / "dvc.lock").write_text(json.dumps(lock))
    git = Git(folder)
    git.raw("add", "--all", env=home)
    git.raw("commit", "--quiet", "--message=a version", env=home)
    return place


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and peak resident memory in MiB of one command; it has to succeed."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment(folder.parent / "home"), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    spent = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"error: {command[:4]} ended with {process.returncode}")
    return spent, used.ru_maxrss / 1024 if sys.platform != "darwin" else used.ru_maxrss / 2**20


def _frame(path: Path) -> tuple[int, float]:
    """Rows of a table, and its MiB as a pandas frame."""
    code = "import pandas as pd, sys; f = pd.read_parquet(sys.argv[1]); print(len(f), f.memory_usage(deep=True).sum())"
    shown = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    rows, size = map(int, shown.stdout.split())
    return rows, size / 2**20
