"""The report's facts: a commit compared with its merge base, as one document that begins with the verdict."""

from __future__ import annotations

from typing import Any

from mlops.git import Git
from mlops.report import base as bases
from mlops.report import changed, facts, judged, parts, points
from mlops.report import leaning as features
from mlops.report.base import Base
from mlops.report.facts import LINE, SHOWN, clip
from mlops.report.judged import Judged
from mlops.report.measured import CALIBRATION, measured, reached
from mlops.report.result import Result
from mlops.store.objects import Store

Facts = dict[str, Any]


def here(git: Git, base: str | None = None) -> Facts:
    """The facts of HEAD and its merge base with `base` (origin/main, else main, where it is None).

    Raises:
        MlopsError: there is nothing to compare, or HEAD's own files are not valid.
    """
    return compare(git, Store(git.folder), bases.find(git, "HEAD", base))


def compare(git: Git, store: Store, base: Base) -> Facts:
    """Everything that the report says of a commit and its merge base.

    Raises:
        MlopsError: the commit's policy.yaml, dvc.yaml or dvc.lock is not valid.
    """
    found = judged.judge(git, store, base)
    declared, leaning = changed.stages(git, base.head), features.read(git, base)
    result = found.result
    document = {
        **_verdict(result),
        "compared": _compared(git, base, found),
        "limits": _limits(result),
        "checks": _checks(result),
        "notes": parts.lines([*features.suspicions(*leaning, *reached(git, base.head)), *found.notes]),
        "metrics": measured(git, base, result),
        "delong": result.delong.facts() if result.delong and not found.first else None,
        "decisions": parts.decisions(result.decisions),
        "slices": parts.slices(result),
        "calibration": result.changes[CALIBRATION].facts() if result.changes else None,
        "features": features.moved(*leaning),
        "params": parts.values(changed.parameters(git, base, declared)),
        "policy": parts.values(changed.limits(git, base)),
        "code": parts.code(changed.code(git, base, declared)),
        "data": parts.data(git, store, base),
        "cost": parts.cost(git, base, found),
        "environment": parts.values(changed.packages(git, base)),
        "curves": points.read(git, base),
    }
    return facts.checked(document)


def _verdict(result: Result) -> Facts:
    return {
        "verdict": result.verdict,
        "metric": result.metric,
        "passed": result.passed,
        "headline": clip(result.headline(), LINE),
        "reasons": parts.lines(result.reasons),
    }


def _compared(git: Git, base: Base, found: Judged) -> Facts:
    uncommitted, result = _uncommitted(git, base), found.result
    return {
        "head": base.head,
        "base": base.commit,
        "branch": clip(base.branch),
        "name": clip(base.name),
        "ahead": base.ahead,
        "behind": base.behind,
        "first": found.first,
        "basis": result.basis,
        "words": clip(result.words, LINE),
        "rows": result.rows,
        "customers": result.customers,
        "uncommitted": [clip(path) for path in uncommitted[:SHOWN]],
        "uncommitted_files": len(uncommitted),
    }


def _uncommitted(git: Git, base: Base) -> list[str]:
    """Files that the working tree has otherwise than the commit, if the commit is the one that is checked out."""
    if git.commit("HEAD") != base.head:
        return []
    listed = git.attempt("status", "--porcelain", "-z", "--no-renames", "--untracked-files=no")
    return [entry[3:] for entry in listed.stdout.decode("utf-8", "replace").split("\0") if entry]


def _limits(result: Result) -> Facts:
    policy = result.policy
    return {
        "max_loss": policy.max_loss,
        "min_effect": policy.min_effect,
        "confidence": policy.confidence,
        "slices": policy.slices.max_loss,
        "calibration": policy.calibration.max_loss,
    }


def _checks(result: Result) -> list[Facts]:
    waived = result.let_pass
    return [
        {"name": c.name, "passed": c.passed, "words": clip(c.words, LINE), "waived": waived.get(c.name)}
        for c in result.checks
    ]
