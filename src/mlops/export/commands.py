"""What `mlops export` does: call, print."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from types import FrameType
from typing import NoReturn

from mlops.errors import ExperimentError, MlopsError, one_line
from mlops.export import address, into_mlflow, server
from mlops.export.into_mlflow import Done, Wishes
from mlops.registry import look, moments
from mlops.registry.look import Registry

SHOWN = 5
LOOK_SECONDS = 0.5


def mlflow(arguments: argparse.Namespace) -> int:
    """`mlops export mlflow`. With --serve the exit code is 1 when the server ended by itself."""
    if arguments.serve and arguments.to:
        raise ExperimentError("--serve starts a server of its own; leave out --to, or leave out --serve")
    if arguments.port is not None and not arguments.serve:
        raise ExperimentError("--port is that of --serve; --to http://127.0.0.1:PORT names a server that runs")
    if arguments.watch is not None and not arguments.watch > 0:
        raise ExperimentError(f"--watch {arguments.watch:g} is no time to wait; --watch 30 looks every 30 seconds")
    registry = look.here()
    if arguments.serve:
        return _serve(arguments, registry)
    if arguments.watch is None:
        _export(arguments, registry, arguments.to)
    else:
        _watch(arguments, registry)
    return 0


def wandb(arguments: argparse.Namespace) -> None:
    """`mlops export wandb`."""
    from mlops.export import into_wandb

    registry = look.here()
    wishes = into_wandb.Wishes(
        arguments.project, arguments.entity, arguments.dir, _since(arguments.since), arguments.all
    )
    done = into_wandb.export(registry, wishes)
    if arguments.json:
        print(json.dumps(done.facts(), indent=1, ensure_ascii=False))
        return
    place = os.path.relpath(done.place)
    print(f"{place}, project {done.project}: {len(done.new)} new, {done.there} there already")
    if done.offline:
        print(f"next      wandb sync {place}/wandb/offline-run-*")


def _serve(arguments: argparse.Namespace, registry: Registry) -> int:
    """Server, export, and then nothing but waiting: until Ctrl-C, or SIGTERM."""
    port = server.PORT if arguments.port is None else arguments.port
    here = f"http://{server.HOST}:{port}"
    address.connect(here)  # a client that is not installed is said before the server's ten seconds
    print(f"starting MLflow on {here} …", flush=True)
    with _terminable(), server.running(registry.git.folder, port) as (place, process):
        _export(arguments, registry, place)
        print(f"MLflow is on {place} until Ctrl-C; runs and files are in {server.STORE}", flush=True)
        looked = time.monotonic()
        with suppress(KeyboardInterrupt):
            while process.poll() is None:
                time.sleep(LOOK_SECONDS)
                if arguments.watch is not None and time.monotonic() - looked >= arguments.watch:
                    _again(arguments, registry, place)
                    looked = time.monotonic()
            raise ExperimentError(f"MLflow's server ended by itself; {server.STORE}/server.log says why")
    return 0


def _watch(arguments: argparse.Namespace, registry: Registry) -> None:
    address.connect(arguments.to)  # what no waiting would mend
    with _terminable(), suppress(KeyboardInterrupt):
        while True:
            _again(arguments, registry, arguments.to)
            time.sleep(arguments.watch)


def _again(arguments: argparse.Namespace, registry: Registry, place: str | None) -> None:
    """One more export; why it failed is a line, for the next one may do better."""
    registry.refresh()
    try:
        _export(arguments, registry, place, quiet=True)
    except MlopsError as error:
        print(f"error: {one_line(error)}", file=sys.stderr, flush=True)


def _export(arguments: argparse.Namespace, registry: Registry, place: str | None, *, quiet: bool = False) -> None:
    wishes = Wishes(arguments.experiment, _since(arguments.since), arguments.all, arguments.prune)
    done = into_mlflow.export(registry, address.connect(place), wishes)
    if quiet and not (done.new or done.finished or done.pruned or done.models.new or done.models.moved):
        return
    if arguments.json:
        print(json.dumps(done.facts(), indent=1, ensure_ascii=False), flush=True)
    else:
        _print(done)


def _print(done: Done) -> None:
    counted = {"new": len(done.new), "finished": len(done.finished), "there already": done.there, "pruned": done.pruned}
    shown = ", ".join(f"{n} {word}" for word, n in counted.items() if n or word in ("new", "there already"))
    print(f"{address.shown(done.address)}, experiment {done.experiment}: {shown}")
    if done.models.new:
        print(f"versions  {_some(done.models.new)}")
    if done.models.moved:
        print("aliases   " + ", ".join(f"{a} → {v or 'nothing'}" for a, v in done.models.moved.items()))
    if done.lacking:
        print(
            f"no model  {_some(done.lacking)}: not in DVC's cache; `dvc fetch --all-tags` or `dvc exp pull`, then again"
        )
    if done.renamed:
        print("renamed   " + _some([f"{old!r} → {new!r}" for old, new in done.renamed.items()]))
    if done.models.left:
        print(f"left out  {_some(done.models.left)}: their runs were deleted in MLflow; restore them there")
    sys.stdout.flush()


def _some(words: list[str]) -> str:
    return ", ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")


def _since(text: str | None) -> datetime | None:
    return None if text is None else moments.parse(text)


@contextmanager
def _terminable() -> Iterator[None]:
    """Inside, SIGTERM is what Ctrl-C is: a container's first process gets nothing else."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
