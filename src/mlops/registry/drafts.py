"""The tags of a promotion: what they are called, what `git show` says of them, and the facts that programs read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops.policy import Policy
from mlops.registry import changes, describe, facts, numbering
from mlops.registry.changes import Draft, Plan
from mlops.registry.facts import Facts
from mlops.registry.look import Named, Registry
from mlops.registry.resolve import Assignment
from mlops.report.gate import Result
from mlops.report.side import Side
from mlops.store.model import Model


@dataclass(frozen=True)
class Decision:
    """What was decided, and on what grounds. wanted, bump: of the version's number; opponent: it was compared with."""

    named: Named
    stage: str
    model: Model
    candidate: Side
    result: Result
    opponent: Assignment | None
    wanted: str | None
    bump: str
    why: str | None = None
    weight: float | None = None
    proof: dict[str, Any] | None = None


def plan(registry: Registry, decision: Decision, relied: Assignment | None) -> Plan:
    """The tags, given what the registry says now.

    Args:
        registry: as it is when the tags are made; another version may have been registered since the decision.
        decision: what they say.
        relied: what the stage served when it was decided.
    """
    commit = decision.named.commit
    version = numbering.choose(registry, commit, decision.wanted, decision.bump)
    said, body, drafts = _facts(registry, decision), _body(decision), []
    if version not in registry.picture.versions:
        stated = changes.stamped(registry.git, "register", {"version": version, **said})
        text = facts.write(f"{registry.name} {version}", body, stated)
        drafts.append(Draft(f"{registry.name}@{version}", commit, text))
    stated = changes.stamped(registry.git, "assign", {"version": version, "stage": decision.stage, **said})
    text = facts.write(f"{registry.name} {version} → {decision.stage}", body, stated)
    drafts.append(Draft(f"{registry.name}#{decision.stage}#{registry.next_counter()}", commit, text))
    relies = {decision.stage: relied}
    if decision.opponent is not None:
        relies[decision.opponent.stage] = decision.opponent
    return Plan(tuple(drafts), relies)


def _facts(registry: Registry, decision: Decision) -> Facts:
    git, commit = registry.git, decision.named.commit
    return {
        "commit": commit,
        "origin": decision.model.origin,
        "why": decision.why,
        "forced": None if decision.result.passed else True,
        "experiment": decision.named.experiment,
        "weight": _weight(registry.policy, decision.stage, decision.weight),
        "metrics": describe.metrics(git, commit),
        "digests": describe.digests(git, commit, decision.model) | {"manifest": decision.candidate.manifest},
        "verdict": decision.result.facts(),
        "proof": decision.proof,
    }


def _weight(policy: Policy, stage: str, asked: float | None) -> float | None:
    """The share of customers that a variant answers; None for a stage that has none."""
    return asked if asked is not None else policy.serving.weights.get(stage)


def _body(decision: Decision) -> list[str]:
    result = decision.result
    lines = [] if result.passed else ["FORCED against the gate: " + "; ".join(result.reasons), ""]
    lines += result.lines()
    if decision.why:
        lines += ["", f"Why: {decision.why}"]
    if decision.named.experiment:
        lines += ["", f"From experiment {decision.named.experiment}, commit {decision.named.commit}"]
    if decision.model.origin != "pipeline":
        lines += ["", "Rebuilt: no. The model comes from a notebook; no pipeline of this commit makes it."]
    elif decision.proof:
        lines += ["", f"Rebuilt from this commit: {decision.proof['verdict']}."]
    return lines
