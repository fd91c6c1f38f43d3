"""`mlops metrics`: what the last run of the pipeline achieved, as a table that a person reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mlops.errors import MlopsError
from mlops.metrics.measure import HIGHER_IS_BETTER

METRICS = Path("metrics/evaluate")
TIMINGS = Path("metrics/timings.json")
PLOTS = Path("dvc_plots/index.html")

MEANING = {
    "roc_auc": "chance that a churner scores above a stayer",
    "pr_auc": "average precision",
    "log_loss": "of the probabilities",
    "brier": "squared error",
    "f1": "at the threshold",
    "precision": "of the contacted, churners",
    "recall": "of the churners, contacted",
    "accuracy": "at the threshold",
    "expected_profit": "money per customer scored",
}


def read() -> dict[str, Any]:
    """Metrics with intervals, best reachable ROC AUC where it is known, and timings where they were measured.

    Raises:
        MlopsError: the pipeline has not been run here.
    """
    try:
        found: dict[str, Any] = json.loads((METRICS / "intervals.json").read_bytes())
        plain = json.loads((METRICS / "metrics.json").read_bytes())
    except FileNotFoundError as error:
        raise MlopsError(f"{error.filename} is missing; run the pipeline with `make` or `dvc repro`") from None
    except ValueError as error:
        raise MlopsError(
            f"{METRICS}: not valid JSON ({error}); make it again with `dvc repro --force evaluate`"
        ) from None
    found["best_reachable_roc_auc"] = plain.get("best_reachable_roc_auc")
    found["timings"] = json.loads(TIMINGS.read_bytes()) if TIMINGS.exists() else {}
    return found


def as_json() -> str:
    """The facts behind the table."""
    return json.dumps(read(), indent=1)


def show(console: Console) -> None:
    """Print the table, where the plots are, and what to type next."""
    found = read()
    table = Table(title=_title(found), title_justify="left", title_style="bold")
    table.add_column("metric")
    table.add_column("test", justify="right")
    table.add_column(f"{found['confidence']:.0%} interval", justify="right")
    table.add_column("", style="dim")
    for name, value in found["metrics"].items():
        arrow = "higher is better" if HIGHER_IS_BETTER[name] else "lower is better"
        note = MEANING[name] + ("" if HIGHER_IS_BETTER[name] else f"; {arrow}")
        table.add_row(name, _number(value["value"]), f"{_number(value['low'])} – {_number(value['high'])}", note)
    if found["best_reachable_roc_auc"] is not None:
        table.add_section()
        best = found["best_reachable_roc_auc"]
        gap = best - found["metrics"]["roc_auc"]["value"]
        table.add_row("best reachable roc_auc", _number(best), "", f"{gap:.4f} above ours; only a simulator knows")
    console.print(table)
    for line in _next_lines(found):
        console.print(line, highlight=False, soft_wrap=True)


def _title(found: dict[str, Any]) -> str:
    rows = f"{found['rows']:,} rows of {found['customers']:,} customers, {found['churned']:,} churned"
    return f"Test: {rows}; contacted from p = {found['threshold']:.4f}"


def _number(value: float) -> str:
    return f"{value:.4f}"


def _next_lines(found: dict[str, Any]) -> list[str]:
    timings = found["timings"]
    lines = []
    if "train_time_seconds" in timings and "inference_time_ms" in timings:
        lines.append(
            f"trained in {timings['train_time_seconds']:.1f} s; one customer is scored in"
            f" {timings['inference_time_ms']:.3f} ms"
        )
    if PLOTS.exists():
        lines.append(f"plots     {PLOTS}   (open it in a browser)")
    return [
        *lines,
        "next      dvc exp run -S max_depth=10      try an idea (first: source .venv/bin/activate)",
        "          dvc exp show --only-changed      compare",
        "          mlops data use FILE --target COLUMN      bring your own table",
    ]
