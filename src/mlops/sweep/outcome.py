"""What a sweep found: the best trials beside the baseline, how sure that is, which params matter, what is next."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlops.experiments.compare_text import WIDTH, number, value
from mlops.features import Floats
from mlops.metrics.measure import Decision
from mlops.report import paired
from mlops.report.paired import Change, Draw, Measure
from mlops.report.ranked import Counts, Ranked
from mlops.sweep import study as studies
from mlops.sweep.run import Running

SHOWN = 5
RESAMPLES, CONFIDENCE = 1000, 0.95
ENOUGH = 20
"""Trials; with fewer, which params matter is not said."""


@dataclass(frozen=True)
class Line:
    """A trial. std: over the folds, None for one; change: to the baseline's, None for the baseline itself, and where
    the scored rows of one of them are gone. keeps: whether it costs no more than it may.
    """

    number: int
    name: str
    commit: str | None
    params: Mapping[str, Any]
    value: float
    std: float | None
    cost: Mapping[str, float]
    change: Change | None
    keeps: bool

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        change = None
        if self.change is not None:
            told = {"value": self.change.difference, "low": self.change.low, "high": self.change.high}
            change = {k: round(v, 6) if math.isfinite(v) else None for k, v in told.items()}
            change["better"] = self.change.better
        return {
            "trial": self.number, "name": self.name, "commit": self.commit, "params": dict(self.params),
            "value": self.value, "std": self.std, **self.cost, "difference": change, "keeps_limits": self.keeps,
        }  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a sweep found. counts: state → trials; importance: param → share, empty where trials are too few.

    baseline: params.yaml when the study began; method: how trials were measured; folds: into how many parts.
    """

    study: str
    metric: str
    higher: bool
    method: str
    folds: int
    counts: Mapping[str, int]
    best: Sequence[Line]
    baseline: Line
    importance: Mapping[str, float]
    limits: Mapping[str, float | None]

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "study": self.study, "metric": self.metric, "higher_is_better": self.higher, "method": self.method,
            "folds": self.folds, "trials": dict(self.counts), "best": [line.facts() for line in self.best],
            "baseline": self.baseline.facts(), "importance": dict(self.importance), "limits": dict(self.limits),
        }  # fmt: skip

    @property
    def winner(self) -> Line | None:
        """The best that keeps the limits; None where none does."""
        return self.best[0] if self.best and self.best[0].keeps else None


def of(sweep: Running) -> Found:
    """Look at what there is."""
    finished = sweep.study.finished()
    chosen = finished[:SHOWN]
    first = sweep.study.baseline()
    assert first is not None
    changes = _changes(sweep, chosen, first)
    states = {"finished": TrialState.COMPLETE, "stopped early": TrialState.PRUNED, "failed": TrialState.FAIL}
    one_fold = sweep.work.validate.method == "validation"
    return Found(
        sweep.study.name, sweep.metric, sweep.study.higher, sweep.work.validate.method,
        1 if one_fold else sweep.work.validate.folds,
        {name: len(sweep.study.trials(state)) for name, state in states.items()},
        [_line(sweep, t, changes.get(t.number)) for t in chosen], _line(sweep, first, None),
        _importance(sweep), sweep.limits,
    )  # fmt: skip


def _line(sweep: Running, trial: FrozenTrial, change: Change | None) -> Line:
    result = trial.user_attrs[studies.RESULT]
    assert trial.value is not None
    name, commit = sweep.study.experiment(trial.number) or (sweep.called(trial.number), None)
    return Line(
        trial.number, name, commit,
        trial.user_attrs[studies.SETTINGS], trial.value, result["std"].get(sweep.metric), result["cost"], change,
        studies.keeps(trial),
    )  # fmt: skip


def _changes(sweep: Running, chosen: Sequence[FrozenTrial], baseline: FrozenTrial) -> dict[int, Change]:
    """Trial → its difference to the baseline: customers are drawn, both are measured on the same ones."""
    numbers = [baseline.number, *(t.number for t in chosen if t.number != baseline.number)]
    measures = {n: measure for n in numbers if (measure := _measure(sweep, n)) is not None}
    if baseline.number not in measures or len(measures) < 2:
        return {}
    rows = sweep.rows.measured()
    customers = 1 + max(int(customers.max()) for _, customers in rows)
    draw = Draw(RESAMPLES, CONFIDENCE, max(customers, sum(len(y) for y, _ in rows)))
    drawn = dict(zip(measures, paired.replicates(list(measures.values()), customers, draw), strict=True))
    mine = drawn.pop(baseline.number)[sweep.metric]
    values = {t.number: float(t.value or 0) for t in [baseline, *chosen]}
    return {
        n: paired.change(
            sweep.metric,
            (values[n], values[baseline.number]),
            paired.percentiles(found[sweep.metric] - mine, CONFIDENCE),
        )
        for n, found in drawn.items()
    }


def _measure(sweep: Running, trial: int) -> Measure | None:
    """The mean of the metric over the folds, under any weighting of the customers."""
    scored = sweep.scored(trial)
    if scored is None:
        return None
    money = sweep.work.space.document["decision"]
    parts: list[Measure] = [
        Ranked(y, p, customers, Decision(threshold, money["value_saved"], money["cost_contact"])).measure
        for (y, customers), p, threshold in zip(sweep.rows.measured(), *scored, strict=True)
    ]

    def measure(drawn: Counts) -> dict[str, Floats]:
        return {sweep.metric: np.mean([part(drawn)[sweep.metric] for part in parts], axis=0)}

    return measure


def _importance(sweep: Running) -> dict[str, float]:
    """Which params told good trials from others (PED-ANOVA; Watanabe, Bansal & Hutter, IJCAI 2023)."""
    told = _told(sweep.study.trials(TrialState.COMPLETE, TrialState.PRUNED))
    if len(told) < ENOUGH:
        return {}
    study = optuna.create_study(direction="maximize" if sweep.study.higher else "minimize")
    study.add_trials(told)
    try:
        found = optuna.importance.get_param_importances(study)
    except (ValueError, RuntimeError):  # no param of the trials varies
        return {}
    return {name: round(share, 4) for name, share in found.items()}


def _told(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials with what they were first measured by, where some were stopped: those that went on are all good ones, and
    what made them so could not be seen in them alone.
    """
    if all(t.state == TrialState.COMPLETE for t in trials):
        values = {t.number: t.value for t in trials}
    else:
        first = min((step for t in trials for step in t.intermediate_values), default=0)
        values = {t.number: t.intermediate_values.get(first) for t in trials}
    known = [(t, value) for t in trials if (value := values[t.number]) is not None]
    return [optuna.trial.create_trial(params=t.params, distributions=t.distributions, value=v) for t, v in known]


def show(found: Found) -> None:
    """Print it."""
    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=WIDTH, highlight=False)
    console.print(_title(found), markup=False)
    console.print(_table(found))
    for line in words(found):
        console.print(line, markup=False, soft_wrap=True)


def _title(found: Found) -> str:
    counted = ", ".join(f"{n} {state}" for state, n in found.counts.items() if n)
    rows = "validation rows" if found.method == "validation" else f"{found.folds} folds of the training rows"
    way = "higher" if found.higher else "lower"
    return f"{found.study}: {counted}; {found.metric} ({way} is better) on {rows}"


def _table(found: Found) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("experiment", no_wrap=True)
    table.add_column(found.metric + (" ± std" if found.folds > 1 else ""), justify="right", no_wrap=True)
    table.add_column("to baseline", justify="right")
    for name in found.baseline.cost:
        table.add_column(name, justify="right")
    table.add_column("params", overflow="fold")
    shown = [*enumerate(found.best, 1)]
    if found.baseline.number not in [line.number for line in found.best]:
        shown.append((0, found.baseline))
    for place, line in shown:
        style = "bold" if place == 1 else "" if line.keeps else "dim"
        table.add_row(str(place or ""), *(Text(cell) for cell in _cells(found, line)), style=style)
    return table


def _cells(found: Found, line: Line) -> list[str]:
    spread = "" if line.std is None else f" ± {number(line.std, found.metric)}"
    is_baseline = line.number == found.baseline.number
    told = " ".join(f"{k}={value(v)}" for k, v in line.params.items() if v is not None)
    return [
        line.name,
        number(line.value, found.metric) + spread,
        "" if is_baseline else difference(found, line),
        *(f"{cost:.3g}" + ("" if line.keeps else " !") for cost in line.cost.values()),
        "baseline: params.yaml when the study began" if is_baseline else told,
    ]


def difference(found: Found, line: Line) -> str:
    """How far a trial is from the baseline, with the interval."""
    told = number(line.value - found.baseline.value, found.metric, "+")
    if line.change is None or not math.isfinite(line.change.low):
        return told
    ends = (number(end, found.metric, "+") for end in (line.change.low, line.change.high))
    return f"{told} [{', '.join(ends)}]"


def words(found: Found) -> list[str]:
    """How sure it is, which params matter, and what to type next."""
    said = [_noise(found)]
    if found.importance:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in found.importance.items())
        said.append(f"what told good trials from others: {shares}")
    else:
        said.append(f"which params matter is not said of fewer than {ENOUGH} trials")
    if found.winner is not None and found.winner.number != found.baseline.number:
        said.append("next      mlops sweep --apply       run the whole pipeline with the best, test rows too")
        said.append(f"          mlops compare --metric {found.method}.{found.metric}")
    return said


def _noise(found: Found) -> str:
    best = found.winner
    limits = ", ".join(f"{name} {limit:g}" for name, limit in found.limits.items() if limit is not None)
    if best is None:
        return f"no trial keeps the limits ({limits}): try smaller models, or raise them in policy.yaml"
    if best.number == found.baseline.number:
        return "nothing is better than the baseline; try more trials, other params or wider ranges"
    luck = "as the best of many on these rows it was lucky, too: expect less of it on others"
    if best.change is None:
        return f"the best is {difference(found, best)} from the baseline, without an interval; {luck}"
    if best.change.better:
        return f"[…]: {CONFIDENCE:.0%} interval over customers; the best is better by more than chance, though {luck}"
    return (
        f"[…]: {CONFIDENCE:.0%} interval over customers; the best cannot be told from the baseline by these rows, and"
        f" {luck}"
    )
