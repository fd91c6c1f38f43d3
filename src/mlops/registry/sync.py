"""`mlops sync`: models/production/ becomes what the tags say, stage by stage, and nothing of it is ever half-done.

A stage that fails (its model is nowhere, or not what the tag says) keeps serving what it served; the others go on.
state.json is replaced once, at the end.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mlops import bundle, production
from mlops import policy as policies
from mlops.errors import BundleError, MlopsError, PolicyError, RegistryError, one_line
from mlops.features import Scalar
from mlops.production import State
from mlops.registry import shelf, show
from mlops.registry.look import Registry
from mlops.registry.resolve import Assignment
from mlops.registry.show import Record
from mlops.registry.source import Source, shown
from mlops.store import model
from mlops.store.model import Model

CANARY = "canary"
"""The stage that answers a share of prod's customers."""


@dataclass(frozen=True)
class Request:
    """What to make of which folder. keep: older versions of each stage; None: as policy.yaml says."""

    models: Path
    stages: Sequence[str]
    keep: int | None = None

    def __post_init__(self) -> None:
        if self.keep is not None and self.keep < 0:
            raise RegistryError(f"--keep {self.keep}: a number from 0 on is needed")


class Served(NamedTuple):
    """What a stage serves now, and what it served before."""

    version: str
    commit: str
    tag: str
    before: str | None


@dataclass(frozen=True)
class Report:
    """What was done. failed: stage → why it was left as it was; emptied: stage → what it serves no more."""

    stages: Mapping[str, Served]
    failed: Mapping[str, str]
    emptied: Mapping[str, str]
    weights: Mapping[str, float]
    pruned: Sequence[str]
    notes: Sequence[str]
    changed: bool

    @property
    def code(self) -> int:
        """The exit code."""
        return 1 if self.failed else 0

    def facts(self) -> dict[str, Any]:
        """For programs."""
        return {
            "changed": self.changed,
            "stages": {stage: served._asdict() for stage, served in self.stages.items()},
            "failed": dict(self.failed),
            "emptied": dict(self.emptied),
            "weights": dict(self.weights),
            "removed": list(self.pruned),
        }

    def lines(self) -> list[str]:
        """For people."""
        said = []
        for stage, served in self.stages.items():
            was = "" if served.before == served.version else f", was {served.before or 'nothing'}"
            share = f", {self.weights[stage]:.0%} of customers" if stage in self.weights else ""
            said.append(f"{stage:<10}{served.version}  {served.tag}{share}{was}")
        said += [f"{stage:<10}nothing, was {before}" for stage, before in self.emptied.items()]
        if self.pruned:
            said.append(f"removed   {', '.join(self.pruned)}")
        return said


@dataclass
class _Work:
    """One run. serving: what state.json is going to say."""

    source: Source
    registry: Registry
    request: Request
    old: State
    serving: dict[str, str]
    notes: list[str]
    done: dict[str, Served] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    emptied: dict[str, str] = field(default_factory=dict)


def sync(source: Source, request: Request) -> Report:
    """Make models/production/ what the tags say. Doing it again changes nothing.

    Raises:
        RegistryError: the tags cannot be read, or are none at all; everything stays as it is.
    """
    with shelf.locked(request.models):
        registry, notes = source.refresh()
        for stage in request.stages:
            registry.policy.stage(stage)
        old = shelf.state(request.models)
        known = old or State({}, {})
        work = _Work(source, registry, request, known, dict(known.stages), [*notes, *registry.warnings])
        _refuse_nothing(work)
        records = show.stages(registry, registry.picture, deep=True)
        for stage in request.stages:
            _follow(work, stage, records)
        weights = _weights(work, records)
        new = State(work.serving, weights)
        changed = new != old and (old is not None or bool(new.stages))
        if changed:
            shelf.backup(request.models)
            production.write_state(request.models, new.stages, weights)
        return Report(work.done, work.failed, work.emptied, weights, _pruned(work), work.notes, changed)


def _refuse_nothing(work: _Work) -> None:
    """An address or a name that was mistyped has no tags; that must not take the model away from a service."""
    if work.old.stages and not work.registry.picture.events:
        where = shown(work.source.url) if work.source.url else "this clone"
        raise RegistryError(
            f"{where} has no tag of {work.registry.name!r} that can be followed; {work.request.models} stays as it is:"
            " check the address, and registry.name of policy.yaml"
        )


def _follow(work: _Work, stage: str, records: Mapping[str, Record]) -> None:
    wanted = work.registry.picture.stages.get(stage)
    before = work.old.stages.get(stage)
    if wanted is None:
        if before is not None:
            work.emptied[stage] = work.serving.pop(stage)
        return
    try:
        _install(work, wanted, records[stage])
    except (MlopsError, OSError) as error:
        work.failed[stage] = one_line(error)
        if (
            before is not None
            and not (production.folder(work.request.models, stage, before) / production.RELEASE).exists()
        ):
            del work.serving[stage]
        return
    work.serving[stage] = wanted.version
    work.done[stage] = Served(wanted.version, wanted.commit, wanted.tag, before)


def _install(work: _Work, wanted: Assignment, record: Record) -> None:
    """Make the folder of what a stage shall serve."""
    found = model.model(work.registry.git, wanted.commit, work.registry.name)
    release = _release(work.registry, wanted, found, record)
    place = production.folder(work.request.models, wanted.stage, wanted.version)
    if _whole(place, wanted):
        shelf.restate(place, release)
        return
    with tempfile.TemporaryDirectory(prefix=shelf.TEMPORARY, dir=work.request.models) as folder:
        fetched = Path(folder) / "model"
        work.source.store(wanted.commit, Path(folder)).copy(found.out, fetched)
        _check(fetched, wanted, release)
        if place.exists():
            work.notes.append(f"{place} was damaged and is replaced")
        shelf.put(place, fetched, release)


def _release(registry: Registry, wanted: Assignment, found: Model, record: Record) -> dict[str, Any]:
    """What release.json says.

    Raises:
        RegistryError: the tag names another model than its commit.
    """
    digests = {**record["digests"]}
    if digests.setdefault("model", found.out.md5) != found.out.md5:
        raise RegistryError(
            f"tag {wanted.tag} names model {digests['model'][:8]}…, its commit {found.out.md5[:8]}…: one of them was"
            " altered; `mlops promote` that commit anew"
        )
    kept = {key: record[key] for key in ("why", "experiment", "verdict", "metrics", "params")}
    return {
        "name": registry.name, "stage": wanted.stage, "version": wanted.version, "commit": wanted.commit,
        "tag": wanted.tag, "origin": record["origin"] or found.origin, "promoted_at": record["since"],
        "promoted_by": record["by"], **kept, "digests": digests,
    }  # fmt: skip


def _whole(place: Path, wanted: Assignment) -> bool:
    """Whether the version is there, every byte of it.

    Raises:
        RegistryError: that folder belongs to another commit.
    """
    try:
        there = production.read_release(place)
        if there["digests"]["manifest"] != production.manifest_digest(place):
            return False
        bundle.load(place)
    except BundleError:
        return False
    if there.get("commit") != wanted.commit:
        raise RegistryError(
            f"{place} holds commit {str(there.get('commit'))[:8]}, the tags say {wanted.commit[:8]} for"
            f" {wanted.version}; if it is of another project, remove that folder"
        )
    return True


def _check(folder: Path, wanted: Assignment, release: Mapping[str, Any]) -> None:
    """Refuse a model that does not load, does not score, or is not the one that the tag was made for."""
    what = f"the model of {wanted.version} ({wanted.tag})"
    try:
        loaded = bundle.load(folder)
        _, p = loaded.score_row({c["name"]: _raw(c["kind"], c["example"]) for c in loaded.signature["inputs"]})
        if not 0 <= p <= 1:
            raise BundleError(f"its example scores {p}")
    except (MlopsError, KeyError, TypeError, ValueError) as error:
        raise RegistryError(f"{what} cannot serve: {str(error).partition(';')[0]}; promote another") from error
    said = release["digests"].get("manifest")
    if said not in (None, production.manifest_digest(folder)):
        raise RegistryError(f"{what} is not the one that was judged when the tag was made; promote its commit anew")


def _raw(kind: str, example: Any) -> Scalar:
    """A value of a signature's example, as the encoder reads it. Any day will do as a date."""
    if kind in ("category", "text"):
        return None if example is None else str(example)
    return 20_000.0 if kind == "date" else math.nan if example is None else float(example)


def _weights(work: _Work, records: Mapping[str, Record]) -> dict[str, float]:
    """Shares of customers: the tag's own, else those of policy.yaml as of its commit."""
    before = {CANARY: share} if (share := (work.old.weights or {}).get(CANARY)) is not None else {}
    if CANARY not in work.serving:
        return {}
    if CANARY not in work.done:
        return before
    share = records[CANARY]["weight"]
    try:
        if share is None:
            text = work.registry.git.read(work.done[CANARY].commit, str(policies.PATH))
            share = policies.parse((text or b"").decode("utf-8", "replace")).serving.weights.get(CANARY)
        return {} if share is None else production.checked_weights({CANARY: share})
    except (PolicyError, ValueError) as error:
        work.failed[CANARY] = f"its share stays as it was: {one_line(error)}; `mlops promote --weight` says another"
        return before


def _pruned(work: _Work) -> list[str]:
    keep = work.registry.policy.registry.keep if work.request.keep is None else work.request.keep
    went = []
    for stage in work.request.stages:
        spared = {named.stages[stage] for named in (work.old, State(work.serving)) if stage in named.stages}
        went += [f"{stage}/{version}" for version in shelf.prune(work.request.models, stage, keep, spared)]
    return went
