"""Run all benchmarks, or those named: each prints what it compares, the ratio and the bound it is held to."""

from __future__ import annotations

import sys

from benchmarks import batch, datadiff, experiments, pipeline, registry, reports, serving, sweeps, tracked

BENCHMARKS = {
    "startup": pipeline.startup,
    "default": pipeline.default_size,
    "million": pipeline.million_rows,
    "memory": pipeline.peak_memory,
    "cold": pipeline.cold,
    "serving-one": serving.one,
    "serving-batch": serving.batch,
    "serving-start": serving.start,
    "row": serving.row,
    "batch": batch.batch,
    "data-diff": datadiff.data_diff,
    "bootstrap": reports.bootstrap,
    "report": reports.branch,
    "registry-tags": registry.resolving,
    "registry-show": registry.show,
    "registry-promote": registry.promote,
    "registry-follow": registry.follow,
    "tracking": tracked.tracking,
    "compare": experiments.compare,
    "sweep": sweeps.sweep,
}
GROUPS = {
    "serving": ("serving-one", "serving-batch", "serving-start", "row"),
    "reports": ("bootstrap", "report", "data-diff"),
    "registry": ("registry-tags", "registry-show", "registry-promote", "registry-follow"),
    "experiments": ("tracking", "compare", "sweep"),
}
"""Names that stand for several."""


def main(argv: list[str]) -> int:
    chosen = [name for given in argv for name in GROUPS.get(given, (given,))]
    unknown = [name for name in chosen if name not in BENCHMARKS]
    if unknown:
        print(f"error: {unknown[0]} is none of {', '.join([*BENCHMARKS, *GROUPS])}", file=sys.stderr)
        return 2
    for name in chosen or BENCHMARKS:
        print(f"## {name}", flush=True)
        print(BENCHMARKS[name](), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
