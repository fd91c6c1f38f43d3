"""Does a commit make what it recorded? The question of `mlops verify` and of `mlops promote --prove`."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mlops.git import Git
from mlops.store.lock import Lock, read, stale
from mlops.store.model import model
from mlops.store.objects import Store
from mlops.verify import environment, rebuild
from mlops.verify.compare import Comparison
from mlops.verify.proof import CANNOT, DIFFERENT, Proof, worst

Say = Callable[[str], None]


def verify(
    git: Git, store: Store, commit: str, *, name: str, install: bool = False, keep: Path | None = None,
    say: Say = lambda _: None,
) -> Proof:  # fmt: skip
    """Rebuild a commit from itself and its raw data alone, and compare what that makes with what it recorded.

    Args:
        git, store: where the commit is, and the outputs that it recorded.
        commit: its full hash.
        name: of the model among `artifacts:` of dvc.yaml, such as churn.
        install: with exactly the packages that the commit recorded, in an environment of their own.
        keep: a new folder, in which what was rebuilt stays; a temporary one otherwise.
        say: told what is done.

    Raises:
        StoreError: the commit has no model of this name, or no valid dvc.lock.
        MlopsError: the folder to keep is not empty.
    """
    started = time.perf_counter()
    found = model(git, commit, name)
    if found.origin == "notebook":
        reason = f"no stage made {found.path}: {found.path}.dvc brought it from elsewhere"
        return Proof(CANNOT, commit, reason=reason, seconds=time.perf_counter() - started)
    with tempfile.TemporaryDirectory(prefix="mlops-verify-", ignore_cleanup_errors=True) as scratch:
        work = _Work(git, store, read(git, commit), Path(scratch), keep or Path(scratch) / "clone")
        proof = work.proof(install, say)
    return replace(proof, seconds=time.perf_counter() - started)


@dataclass(frozen=True)
class _Work:
    """One rebuild: what was recorded, and the folders for it."""

    git: Git
    store: Store
    lock: Lock
    scratch: Path
    folder: Path

    def proof(self, install: bool, say: Say) -> Proof:
        commit, log = self.lock.commit, self.scratch / "log"
        proof = Proof(CANNOT, commit, stale=tuple(stale(self.git, commit, self.store.listing)))
        try:
            say(f"clone of {commit[:8]}")
            rebuild.clone(self.git, commit, self.folder)
            rebuild.bring_data(self.git, self.store, self.lock, self.folder)
            python = Path(sys.executable)
            if install:
                say("packages of the commit's own lock")
                python = rebuild.install(self.folder, log)
            here = environment.installed(python)
            differing = environment.differences(self.git, commit, here)
            proof = replace(proof, environment=differing, python=here.python)
            rebuild.run(self.folder, python, self.scratch / "home", log, say)
        except rebuild.NotRebuiltError as error:
            kept = f" (all it said: {rebuild.keep_log(log, self.git, commit)})" if log.exists() else ""
            return replace(proof, reason=f"{error}{kept}")
        say("comparison")
        comparison = Comparison(self.git, self.store, self.lock, self.folder, self.scratch / "recorded")
        stages = tuple(comparison.stages())
        verdicts = [stage.verdict for stage in stages] + [DIFFERENT] * bool(proof.stale)
        return replace(proof, verdict=worst(verdicts), stages=stages)
