"""`mlops predict`: from the command line's words to a run, its progress, and what is said at the end."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.batch.lean import import_lean

if TYPE_CHECKING:
    from mlops.batch.request import Request
    from mlops.batch.run import Progress, Summary

REASONS = 5  # that are printed


def run(arguments: argparse.Namespace) -> None:
    """Score a file as the command line says.

    Raises:
        MlopsError: what cannot be scored, and why.
    """
    import_lean()
    import pyarrow as pa

    from mlops.batch import run as batch
    from mlops.batch.request import Request

    threads = _cores() if arguments.threads is None else arguments.threads
    output = Path(arguments.output)
    request = Request(
        Path(arguments.input),
        output,
        Path(arguments.quarantine) if arguments.quarantine else _beside(output),
        Path(arguments.models),
        arguments.stage,
        tuple(arguments.keep),
        arguments.max_bad,
        threads,
    )
    pa.enable_signal_handlers(False)  # Arrow would take Ctrl-C for itself while it reads, and may lose it
    pa.set_cpu_count(threads)
    pa.set_memory_pool(pa.system_memory_pool())  # as fast here as Arrow's own pool, and gives memory back
    stopped = _stoppable()
    with _shown() as progress:

        def update(rows: int, expected: int) -> None:
            if stopped.is_set():
                raise KeyboardInterrupt
            progress(rows, expected)

        summary = batch.predict(request, update)
    _warn(summary, request)
    print(json.dumps(_facts(summary, request), ensure_ascii=False) if arguments.json else _told(summary, request))


def _stoppable() -> threading.Event:
    """SIGTERM, which cron and Kubernetes send, ends a run as Ctrl-C does: nothing half-written stays.

    The event is for what is raised where nothing can catch it, in a callback of a library.
    """
    stopped = threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        raise KeyboardInterrupt

    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, stop)
    return stopped


@contextmanager
def _shown() -> Iterator[Progress]:
    """Progress as a bar on a terminal, and nowhere else."""
    if not sys.stderr.isatty():
        yield lambda rows, expected: None
        return
    from tqdm import tqdm

    with tqdm(unit="row", unit_scale=True, leave=False, file=sys.stderr) as bar:

        def update(rows: int, expected: int) -> None:
            bar.total = expected
            bar.update(rows)

        yield update


def _cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _beside(output: Path) -> Path:
    name = output.name.removesuffix(".gz")
    return output.with_name(f"{name.removesuffix(Path(name).suffix)}.rejected.csv")


def _warn(summary: Summary, request: Request) -> None:
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if summary.model.stage is None:
        where = f"{request.models / 'production'}: nothing is promoted to prod"
        print(f"warning: {where}; scored with {summary.model.folder}, {summary.model.version}", file=sys.stderr)
    if not summary.rows:
        print(f"warning: {request.input} has no rows; {request.output} has none either", file=sys.stderr)


def _told(summary: Summary, request: Request) -> str:
    """What was done, in a few lines."""
    lines = [f"  quarantined: {reason} ({count:,})" for reason, count in summary.reasons.most_common(REASONS)]
    lines += [f"  unseen levels: {column} ({count:,})" for column, count in summary.unknown.most_common()]
    aside = f", {summary.quarantined:,} quarantined in {request.quarantine}" if summary.quarantined else ""
    first = (
        f"{summary.scored:,} rows scored{aside}: {request.output}, version {summary.model.version},"
        f" {summary.seconds:.1f} s"
    )
    return "\n".join([first, *lines])


def _facts(summary: Summary, request: Request) -> dict[str, Any]:
    """The same for programs."""
    return {
        "input": str(request.input),
        "output": str(request.output),
        "quarantine": str(request.quarantine),
        "rows": summary.rows,
        "scored": summary.scored,
        "quarantined": summary.quarantined,
        "churn": summary.churn,
        "reasons": dict(summary.reasons.most_common()),
        "unknown_levels": dict(summary.unknown),
        "version": summary.model.version,
        "commit": summary.model.commit,
        "stage": summary.model.stage,
        "predicted_at": summary.predicted_at,
        "seconds": round(summary.seconds, 3),
        "warnings": summary.warnings,
    }
