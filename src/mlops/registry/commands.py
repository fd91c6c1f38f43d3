"""What the registry's commands do: call, print, choose the exit code."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mlops.errors import RegistryError
from mlops.registry import look
from mlops.registry import show as records
from mlops.registry.look import Registry

REFUSED = 2
"""Exit code of a promotion that the gate refused."""


def _console() -> Any:
    from mlops import screen

    return screen.console()


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=1, ensure_ascii=False))


def _here() -> Registry:
    registry = look.here()
    registry.warn()
    return registry


def promote(arguments: argparse.Namespace) -> int:
    """`mlops promote`."""
    from mlops.registry import best, outcome
    from mlops.registry import promote as work

    registry = _here()
    revision = arguments.revision
    if arguments.best:
        if revision is not None:
            raise RegistryError(f"--best chooses by itself; leave out {revision!r}, or leave out --best")
        revision = best.best(registry)
    request = work.Request(
        revision, arguments.stage, arguments.version, arguments.bump, arguments.why, arguments.force, arguments.weight,
        arguments.prove,
    )  # fmt: skip
    done = work.promote(registry, request, _note)
    if arguments.json:
        _print_json(outcome.facts(done))
    else:
        outcome.tell(done, registry)
    return 0 if done.done else REFUSED


def rollback(arguments: argparse.Namespace) -> None:
    """`mlops rollback`."""
    from mlops.registry import outcome, withdraw

    outcome.withdrawn(withdraw.rollback(_here(), arguments.stage, arguments.to, arguments.why), arguments.json)


def unassign(arguments: argparse.Namespace) -> None:
    """`mlops unassign`."""
    from mlops.registry import outcome, withdraw

    outcome.withdrawn(withdraw.unassign(_here(), arguments.stage, arguments.why), arguments.json)


def archive(arguments: argparse.Namespace) -> None:
    """`mlops archive`."""
    from mlops.registry import outcome, withdraw

    done = withdraw.archive(_here(), arguments.version, arguments.why, arguments.force)
    outcome.withdrawn(done, arguments.json)


def show(arguments: argparse.Namespace) -> None:
    """`mlops show`."""
    from mlops.registry import render

    registry = _here()
    found = records.stages(registry, registry.picture)
    for line in records.unfinished(registry):
        _note(f"warning: {line}")
    if arguments.json:
        versions = {"versions": records.versions(registry)} if arguments.all else {}
        _print_json({**found, **versions})
        return
    console = _console()
    if found:
        render.stages(console, found)
    else:
        console.print(records.nothing(registry), highlight=False, soft_wrap=True)
    if arguments.all:
        render.versions(console, records.versions(registry))


def history(arguments: argparse.Namespace) -> None:
    """`mlops history`."""
    from mlops.registry import moments, render

    registry = _here()
    stage = registry.policy.stage(arguments.stage) if arguments.stage else None
    if arguments.at is None:
        if arguments.replay or arguments.output:
            raise RegistryError('--replay scores with what ran at a moment: name it with --at "2026-03-15 14:00"')
        found = records.history(registry, stage, arguments.most)
        if arguments.json:
            _print_json(found)
        elif found:
            render.history(_console(), found)
        else:
            print(records.nothing(registry))
        return
    moment = moments.parse(arguments.at)
    served = records.stages(registry, registry.at(moment), deep=True)
    served = {s: r for s, r in served.items() if stage in (None, s)}
    if arguments.json:
        _print_json({"at": moments.iso(moment), "stages": served})
    else:
        render.served(_console(), moment, served)
    if arguments.replay:
        from mlops.registry import replay

        _note(replay.score(registry, served, stage, arguments.replay, arguments.output))


def verify(arguments: argparse.Namespace) -> int:
    """`mlops verify`."""
    from mlops.store.objects import Store
    from mlops.verify.verify import verify as rebuild

    registry = _here()
    named = registry.named(arguments.revision or "HEAD")
    keep = Path(arguments.keep) if arguments.keep else None
    store = Store(registry.git.folder)
    proof = rebuild(
        registry.git, store, named.commit, name=registry.name, install=arguments.install, keep=keep,
        say=lambda line: _note(f"… {line}"),
    )  # fmt: skip
    if arguments.json:
        _print_json({"name": named.name, **proof.facts()})
    else:
        print(f"{named.name} ({named.commit[:8]}): " + "\n".join(proof.lines()))
    return proof.code


def diff(arguments: argparse.Namespace) -> None:
    """`mlops diff`."""
    from mlops.registry import diff as work
    from mlops.registry import diff_text

    found = work.diff(_here(), arguments.before, arguments.after)
    if arguments.json:
        _print_json(found)
    else:
        diff_text.render(_console(), found)


def sync(arguments: argparse.Namespace) -> int:
    """`mlops sync`."""
    from mlops.registry import watch

    return watch.run(arguments)


def release(arguments: argparse.Namespace) -> None:
    """`mlops release`."""
    from mlops.registry import release as work

    found = work.release(_here(), arguments.tag, arguments.image)
    if arguments.append:
        work.append(found, Path(arguments.append))
    if arguments.json:
        _print_json(found._asdict())
    else:
        print(f"{found.tag}: {found.stage} serves {found.version}, commit {found.commit[:8]} ({found.origin})")
        print(f"image     {found.reference or found.image_tag}")


def trace(arguments: argparse.Namespace) -> int:
    """`mlops trace`: 1 when a score did not come out as it was logged, or could not be had."""
    from mlops.registry import logged, traced
    from mlops.registry import trace as work

    registry = _here()
    url = logged.address(registry.git.folder, arguments.log)
    found = work.trace(registry, url, arguments.request_id, arguments.row)
    if arguments.json:
        _print_json(found)
    else:
        traced.tell(_console(), found)
    return 0 if found["identical"] else 1
