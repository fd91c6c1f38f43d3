"""Where trials run: in this process, or in several that each hold the rows."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from mlops.errors import MlopsError, one_line
from mlops.model.fit import Watch
from mlops.params import Params
from mlops.policy import Validate
from mlops.report.paired import cores
from mlops.sweep import data
from mlops.sweep.data import Data
from mlops.sweep.objective import Measured, Report, Task, measure, silent
from mlops.sweep.space import Settings, Space

Outcome = Measured | str
"""What a trial found, or why it failed."""
Take = Callable[[], tuple[int, Settings] | None]
Judge = Callable[[int, int, float], bool]
Finish = Callable[[int, Outcome], None]


@dataclass(frozen=True)
class Loop:
    """What runs trials. take: the next one, None when there is none; judge: (number, step, value) → stop; finish."""

    take: Take
    judge: Judge
    finish: Finish


@dataclass(frozen=True)
class Work:
    """What every process needs. jobs: how many there are."""

    space: Space
    validate: Validate
    seed: int
    task: Task


def here(work: Work, loop: Loop, rows: Data) -> None:
    """Run trials one after another in this process."""
    with _between_trees() as watch:
        while (taken := loop.take()) is not None:
            number, settings = taken

            def report(step: int, value: float, number: int = number) -> bool:
                return loop.judge(number, step, value)

            loop.finish(number, attempt(rows, work.space.with_settings(settings), work.task, report, watch))
            watch(0, {})


@contextlib.contextmanager
def _between_trees() -> Iterator[Watch]:
    """Ctrl-C waits for what is called in the block, after each tree: in a callback of XGBoost's it would be lost.

    Pressed twice it waits no more.
    """
    pressed = False

    def press(*of: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    def watch(step: int, values: Mapping[str, float]) -> None:
        if pressed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, press)
    try:
        yield watch
    finally:
        signal.signal(signal.SIGINT, before)


def attempt(rows: Data, params: Params, task: Task, report: Report, watch: Watch = silent) -> Outcome:
    """Run a trial; an error of its own is what it found."""
    try:
        return measure(rows, params, task, report, watch)
    except MlopsError as error:
        return one_line(error)
    except MemoryError:
        return "out of memory"
    except (ValueError, ArithmeticError, RuntimeError, TypeError) as error:  # XGBoostError is a ValueError
        return one_line(f"{type(error).__name__}: {error}")[:500]


def apart(work: Work, loop: Loop, jobs: int) -> None:
    """Run trials in so many processes; this one alone asks the study and tells it."""
    crew = _Crew(work, jobs)
    try:
        while True:
            crew.give(loop.take)
            if not crew.busy:
                return
            for number, said in crew.heard():
                if isinstance(said, tuple):
                    crew.answer(number, loop.judge(number, *said))
                else:
                    crew.release(number)
                    loop.finish(number, said)
    finally:
        crew.stop()


class _Crew:
    """Processes, and which trial each of them runs."""

    def __init__(self, work: Work, jobs: int) -> None:
        self._work = work
        self._context = multiprocessing.get_context("spawn")  # a fork would copy threads' locks, and not the threads
        self._members: list[tuple[Any, Connection]] = []
        self._wanted = jobs
        self.busy: dict[int, tuple[Any, Connection]] = {}

    def give(self, take: Take) -> None:
        """Give everybody who waits a trial, as long as there are any."""
        while len(self.busy) < self._wanted and (taken := take()) is not None:
            number, settings = taken
            at_work = [pipe for _, pipe in self.busy.values()]
            member = next((m for m in self._members if m[1] not in at_work), None) or self._new()
            self.busy[number] = member
            with contextlib.suppress(OSError):  # it died while it waited: `heard` finds that out
                member[1].send(self._work.space.with_settings(settings))

    def heard(self) -> list[tuple[int, tuple[int, float] | Outcome]]:
        """Wait until somebody says something: a step and its value, or how a trial ended."""
        of_pipe = {pipe: number for number, (_, pipe) in self.busy.items()}
        found: list[tuple[int, tuple[int, float] | Outcome]] = []
        for pipe in wait(list(of_pipe)):
            assert isinstance(pipe, Connection)
            try:
                found.append((of_pipe[pipe], pipe.recv()))
            except (EOFError, OSError):
                process = next(p for p, c in self._members if c is pipe)
                process.join()
                self._members = [m for m in self._members if m[1] is not pipe]
                found.append((of_pipe[pipe], f"its process ended (exit code {process.exitcode}); out of memory?"))
        return found

    def answer(self, number: int, stop: bool) -> None:
        """Say whether a trial is to stop."""
        with contextlib.suppress(OSError):  # it died: `heard` finds that out
            self.busy[number][1].send(stop)

    def release(self, number: int) -> None:
        """A trial ended; who ran it waits for another."""
        del self.busy[number]

    def stop(self) -> None:
        """End all processes, whatever they do."""
        for process, pipe in self._members:
            pipe.close()
            process.terminate()
        for process, _ in self._members:
            process.join()

    def _new(self) -> tuple[Any, Connection]:
        mine, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(self._work, theirs), daemon=True)
        process.start()
        theirs.close()
        self._members.append((process, mine))
        return process, mine


def _serve(work: Work, pipe: Connection) -> None:
    """Run the trials that come through the pipe, until whoever sends them is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who sends them
    try:
        rows = data.load(work.validate, work.seed)

        def report(step: int, value: float) -> bool:
            pipe.send((step, value))
            return bool(pipe.recv())

        while True:
            pipe.send(attempt(rows, pipe.recv(), work.task, report))
    except (EOFError, OSError):
        os._exit(0)


def threads(jobs: int) -> int:
    """How many threads a fit gets beside others."""
    return max(1, cores() // jobs)
