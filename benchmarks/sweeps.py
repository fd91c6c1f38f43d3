"""What a sweep costs beside DVC's own queue of experiments, on the default data.

    python -m benchmarks sweep

A hundred trials of policy.yaml's space, a process per core, from the first line to the table; then some of the same
settings, the first that were drawn at random, by `dvc exp run --queue` and `--run-all`. Seconds of a trial and
of an experiment are compared.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna

from benchmarks.pipeline import environment, seconds, workspace
from benchmarks.serving import report
from benchmarks.serving.report import Claim
from mlops.experiments import splice
from mlops.report.paired import cores
from mlops.sweep import study

TRIALS, QUEUED = 100, 5


def sweep() -> str:
    """A hundred trials beside some of the same settings in DVC's queue."""
    with tempfile.TemporaryDirectory() as temporary:
        project = workspace(_made(Path(temporary) / "project"))
        seconds(["dvc", "repro", "--quiet"], project)
        _committed(project)
        spent = seconds(["mlops", "sweep", "--trials", str(TRIALS), "--jobs", str(cores())], project)
        again = seconds(["mlops", "sweep", "--trials", str(TRIALS)], project)
        trials = _trials(project)
        queued = _queued(project, [t.user_attrs[study.SETTINGS] for t in trials[1 : QUEUED + 1]])
    stopped = sum(t.state == optuna.trial.TrialState.PRUNED for t in trials)
    each = spent / TRIALS
    return f"{report.machine()}\n" + report.claims(
        [
            Claim(f"an experiment of `dvc exp run --queue`, of {QUEUED}", queued / QUEUED, "s"),
            Claim(f"a trial of `mlops sweep`, of {TRIALS}", each, "s"),
            Claim("times as long takes the queue", queued / QUEUED / each, "", least=10),
            Claim(f"all {TRIALS} trials", spent, "s"),
            Claim("of these stopped early", stopped, ""),
            Claim("the same again, nothing left to do", again, "s"),
        ]
    )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _committed(project: Path) -> None:
    for command in (["git", "add", "--all"], ["git", "commit", "--quiet", "--allow-empty", "--message=ran"]):
        subprocess.run(command, cwd=project, check=True, env=environment(project.parent / "home"))


def _trials(project: Path) -> list[Any]:
    storage = f"sqlite:///{project / study.PLACE / study.FILE}"
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).trials


def _queued(project: Path, of: list[dict[str, Any]]) -> float:
    """Seconds that the queue takes for settings."""
    env = environment(project.parent / "home")
    started = time.perf_counter()
    for settings in of:
        words = [word for key, value in settings.items() for word in ("-S", f"{key}={splice.shown(value)}")]
        subprocess.run(["dvc", "exp", "run", "--queue", *words], cwd=project, env=env, check=True, capture_output=True)
    done = subprocess.run(["dvc", "exp", "run", "--run-all"], cwd=project, env=env, capture_output=True, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise SystemExit("error: DVC's queue failed")
    return time.perf_counter() - started
