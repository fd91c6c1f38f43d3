"""`/predict` of one record beside the peers: 16 connections, and one connection with the time of every request."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa

from benchmarks.serving import load, peers, report, rows
from benchmarks.serving.load import Throughput, Times
from benchmarks.serving.peers import BENTOML, MLFLOW, MLSERVER, NOOP, OURS, PEERS
from benchmarks.serving.processes import Server
from benchmarks.serving.report import Claim
from mlops.bundle import Bundle

ROUNDS, SECONDS, CONNECTIONS = 3, 5, 16
COMMENTED = "ours, with a comment"
TIMES_FASTER = {MLFLOW: 100, BENTOML: 70, MLSERVER: 7, NOOP: 1}
CLOSE = 1e-5
"""So close must a peer's first answer be to the model's own: else it serves something else."""


def one() -> str:
    """Throughput and times of single rows."""
    busy, served = report.machine(), rows.model()
    with running(served) as (servers, bodies):
        for name, server in servers.items():
            load.throughput(server, _path(name), bodies[name], CONNECTIONS, 1)
        throughputs = _rounds(servers, bodies)
        times = {name: load.times(server, _path(name), bodies[name], SECONDS) for name, server in servers.items()}
    return f"{busy}\n{_faster(throughputs)}\n\n{_times(times[OURS])}\n\n{_everybody(throughputs, times)}"


@contextmanager
def running(served: Bundle) -> Iterator[tuple[Mapping[str, Server], Mapping[str, Path]]]:
    """All servers at once, each ready and checked, and a file of bodies for each; idle ones cost next to nothing."""
    plain, commented = (rows.spread(rows.table(commented=c), rows.EACH) for c in (False, True))
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        servers: dict[str, Server] = {}
        bodies: dict[str, Path] = {}
        for i, (name, peer) in enumerate(PEERS.items()):
            folder = Path(temporary) / str(i)
            folder.mkdir()
            bodies[name] = _bodies(name, plain, served, folder / "bodies")
            servers[name] = stack.enter_context(peer.start(folder))
            servers[name].wait()
            if name != NOOP:
                _check(name, servers[name], plain, served)
        bodies[COMMENTED] = _bodies(OURS, commented, served, Path(temporary) / "commented")
        servers[COMMENTED] = servers[OURS]
        yield servers, bodies


def _bodies(name: str, table: pa.Table, served: Bundle, file: Path) -> Path:
    single = [rows.body(PEERS[name].body(table.slice(i, 1), served)) for i in range(table.num_rows)]
    return load.write(single, file)


def _check(name: str, server: Server, table: pa.Table, served: Bundle) -> None:
    """Everybody must serve this model: some answers are compared with it."""
    peer = PEERS[name]
    for i, scalars in enumerate(rows.scalars(table.slice(0, 20), served)):
        raw, probability = served.score_row(scalars)
        expected = probability if name != MLSERVER else peers.uncalibrated(raw)
        body = rows.body(peer.body(table.slice(i, 1), served))
        answered = peer.first(json.loads(server.post(peer.path, body)))
        if abs(answered - expected) > CLOSE:
            raise SystemExit(f"error: {name} answers {answered} to row {i}, the model {expected}")


def _rounds(servers: Mapping[str, Server], bodies: Mapping[str, Path]) -> dict[str, list[Throughput]]:
    """Everybody in each round, in an order that moves on by one from round to round."""
    measured: dict[str, list[Throughput]] = {name: [] for name in servers}
    names = list(servers)
    for i in range(ROUNDS):
        for name in names[i:] + names[:i]:
            took = load.throughput(servers[name], _path(name), bodies[name], CONNECTIONS, SECONDS)
            print(f"  {name}: {took.rate:,.0f} requests/s, {took.cpu:,.0f} µs each", file=sys.stderr, flush=True)
            measured[name].append(took)
    return measured


def _path(name: str) -> str:
    return PEERS[OURS if name == COMMENTED else name].path


def _faster(measured: Mapping[str, list[Throughput]]) -> str:
    found = []
    for name, least in TIMES_FASTER.items():
        by_rate = report.ratio([t.rate for t in measured[OURS]], [t.rate for t in measured[name]])
        by_cpu = report.ratio([t.cpu for t in measured[name]], [t.cpu for t in measured[OURS]])
        found.append(Claim(f"requests/s, times {name}", by_rate, "", least=least))
        found.append(Claim(f"processor time of {name}, times ours", by_cpu, ""))
    return report.claims(found)


def _times(ours: Times) -> str:
    return report.claims(
        [
            Claim("one connection, p50", ours.p50, "ms", most=0.2),
            Claim("one connection, p99", ours.p99, "ms", most=0.35),
            Claim("one connection, longest pause", ours.longest, "ms", most=10),
        ]
    )


def _everybody(throughputs: Mapping[str, list[Throughput]], times: Mapping[str, Times]) -> str:
    lines = []
    for name, rounds in throughputs.items():
        figures = (
            statistics.median(t.rate for t in rounds),
            statistics.median(t.cpu for t in rounds),
            *times[name][1:],
        )
        lines.append([name, *map(report.shown, figures)])
    head = ["server", f"requests/s, {CONNECTIONS} connections", "processor µs", "p50 ms, 1 connection", "p99", "p99.9",
            "longest"]  # fmt: skip
    return report.table(head, lines)
