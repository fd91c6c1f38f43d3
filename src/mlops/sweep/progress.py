"""What a sweep says while it runs: a panel in a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mlops.errors import one_line
from mlops.experiments.compare_text import number, value
from mlops.sweep.run import Running
from mlops.sweep.study import DONE, SETTINGS
from mlops.sweep.workers import Outcome

PARTS = 10
"""Lines that are written besides those of a new best, where there is no terminal."""


@contextmanager
def shown() -> Iterator[Progress]:
    """Show what is going on, on stderr, while the block runs."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield Progress(console, None)
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield Progress(console, live)


class Progress:
    """Counts trials. live: what is drawn anew, None where only lines are written."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console, self._live = console, live
        self._started, self._total, self._before = time.monotonic(), 0, 0
        self._best: int | None = None
        self._told = 0

    def began(self, sweep: Running, total: int) -> None:
        """Trials run from now on."""
        self._started, self._total, self._before = time.monotonic(), total, sweep.study.done()
        self._told = self._before
        best = sweep.study.best()
        self._best = best.number if best else None
        self._draw(sweep)

    def finished(self, sweep: Running, number: int, outcome: Outcome) -> None:
        """A trial came to its end."""
        if isinstance(outcome, str):
            self._console.print(f"trial {number} failed: {one_line(outcome)}", markup=False)
        best = sweep.study.best()
        new = best is not None and best.number != self._best
        self._best = best.number if best else None
        if self._live is not None:
            self._draw(sweep)
        elif new or sweep.study.done() >= self._told + max(self._total // PARTS, 1):
            self._told = sweep.study.done()
            self._console.print(self._line(sweep), markup=False, soft_wrap=True)

    def _draw(self, sweep: Running) -> None:
        if self._live is None:
            return
        table = Table.grid(padding=(0, 2))
        table.add_row(Text(sweep.study.name, "bold"), Text(self._counted(sweep)))
        best = sweep.study.best()
        if best is not None:
            table.add_row(Text("best so far", "dim"), Text(self._told_best(sweep)))
            table.add_row("", Text(_params(sweep, best.number), "dim"))
        self._live.update(table)

    def _line(self, sweep: Running) -> str:
        return f"{self._counted(sweep)}; best {self._told_best(sweep)}"

    def _counted(self, sweep: Running) -> str:
        done = sweep.study.done()
        spent = time.monotonic() - self._started
        made = done - self._before
        pruned = sum(t.state.name == "PRUNED" for t in sweep.study.trials(*DONE))
        told = f"{done} of {self._total} trials, {pruned} stopped early"
        if made and spent:
            left = (self._total - done) * spent / made
            told += f", {60 * made / spent:.0f} a minute, {_time(left)} left"
        return told

    def _told_best(self, sweep: Running) -> str:
        best = sweep.study.best()
        if best is None:
            return "none yet"
        return f"{sweep.metric} {number(best.value, sweep.metric)} (trial {best.number})"


def _params(sweep: Running, trial: int) -> str:
    told = sweep.study.trials()[trial].user_attrs[SETTINGS]
    return "  ".join(f"{name}={value(v)}" for name, v in told.items() if v is not None) or "the baseline's params"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
