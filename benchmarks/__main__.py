"""Run all benchmarks, or those named: each prints what it compares, the ratio and the bound it is held to."""

from __future__ import annotations

import sys

from benchmarks import pipeline

BENCHMARKS = {
    "startup": pipeline.startup,
    "default": pipeline.default_size,
    "million": pipeline.million_rows,
    "memory": pipeline.peak_memory,
    "cold": pipeline.cold,
}


def main(argv: list[str]) -> int:
    unknown = [name for name in argv if name not in BENCHMARKS]
    if unknown:
        print(f"error: {unknown[0]} is none of {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in argv or BENCHMARKS:
        print(f"## {name}", flush=True)
        print(BENCHMARKS[name](), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
