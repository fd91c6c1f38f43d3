"""`mlops promote`: a version is registered, judged, and assigned to a stage, in one publication or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from mlops.errors import RegistryError, StoreError
from mlops.registry import changes, checks, drafts, numbering
from mlops.registry.changes import Change
from mlops.registry.drafts import Decision
from mlops.registry.look import Named, Registry
from mlops.registry.resolve import Assignment
from mlops.report import gate, side
from mlops.report.gate import Result
from mlops.report.side import Side
from mlops.store import lock, model
from mlops.store.lock import Out
from mlops.store.model import Model
from mlops.store.objects import Store

MAIN = "prod"
BESIDE_MAIN = ("canary", "shadow")
"""Stages that stand beside prod in the service, and are judged against what serves there."""
PROVED = ("same bytes", "equal within 1e-6")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What is asked for. revision: None for HEAD; version: None for the next one; force: whatever the gate says."""

    revision: str | None = None
    stage: str | None = None
    version: str | None = None
    bump: str | None = None
    why: str | None = None
    force: bool = False
    weight: float | None = None
    prove: bool = False

    def __post_init__(self) -> None:
        if self.force and not (self.why or "").strip():
            raise RegistryError('--force overrules the gate and is recorded for good: say why with --why "…"')
        if self.weight is not None and not 0 <= self.weight <= 1:
            raise RegistryError(f"--weight {self.weight:g}: a share of customers is from 0 to 1")


@dataclass(frozen=True)
class Outcome:
    """What was found and done. result: None where there was nothing to do; tags: those made; pushed: files sent."""

    named: Named
    stage: str
    version: str
    result: Result | None
    tags: tuple[str, ...] = ()
    pushed: int = 0
    notes: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether the stage serves the version now."""
        return self.result is None or bool(self.tags)


class _Work(NamedTuple):
    """What a promotion works on. live: what its stage serves; opponent: what it is compared with."""

    registry: Registry
    request: Request
    named: Named
    stage: str
    model: Model
    store: Store
    live: Assignment | None
    opponent: Assignment | None


def promote(registry: Registry, request: Request, say: Say = lambda line: None) -> Outcome:
    """Register, judge, assign.

    Args:
        registry: of this repository.
        request: what is asked for.
        say: called with a line on what takes time.

    Raises:
        RegistryError: what stands in the way, and what to type.
    """
    stage = registry.policy.stage(request.stage or registry.policy.promotion.stage)
    changes.signature(registry.git)  # who cannot sign need not wait for the gate
    change = Change(registry)
    named, stages = registry.named(request.revision or "HEAD"), registry.picture.stages
    live = stages.get(stage)
    if live is not None and live.commit == named.commit and request.weight is None:
        return Outcome(named, stage, live.version, None, notes=tuple(change.notes))
    found = model.model(registry.git, named.commit, registry.name)
    store = Store(registry.git.folder)
    work = _Work(registry, request, named, stage, found, store, live, _opponent(stages, stage))
    candidate, baseline, result = _judged(work)
    bump = request.bump or _bump(candidate, baseline)
    version = numbering.choose(registry, named.commit, request.version, bump)
    if not result.passed and not request.force:
        return Outcome(named, stage, version, result, notes=tuple(change.notes))
    proof = _proved(work, version, say) if request.prove else None
    pushed = _pushed(work, say)
    decision = Decision(
        named, stage, found, candidate, result, work.opponent, request.version, bump, request.why, request.weight, proof
    )
    made = change.publish(lambda now: drafts.plan(now, decision, live))
    serves = registry.picture.stages.get(stage)
    if serves is None or serves.commit != named.commit:
        now = f"{serves.version} (tag {serves.tag})" if serves else "nothing"
        raise RegistryError(
            f"{', '.join(d.name for d in made)} are made, but {stage} serves {now}; look at `mlops history`"
        )
    version = serves.version
    return Outcome(named, stage, version, result, tuple(d.name for d in made), pushed, tuple(change.notes))


def _opponent(stages: Any, stage: str) -> Assignment | None:
    """What a candidate is compared with: what its stage serves, else what prod serves."""
    order = (MAIN, stage) if stage in BESIDE_MAIN else (stage, MAIN)
    return next((stages[s] for s in order if s in stages), None)


def _judged(work: _Work) -> tuple[Side, Side | None, Result]:
    """Both sides and the gate's result."""
    registry, rules = work.registry, work.registry.policy.gate
    as_it_is = work.request.revision is None or work.named.commit == registry.git.commit("HEAD")
    asked = checks.of_repository(registry, work.model, work.stage, work.store, as_it_is=as_it_is)
    candidate = side.load(registry.git, work.store, work.named.commit, work.named.name, registry.name)
    if work.opponent is None:
        return candidate, None, gate.judge(candidate, None, rules, asked)
    opponent = work.opponent
    try:
        baseline = side.load(registry.git, work.store, opponent.commit, opponent.version, registry.name)
    except StoreError as error:
        return candidate, None, gate.not_comparable(candidate, opponent.version, rules, str(error), asked)
    return candidate, baseline, gate.judge(candidate, baseline, rules, asked)


def _bump(candidate: Side, baseline: Side | None) -> str:
    """Which number of the version rises: the first when clients must send other columns than before."""
    if baseline is None:
        return "minor"
    sent = [{(c["name"], c["kind"]) for c in s.bundle.signature["inputs"]} for s in (candidate, baseline)]
    return "minor" if sent[0] == sent[1] else "major"


def _proved(work: _Work, version: str, say: Say) -> dict[str, Any]:
    """Rebuild the version and return the proof.

    Raises:
        RegistryError: it does not rebuild to what it is.
    """
    from mlops.verify.verify import verify

    say("rebuilding the version from its commit …")
    proof = verify(work.registry.git, work.store, work.named.commit, name=work.registry.name, say=say)
    if proof.verdict not in PROVED:
        raise RegistryError(
            f"{version} was not proved: {proof.verdict}; nothing was tagged; how it differs:"
            f" `mlops verify {work.named.commit[:8]}`"
        )
    return proof.facts()


def _pushed(work: _Work, say: Say) -> int:
    """Send what the version is made of to the DVC remote, so that others can serve, compare and rebuild it."""
    if work.store.remote is None:
        return 0
    say(f"pushing data and model to {work.store.remote} …")
    git, commit = work.registry.git, work.named.commit
    outs: dict[str, Out] = {work.model.out.md5: work.model.out}
    if work.model.origin == "pipeline":
        for stage in lock.read(git, commit).stages.values():
            outs |= {out.md5: out for out in stage.outs if out.path not in stage.uncached}
    for path in git.files(commit):
        if path.endswith(".dvc") and (own := lock.pointer(git, commit, path.removesuffix(".dvc"))) is not None:
            outs[own.md5] = own
    return work.store.push(outs.values())
