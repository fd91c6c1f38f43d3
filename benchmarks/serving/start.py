"""How soon our service is ready, and how much memory it takes."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.serving import load, peers, report, rows
from benchmarks.serving.report import Claim

STARTS = 9
MANY = 10_000
POLL = 0.002


def start() -> str:
    """Seconds from the start of the process to the first 200 of /ready; resident memory then and under way."""
    busy, served = report.machine(), rows.model()
    plain = rows.spread(rows.table(commented=False), rows.EACH)
    bodies = [rows.body(peers.PEERS[peers.OURS].body(plain.slice(i, 1), served)) for i in range(plain.num_rows)]
    took: list[float] = []
    worked: list[float] = []
    with tempfile.TemporaryDirectory() as temporary:
        file = load.write(bodies, Path(temporary) / "bodies")
        for i in range(STARTS):
            folder = Path(temporary) / str(i)
            folder.mkdir()
            with peers.ours(folder) as server:
                took.append(server.wait(POLL))
                worked.append(server.cpu_seconds())
                if i < STARTS - 1:
                    continue
                load.times(server, "/predict", file, 60, count=len(bodies))
                warm = server.memory_mb()
                load.times(server, "/predict", file, 60, count=MANY)
                later = server.memory_mb()
    return f"{busy}\n" + report.claims(
        [
            Claim(f"ready after its start (median of {STARTS})", statistics.median(took[1:]), "s", most=0.4),
            Claim("the same, fastest", min(took), "s"),
            Claim("processor time until then", statistics.median(worked[1:]), "s"),
            Claim("memory after warm-up", warm, "MB", most=90),
            Claim(f"memory after {MANY:,} requests", later, "MB", most=90),
        ]
    )
