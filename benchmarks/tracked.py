"""What tracking costs: a hundred trials as our runs, as MLflow's in an SQLite file, and as `dvc exp run`.

    python -m benchmarks tracking

All track the same trials (tracking/trial.py), call for call as its documentation shows. MLflow runs in an environment
of its own, made from deploy/trackers/mlflow-server.txt; it and `dvc exp run` run fewer trials, told as a hundred.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.pipeline import ROOT, environment, seconds, workspace
from benchmarks.serving import environments, report
from benchmarks.serving.report import Claim

TRIALS, FEWER, FEWEST, ROUNDS = 100, 10, 5, 3
WORK = 0.01
"""Seconds of a trial's own work, as in tracking/trial.py, which needs packages that this process does not."""
PIPELINE = """
stages:
  trial:
    cmd: 'sleep 0.01 && echo ''{"auc": 0.8}'' > metrics.json'
    params: [x]
    metrics: [metrics.json: {cache: false}]
"""
Spent = dict[str, Any]


class _Both(NamedTuple):
    """The rounds of both trackers; seconds of all are those of a hundred trials, without their own work."""

    ours: list[Spent]
    peer: list[Spent]


def tracking() -> str:
    """A hundred trials with params, metrics and a curve; the same with a model; what the end of a run takes."""
    with tempfile.TemporaryDirectory() as temporary:
        project = workspace(Path(temporary) / "project")
        plain, kept = (_both(project, words) for words in ([], ["model"]))
        by_dvc = _by_dvc(Path(temporary) / "dvc")
    median = {name: [_median(both.ours, name) for both in (plain, kept)] for name in ("all", "ending")}
    return f"{report.machine()}\n" + report.claims(
        [
            Claim(f"{TRIALS} trials beyond their own work", median["all"][0], "s", most=5),
            Claim("MLflow with SQLite, times that", report.ratio(_all(plain.peer), _all(plain.ours)), ""),
            Claim("dvc exp run, times that", by_dvc / median["all"][0], ""),
            Claim("the same with a model: scored, checked, kept", median["all"][1], "s"),
            Claim("MLflow with SQLite, times that", report.ratio(_all(kept.peer), _all(kept.ours)), ""),
            Claim("saving a run, median", 1000 * median["ending"][0], "ms", most=50),
            Claim("the same, 95 of 100 are faster", 1000 * _p95(plain.ours), "ms"),
            Claim("saving a run with a model, median", 1000 * median["ending"][1], "ms", most=50),
            Claim("the same, 95 of 100 are faster", 1000 * _p95(kept.ours), "ms"),
            Claim("log_metrics(model, X, y) of 2,000 rows", 1000 * _median(kept.ours, "measuring"), "ms"),
            Claim("scikit-learn's metrics into MLflow", 1000 * _median(kept.peer, "measuring"), "ms"),
            Claim("log_model", 1000 * _median(kept.ours, "keeping"), "ms"),
            Claim("MLflow's log_model", 1000 * _median(kept.peer, "keeping"), "ms"),
        ]
    )


def _both(project: Path, words: Sequence[str]) -> _Both:
    """Rounds in turn."""
    python = environments.programs("mlflow-server", ROOT / "deploy" / "trackers" / "mlflow-server.txt") / "python"
    found = _Both([], [])
    for turn in range(ROUNDS):
        empty = project.parent / f"mlflow-{len(words)}-{turn}"
        empty.mkdir()
        found.ours.append(_run([sys.executable, "-m", "benchmarks.tracking.ours"], TRIALS, words, project))
        found.peer.append(_run([str(python), "-m", "benchmarks.tracking.mlflow_runs"], FEWER, words, empty))
    return found


def _run(command: Sequence[str], trials: int, words: Sequence[str], folder: Path) -> Spent:
    variables = {**environment(folder.parent / "home"), "PYTHONPATH": str(ROOT)}
    spent: Spent = json.loads(environments.said([*command, str(trials), *words], folder, variables).splitlines()[-1])
    spent["all"] = (spent["all"] / trials - WORK) * TRIALS
    return spent


def _by_dvc(folder: Path) -> float:
    """Seconds that `dvc exp run` takes for a hundred trials beyond their own work."""
    folder.mkdir()
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "params.yaml").write_text("x: 0\\n")
    for words in ("git init -q", "dvc init -q", "dvc repro -q", "git add -A", "git commit -qm trials"):
        seconds(words.split(), folder)
    spent = [seconds(["dvc", "exp", "run", "--quiet", "-S", f"x={x}"], folder) for x in range(1, FEWEST + 1)]
    return (statistics.median(spent) - WORK) * TRIALS


def _all(rounds: Sequence[Spent]) -> list[float]:
    return [spent["all"] for spent in rounds]


def _median(rounds: Sequence[Spent], name: str) -> float:
    """Of the rounds' own seconds, or of all their trials'."""
    return statistics.median(_all(rounds) if name == "all" else [s for spent in rounds for s in spent[name]])


def _p95(rounds: Sequence[Spent]) -> float:
    return statistics.quantiles((s for spent in rounds for s in spent["ending"]), n=20)[-1]
