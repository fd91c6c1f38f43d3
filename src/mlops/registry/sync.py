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
from typing import Any

from mlops import bundle, production
from mlops import policy as policies
from mlops.errors import BundleError, MlopsError, PolicyError, RegistryError, one_line
from mlops.features import Scalar
from mlops.policy import Policy
from mlops.production import State
from mlops.registry import shelf, show
from mlops.registry.look import Registry
from mlops.registry.resolve import Assignment, Picture
from mlops.registry.show import Record
from mlops.registry.source import Source, shown
from mlops.registry.synced import Report, Served
from mlops.store import model
from mlops.store.model import Model

CANARY = "canary"
"""The stage that answers a share of prod's customers."""
USUAL = ("prod", "canary", "shadow")
"""The stages that the service knows."""
MOST_SAID = 300
"""Characters of an error that nobody foresaw."""


@dataclass(frozen=True)
class Request:
    """What to make of which folder. stages: as somebody typed them, see `followed`. keep: older versions of each stage;
    None: as policy.yaml says.
    """

    models: Path
    stages: Sequence[str]
    keep: int | None = None

    def __post_init__(self) -> None:
        if self.keep is not None and self.keep < 0:
            raise RegistryError(f"--keep {self.keep}: a number from 0 on is needed")


@dataclass
class _Work:
    """One run. serving: what state.json is going to say; records: what is known of the stages that are done."""

    source: Source
    registry: Registry
    models: Path
    old: State
    serving: dict[str, str]
    notes: list[str]
    repaired: list[str] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
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
        stages = followed(request.stages, registry.policy)
        old = shelf.state(request.models)
        known = old or State({}, {})
        work = _Work(source, registry, request.models, known, dict(known.stages), [*notes, *registry.warnings])
        _refuse_nothing(work)
        for stage in stages:
            _follow(work, stage)
        weights = _weights(work)
        new = State(work.serving, weights)
        changed = new != old and (old is not None or bool(new.stages))
        if changed:
            shelf.backup(request.models)
            production.write_state(request.models, new.stages, weights)
        pruned = _pruned(work, stages, request.keep)
        notes = [*work.notes, *work.repaired]
        return Report(
            work.done, work.failed, work.emptied, weights, new.stages, pruned, notes, changed, bool(work.repaired)
        )


def followed(wanted: Sequence[str], policy: Policy) -> list[str]:
    """The stages to follow: of the usual ones those that policy.yaml has; a name that somebody typed must be known.

    Raises:
        PolicyError: it is not.
    """
    if tuple(wanted) == USUAL:
        return [stage for stage in wanted if stage in policy.registry.stages]
    return [policy.stage(stage) for stage in dict.fromkeys(wanted)]


def _refuse_nothing(work: _Work) -> None:
    """An address or a name that was mistyped has no tags; that must not take the model away from a service."""
    if work.old.stages and not work.registry.picture.events:
        where = shown(work.source.url) if work.source.url else "this clone"
        raise RegistryError(
            f"{where} has no tag of {work.registry.name!r} that can be followed; {work.models} stays as it is:"
            " check the address, and registry.name of policy.yaml"
        )


def _follow(work: _Work, stage: str) -> None:
    wanted = work.registry.picture.stages.get(stage)
    before = work.old.stages.get(stage)
    if wanted is None:
        if before is not None:
            work.emptied[stage] = work.serving.pop(stage)
        return
    try:
        record = show.stages(work.registry, Picture({stage: wanted}), deep=True)[stage]
        _install(work, wanted, record)
    except Exception as error:  # whatever a stranger's tag or commit holds must not keep the other stages
        work.failed[stage] = _why(error, wanted)
        if before is not None and not (production.folder(work.models, stage, before) / production.RELEASE).exists():
            del work.serving[stage]
        return
    work.records[stage] = record
    work.serving[stage] = wanted.version
    work.done[stage] = Served(wanted.version, wanted.commit, wanted.tag, before)


def _why(error: Exception, wanted: Assignment) -> str:
    if isinstance(error, (MlopsError, OSError)):
        return one_line(error)
    said = f"{type(error).__name__}: {one_line(error)}"[:MOST_SAID]
    return f"{wanted.tag} or its commit {wanted.commit[:8]} holds what cannot be used ({said}); promote another"


def _install(work: _Work, wanted: Assignment, record: Record) -> None:
    """Make the folder of what a stage shall serve."""
    found = model.model(work.registry.git, wanted.commit, work.registry.name)
    release = _release(work.registry, wanted, found, record)
    place = production.folder(work.models, wanted.stage, wanted.version)
    if _whole(place, wanted):
        shelf.restate(place, release)
        return
    with tempfile.TemporaryDirectory(prefix=shelf.TEMPORARY, dir=work.models) as folder:
        fetched = Path(folder) / "model"
        work.source.store(wanted.commit, Path(folder)).copy(found.out, fetched)
        _check(fetched, wanted, release)
        damaged, named = place.exists(), work.old.stages.get(wanted.stage) == wanted.version
        shelf.put(place, fetched, release)
    if damaged or named:
        work.repaired.append(f"{place} was {'damaged' if damaged else 'gone'} and is replaced")


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


def _weights(work: _Work) -> dict[str, float]:
    """Shares of customers: the tag's own, else those of policy.yaml as of its commit."""
    before = {CANARY: share} if (share := (work.old.weights or {}).get(CANARY)) is not None else {}
    if CANARY not in work.serving:
        return {}
    if CANARY not in work.done:
        return before
    share = work.records[CANARY]["weight"]
    try:
        if share is None:
            text = work.registry.git.read(work.done[CANARY].commit, str(policies.PATH))
            share = policies.parse((text or b"").decode("utf-8", "replace")).serving.weights.get(CANARY)
        return {} if share is None else production.checked_weights({CANARY: share})
    except (PolicyError, ValueError) as error:
        work.failed[CANARY] = f"its share stays as it was: {one_line(error)}; `mlops promote --weight` says another"
        return before


def _pruned(work: _Work, stages: Sequence[str], keep: int | None) -> list[str]:
    most = work.registry.policy.registry.keep if keep is None else keep
    went = []
    for stage in stages:
        spared = {named.stages[stage] for named in (work.old, State(work.serving)) if stage in named.stages}
        went += [f"{stage}/{version}" for version in shelf.prune(work.models, stage, most, spared)]
    return went
