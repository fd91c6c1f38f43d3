"""Is dvc.lock what the code makes, and can what it names be had? Asked of commits, not of the working tree."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlops.errors import StoreError, one_line
from mlops.git import Git
from mlops.store import keep, lock, model, pipeline, settings
from mlops.store.lock import Out
from mlops.store.objects import Store
from mlops.verify.proof import EQUAL, SAME, Proof
from mlops.verify.verify import verify

Say = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """What was found of a commit's dvc.lock.

    Args:
        commit: its full hash.
        empty: why there is nothing to ask, None where there is.
        stale: why it does not belong to the commit's files, a line for each reason.
        proof: of a rebuild; None where none was made.
    """

    commit: str
    empty: str | None = None
    stale: tuple[str, ...] = ()
    proof: Proof | None = None

    @property
    def right(self) -> bool:
        """Whether nothing speaks against it: numbers within 1e-6 of the recorded ones count as the same."""
        return not self.stale and (self.proof is None or self.proof.verdict in (SAME, EQUAL))

    def facts(self) -> dict[str, Any]:
        """As a JSON-able document."""
        told: dict[str, Any] = {"right": self.right, "commit": self.commit, "stale": list(self.stale)}
        return told | {"rebuilt": self.proof.facts() if self.proof else None}

    def lines(self) -> list[str]:
        """What a terminal shows, the answer first."""
        short = self.commit[:8]
        if self.empty:
            return [f"{short}: {self.empty}"]
        if self.stale:
            first = f"{short}: dvc.lock is not current; `dvc repro`, then commit dvc.lock"
            return [first, *(f"  {line}" for line in self.stale)]
        if self.proof is None:
            return [f"{short}: dvc.lock is current: its stages ran with what the commit holds"]
        said = "is what the commit's code makes" if self.right else "is not what the commit's code makes"
        told, *stages = self.proof.lines()
        first = f"{short}: dvc.lock {said}" if self.proof.stages else f"{short}: its pipeline cannot run again"
        return [first, f"  rebuilt: {told}", *(f"  {line}" for line in stages)]


def check(git: Git, commit: str) -> Found:
    """Whether a commit's dvc.lock is current, from Git alone.

    Raises:
        StoreError: it is not valid, or there are stages and none of them ran.
    """
    if git.read(commit, lock.FILE) is None:
        declared = pipeline.pipeline(git, commit)
        if declared is None or not (declared.stages or declared.templates):
            return Found(commit, "no stage makes anything here: there is no dvc.lock to check")
    return Found(commit, stale=tuple(lock.stale(git, commit)))


def rebuild(git: Git, store: Store, commit: str, name: str, say: Say) -> Found:
    """The same, and whether the commit's code makes what its dvc.lock says.

    Outputs that come out as recorded are in DVC's cache afterwards.

    Args:
        git, store: where the commit and what it recorded are.
        commit: its full hash.
        name: of the model among `artifacts:` of dvc.yaml.
        say: told what is done.

    Raises:
        StoreError: dvc.lock is not valid, or the commit has no such model.
    """
    found = check(git, commit)
    if found.empty or found.stale:
        return found
    if model.model(git, commit, name).origin == "notebook":
        return Found(commit, f"no stage made the model {name}: it cannot be rebuilt")
    return Found(commit, proof=_rebuilt(git, store, commit, name, say))


def bring(git: Git, store: Store, commit: str, name: str, say: Say) -> str:
    """See to it that all that a commit's dvc.lock names can be had; returns where it is, in words.

    Raises:
        StoreError: some of it is nowhere, and does not come out again.
    """
    if git.read(commit, lock.FILE) is None:
        return "has no dvc.lock: there is nothing to fetch"
    outs = _cached(lock.read(git, commit))
    lacking = _lacking(store, outs, say)
    if not lacking:
        return "everything is in DVC's cache" + (f" or in {store.remote}" if store.remote else "")
    say(f"{commit[:8]}: {lacking[0].path} is not to be had, so its pipeline runs again")
    proof = _rebuilt(git, store, commit, name, say)
    if lost := _local(store).missing(lacking):
        told = "; ".join(line.strip() for line in proof.lines())
        raise StoreError(f"{lost[0].path} of {commit[:8]} is not to be had, and its pipeline made others: {told}")
    return "rebuilt: the same bytes as recorded"


def _cached(locked: lock.Lock) -> list[Out]:
    """Outputs that DVC holds, not Git."""
    return [out for stage in locked.stages.values() for out in stage.outs if out.path not in stage.uncached]


def _lacking(store: Store, outs: list[Out], say: Say) -> list[Out]:
    """Outputs that cannot be had; where remote storage refuses, those that the cache lacks."""
    try:
        return store.missing(outs)
    except StoreError as error:
        say(one_line(error))
        return _local(store).missing(outs)


def _local(store: Store) -> Store:
    """The same without remote storage."""
    found = settings.of(store.root)
    core = {key: value for key, value in found.config["core"].items() if key != "remote"}
    return Store(store.root, replace(found, config={**found.config, "core": core}))


def _rebuilt(git: Git, store: Store, commit: str, name: str, say: Say) -> Proof:
    with tempfile.TemporaryDirectory(prefix="mlops-rebuild-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch) / "clone"
        proof = verify(git, store, commit, name=name, keep=folder, say=say)
        same = {out.path for stage in proof.stages for out in stage.outs if out.verdict == SAME}
        for out in _cached(lock.read(git, commit)):
            if out.path in same:
                _keep(settings.of(store.root).cache, folder / out.path, out)
    return proof


def _keep(cache: Path, place: Path, out: Out) -> None:
    """Put an output, which is what its digest says, into DVC's cache; the list of a folder last."""
    if out.folder:
        keep.folder(cache, out.path, {f.relative_to(place).as_posix(): f for f in place.rglob("*") if f.is_file()})
    else:
        keep.file(cache, out.path, place)
