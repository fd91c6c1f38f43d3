"""Requests of 1,000 rows: our two ways in, beside MLflow on the same payload."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import pyarrow as pa

from benchmarks.serving import load, peers, report, rows
from benchmarks.serving.load import Throughput
from benchmarks.serving.peers import MLFLOW, OURS, PEERS
from benchmarks.serving.processes import Server
from benchmarks.serving.report import Claim
from mlops.bundle import Bundle

ROUNDS, SECONDS, CONNECTIONS = 3, 5, 2
REQUESTS = 10
"""Distinct requests that go round."""
LEAST = 5
RECORDS, SPLIT = 'ours, /predict {"records"}', "ours, /invocations dataframe_split"


def batch() -> str:
    """Rows a second without comments, where times are the model's own, and with comments as the table has them."""
    busy, served = report.machine(), rows.model()
    plain = _measured(rows.table(commented=False), served)
    mixed = _measured(rows.whole(), served)
    found = []
    for what, measured in (("no comments", plain), ("comments as they come", mixed)):
        for way in (RECORDS, SPLIT):
            faster = report.ratio([t.rate for t in measured[way]], [t.rate for t in measured[MLFLOW]])
            found.append(Claim(f"{way}, {what}: rows/s, times MLflow", faster, "", least=LEAST))
    lines = []
    for name in plain:
        figures = [statistics.median(t.rate for t in m[name]) * rows.BATCH for m in (plain, mixed)]
        figures.append(statistics.median(t.cpu for t in plain[name]) / rows.BATCH)
        lines.append([name, *map(report.shown, figures)])
    head = ["way", "rows/s, no comments", "rows/s, comments as they come", "processor µs a row, no comments"]
    return f"{busy}\n{report.claims(found)}\n\n{report.table(head, lines)}"


def _measured(table: pa.Table, served: Bundle) -> dict[str, list[Throughput]]:
    chosen = rows.spread(table, rows.BATCH * REQUESTS)
    parts = [chosen.slice(i * rows.BATCH, rows.BATCH) for i in range(REQUESTS)]
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        records = load.write([rows.body(peers.many(part, served)) for part in parts], here / "records")
        split = load.write([rows.body(peers.split(part, served)) for part in parts], here / "split")
        (here / "ours").mkdir()
        (here / "mlflow").mkdir()
        with PEERS[OURS].start(here / "ours") as ours, PEERS[MLFLOW].start(here / "mlflow") as mlflow:
            ours.wait()
            mlflow.wait()
            ways = {
                RECORDS: (ours, "/predict", records),
                SPLIT: (ours, "/invocations", split),
                MLFLOW: (mlflow, "/invocations", split),
            }
            return _rounds(ways)


def _rounds(ways: dict[str, tuple[Server, str, Path]]) -> dict[str, list[Throughput]]:
    measured: dict[str, list[Throughput]] = {name: [] for name in ways}
    for server, path, bodies in ways.values():
        load.throughput(server, path, bodies, CONNECTIONS, 1)
    names = list(ways)
    for i in range(ROUNDS):
        for name in names[i:] + names[:i]:
            measured[name].append(load.throughput(*ways[name], CONNECTIONS, SECONDS))
    return measured
