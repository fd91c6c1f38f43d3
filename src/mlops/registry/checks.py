"""What the gate is told besides statistics: is it committed, is the lock right, was it in the stages before."""

from __future__ import annotations

from mlops.registry.look import Registry
from mlops.registry.tags import ASSIGN
from mlops.report import checks as ask
from mlops.report.gate import Check
from mlops.store.model import Model
from mlops.store.objects import Store


def of_repository(registry: Registry, model: Model, stage: str, store: Store, *, as_it_is: bool) -> list[Check]:
    """The checks of a commit that shall be promoted.

    Args:
        registry: with policy and tags.
        model: of the commit.
        stage: where it shall go.
        store: tells which files a folder of data held.
        as_it_is: whether the working tree is what a person means: then it must be committed.
    """
    checks = [_clean(registry)] if as_it_is else []
    if model.origin == "pipeline":
        checks.append(ask.current(registry.git, model.commit, store))
    needed = registry.policy.promotion.requires.get(stage)
    if needed is not None:
        checks.append(_reached(registry, stage, needed, model.commit))
    return checks


def _clean(registry: Registry) -> Check:
    dirty = registry.git.text("status", "--porcelain", "--untracked-files=no").splitlines()
    if not dirty:
        return Check("clean tree", True, "everything is committed")
    words = f"{dirty[0][3:]} is changed and not committed: `git commit` it, or name the commit that you mean"
    return Check("clean tree", False, words)


def _reached(registry: Registry, stage: str, needed: str, commit: str) -> Check:
    tags = (event.tag for event in registry.picture.events)
    reached = any(t.stage == needed and t.kind == ASSIGN and t.commit == commit for t in tags)
    words = (
        f"it was in {needed}" if reached else f"{stage} takes only what was in {needed}: promote with --stage {needed}"
    )
    return Check("order of stages", reached, words)
