"""`mlops sync` on the command line: once, or with --watch for as long as nobody stops it."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlops.errors import MlopsError, RegistryError, one_line
from mlops.registry import shelf
from mlops.registry import source as sources
from mlops.registry.source import Source
from mlops.registry.sync import Request, followed, sync
from mlops.registry.synced import Report

SHORTEST = 0.1
BESIDE = 5.0
"""Seconds between two looks while a program runs beside."""
MODELS = Path("models/production")
"""Of the clone, wherever in it somebody is; of the current folder where there is none."""


def run(arguments: argparse.Namespace) -> int:
    """`mlops sync`. Returns the exit code: 1 when a stage could not be made what the tags say."""
    seconds: float | None = arguments.watch
    if seconds is not None and not seconds >= SHORTEST:
        raise RegistryError(f"--watch {seconds:g}: seconds between two looks are needed, at least {SHORTEST}")
    if arguments.source:
        models = Path(arguments.models or MODELS)
        source = sources.elsewhere(arguments.source, models)
    else:
        source = sources.here()
        models = Path(arguments.models) if arguments.models else source.git.folder / MODELS
    request = Request(models, arguments.stages, arguments.keep)
    followed(request.stages, source.policy)  # a mistyped one shall end this, not be tried again

    def tell(report: Report) -> None:
        _tell(report, as_json=arguments.json)

    if arguments.program is not None:
        with beside(arguments.program) as program:
            return watch(source, request, seconds or BESIDE, tell, program)
    if seconds is not None:
        return watch(source, request, seconds, tell)
    report = sync(source, request)
    tell(report)
    return report.code


def watch(
    source: Source, request: Request, seconds: float, tell: Callable[[Report], None],
    program: subprocess.Popen[bytes] | None = None,
) -> int:  # fmt: skip
    """Follow the tags until SIGTERM or Ctrl-C, which end it between two steps, or until a program beside it ends.

    Returns 0, or the program's exit code.

    A poll costs one `git ls-remote`; work is done only when its answer changed, or policy.yaml, or somebody touched the
    folder, or when the last work failed. What goes wrong is told once, and tried again.
    """
    importlib.import_module("dvc.fs")  # now, not between a promotion and its service
    seen, trouble = None, "nothing was looked at yet"
    with _stopping() as stop:
        if program is not None:
            threading.Thread(target=_until_its_end, args=(program, stop), daemon=True).start()
        while not stop.is_set():
            told = ""
            try:
                now = source.poll(), shelf.mark(request.models)
                if now != seen:
                    report, first = sync(source, request), seen is None
                    # As it was before the work: what the work changed is looked at once more, and with it whatever
                    # somebody else did meanwhile.
                    seen = None if report.failed else now
                    told = "; ".join(report.failed.values())
                    if report.changed or report.repaired or (first and told != trouble):
                        tell(report)
            except (MlopsError, OSError) as error:
                seen, told = None, one_line(error)
                if told != trouble:
                    print(f"error: {told}; it is tried again every {seconds:g} s", file=sys.stderr, flush=True)
            trouble = told
            stop.wait(seconds)
    return 0 if program is None else stopped(program)


def _until_its_end(program: subprocess.Popen[bytes], stop: threading.Event) -> None:
    program.wait()
    stop.set()


@contextmanager
def beside(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs while the tags are followed; it ends when the block does.

    Raises:
        RegistryError: it cannot be started.
    """
    try:
        program = subprocess.Popen(words)
    except (OSError, IndexError) as error:
        raise RegistryError(f"--run {' '.join(words)}: {error}; name a program and its arguments") from error
    try:
        yield program
    finally:
        stopped(program)


def stopped(program: subprocess.Popen[bytes]) -> int:
    """Ask a program to end, wait for it, and return its exit code; 0 for one that ended because it was asked to."""
    asked = program.poll() is None
    if asked:
        program.terminate()
    code = program.wait()
    return 0 if asked and code == -signal.SIGTERM else max(code, 0) or (1 if code < 0 else 0)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that the first SIGTERM or Ctrl-C sets; a second one ends the process at once, as ever."""
    stop = threading.Event()

    def ask(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(report: Report, *, as_json: bool) -> None:
    for note in report.notes:
        print(f"warning: {note}", file=sys.stderr)
    for stage, why in report.failed.items():
        print(f"error: {stage}: {why}", file=sys.stderr)
    if as_json:
        print(json.dumps(report.facts(), ensure_ascii=False), flush=True)
    else:
        print(
            "\n".join(report.lines() or ["Nothing is promoted to these stages yet; `mlops promote` begins."]),
            flush=True,
        )
