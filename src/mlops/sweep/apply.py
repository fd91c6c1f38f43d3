"""The best trial through the whole pipeline: its params go into params.yaml, and `dvc exp run` makes an experiment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from itertools import chain, count
from typing import Any, TextIO

from mlops import params as parameters
from mlops import strict
from mlops.errors import ExperimentError, ParamsError
from mlops.experiments import filing, splice
from mlops.experiments.compare_text import value
from mlops.git import Git
from mlops.sweep import study as studies
from mlops.sweep.outcome import Found, Line
from mlops.sweep.run import Running
from mlops.sweep.space import Settings, get
from mlops.sweep.workspace import Workspace

METRICS = "metrics/evaluate/metrics.json"
STDERR = 2


def apply(sweep: Running, found: Found, out: TextIO) -> dict[str, Any] | None:
    """Run the pipeline with the best trial's params; the result is an experiment, and in the working tree.

    Args:
        sweep: which holds the study.
        found: its outcome.
        out: where it is told, stdout or stderr; DVC's own words go there too.

    Raises:
        ExperimentError: no trial keeps the limits, values of params.yaml would be lost, or the pipeline failed.
    """
    best = found.winner
    if best is None:
        raise ExperimentError("no trial keeps the limits of policy.yaml, so none is applied")
    if best.number == found.baseline.number:
        print("nothing is better than the baseline: nothing to apply", file=out)
        return None
    place, git = sweep.workspace, sweep.workspace.git
    head = _committed(sweep, best)
    path = git.folder / parameters.PATH
    text = path.read_text(encoding="utf-8")
    name = _free(git, place.head, f"{best.name}-applied")
    path.write_text(splice.with_values(text, best.params), encoding="utf-8")
    made = False
    try:
        print(f"dvc exp run --name {name}", file=out, flush=True)
        command = [sys.executable, "-m", "dvc", "exp", "run", "--name", name]
        done = subprocess.run(command, cwd=git.folder, stdout=None if out is sys.stdout else STDERR, check=False)
        made = done.returncode == 0 and _exists(git, place.head, name)
    finally:
        if not made:
            path.write_text(text, encoding="utf-8")
    if not made:
        raise ExperimentError(
            f"`dvc exp run` with the params of {best.name} failed, its own lines say why; params.yaml is as it was"
        )
    facts = _facts(place, name, head, best)
    _tell(facts, out)
    return facts


def _committed(sweep: Running, best: Line) -> Mapping[str, Any]:
    """The params of HEAD, when nothing that is only in the working tree would be overwritten.

    Raises:
        ExperimentError: a value that neither HEAD nor a trial has would be.
    """
    place = sweep.workspace
    committed = place.git.read(place.head, str(parameters.PATH)) or b"{}"
    head = strict.read(committed.decode("utf-8", "replace"), parameters.PATH, ParamsError)
    now = place.document()
    lost = {key: get(now, key) for key in best.params if get(now, key) not in (get(head, key), best.params[key])}
    tried = [t.user_attrs[studies.SETTINGS] for t in sweep.study.finished()]
    if lost and not any(all(settings.get(key) == value for key, value in lost.items()) for settings in tried):
        key = next(iter(lost))
        raise ExperimentError(
            f"params.yaml has {key}: {value(lost[key])}, which is not committed and would be overwritten; commit it, or"
            " `git restore params.yaml`, and run the same again"
        )
    found: Mapping[str, Any] = head
    return found


def _free(git: Git, head: str, name: str) -> str:
    names = chain([name], (f"{name}-{i}" for i in count(2)))
    return next(n for n in names if not _exists(git, head, n))


def _exists(git: Git, head: str, name: str) -> bool:
    return git.attempt("rev-parse", "--verify", "--quiet", filing.place(head, name)).returncode == 0


def _facts(place: Workspace, name: str, head: Mapping[str, Any], best: Line) -> dict[str, Any]:
    """What the experiment has otherwise than HEAD, whose params.yaml is given."""
    params: Settings = {k: v for k, v in best.params.items() if get(head, k) != v}
    then = json.loads(place.git.read(place.head, METRICS) or b"{}")
    now = json.loads((place.git.folder / METRICS).read_bytes())
    return {
        "name": name,
        "params": {k: {"before": get(head, k), "now": v} for k, v in params.items()},
        "metrics": {k: {"before": then.get(k), "now": v} for k, v in now.items()},
    }


def _tell(facts: Mapping[str, Any], out: TextIO) -> None:
    for kind in ("params", "metrics"):
        print("test metrics" if kind == "metrics" else kind, file=out)
        for key, pair in facts[kind].items():
            print(f"  {key:<20} {value(pair['before'])} → {value(pair['now'])}", file=out)
    print(f"experiment {facts['name']}, which is in the working tree, too", file=out)
    print("next      mlops compare            beside all others", file=out)
    print(f"          mlops promote {facts['name']}", file=out)
