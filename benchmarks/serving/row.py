"""One row in this process, and how far the served scores are from those of the library that trained the model."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.serving import processes, report, rows
from benchmarks.serving.differences import differences
from benchmarks.serving.report import Claim
from mlops.bundle import Bundle
from mlops.features import Scalar

ROUNDS, CALLS = 15, 2000
MOST_MICROSECONDS = 20


def row() -> str:
    """Raw values → probability, encoding included; the difference for all kinds of models; one thread or two."""
    busy, served = report.machine(), rows.model()
    plain, commented = (_scalars(served, commented=c) for c in (False, True))
    found = [
        Claim("one row in process", _fastest(served.score_row, plain), "µs", most=MOST_MICROSECONDS),
        Claim("the same with a comment to read", _fastest(served.score_row, commented), "µs"),
    ]
    found += [Claim(f"largest difference, {kind}", most, "", most=bound) for kind, most, bound in differences()]
    return f"{busy}\n{report.claims(found)}\n\n{_threads(served, plain)}"


def _scalars(served: Bundle, *, commented: bool) -> list[Mapping[str, Scalar]]:
    return [*rows.scalars(rows.spread(rows.table(commented=commented), CALLS), served)]


def _fastest(call: Callable[[Any], Any], arguments: Sequence[Any]) -> float:
    """µs of a call: the smallest of the rounds' medians, which says most of a machine that others use too."""
    return min(float(np.median(_each(call, arguments))) for _ in range(ROUNDS)) / 1e3


def _each(call: Callable[[Any], Any], arguments: Sequence[Any]) -> list[int]:
    clock, took = time.perf_counter_ns, []
    for argument in arguments:
        started = clock()
        call(argument)
        took.append(clock() - started)
    return took


def _threads(served: Bundle, plain: Sequence[Mapping[str, Scalar]]) -> str:
    """The model alone on one thread and on two, beside a neighbour that is always busy on the second core."""
    matrices = [served.encoder.row(values) for values in plain]
    calls = {threads: _scorer(threads) for threads in (1, 2)}
    lines = []
    spin = ["taskset", "-c", str(processes.cores()[1]), sys.executable, "-c", "while True: pass"]
    neighbour = subprocess.Popen(spin)
    try:
        for threads, call in calls.items():
            took = np.array([_each(call, matrices) for _ in range(3)]) / 1e6
            lines.append([str(threads), *(report.shown(float(np.percentile(took, q))) for q in (50, 99, 100))])
    finally:
        neighbour.kill()
        neighbour.wait()
    return report.table(["threads of the model, beside a busy neighbour", "p50 ms", "p99", "longest"], lines)


def _scorer(threads: int) -> Callable[[Any], Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(rows.SERVING / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    return lambda matrix: session.run(None, {"x": matrix})
