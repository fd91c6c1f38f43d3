"""Models of the past: fetched by digest into a folder of their own, the working tree untouched."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mlops import bundle, production
from mlops.bundle import Bundle
from mlops.errors import GitError, RegistryError
from mlops.git import Git
from mlops.registry.look import Registry
from mlops.store import model
from mlops.store.objects import Store

UNPROMOTED = "unpromoted-"
"""How the service calls what was never promoted: this and the start of its manifest's sha256."""
SERVING = Path("models/serving")


def here(git: Git, commit: str) -> bool:
    """Whether this clone has a commit."""
    return git.attempt("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def fetch(registry: Registry, commit: str, target: Path) -> None:
    """Copy the model of a commit to where nothing is yet.

    Raises:
        GitError: this clone does not have the commit.
        StoreError: the commit names no model, or its bytes are nowhere to be had.
    """
    if not here(registry.git, commit):
        deeper = " --unshallow" if registry.git.text("rev-parse", "--is-shallow-repository") == "true" else ""
        raise GitError(f"commit {commit[:8]} is not in this clone; `git fetch{deeper} --tags` where it is shared")
    Store(registry.git.folder).copy(model.model(registry.git, commit, registry.name).out, target)


class Models:
    """Loaded models of the past, each fetched once."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._loaded: dict[str, Bundle] = {}

    def load(self, version: str, commit: str | None) -> Bundle:
        """The model of a version.

        Raises:
            MlopsError: it cannot be had, and why.
        """
        key = commit or version
        if key not in self._loaded:
            if version.startswith(UNPROMOTED):
                self._loaded[key] = self._unpromoted(version.removeprefix(UNPROMOTED))
            elif commit is None:
                raise RegistryError(f"neither the log nor a tag names the commit of {version}: no model can be fetched")
            else:
                self._loaded[key] = self._promoted(commit)
        return self._loaded[key]

    def _promoted(self, commit: str) -> Bundle:
        with tempfile.TemporaryDirectory(prefix="mlops-trace-") as folder:
            fetch(self._registry, commit, Path(folder) / "model")
            return bundle.load(Path(folder) / "model")

    def _unpromoted(self, digest: str) -> Bundle:
        place = self._registry.git.folder / SERVING
        now = production.manifest_digest(place) if (place / bundle.MANIFEST).exists() else None
        if now is None or not now.startswith(digest):
            there = f"holds another model by now ({now[:8]}…)" if now else "holds no model"
            raise RegistryError(
                f"it was never promoted, so that no tag names it, and {SERVING} {there}; if you know its commit,"
                f" `git switch --detach COMMIT && dvc checkout {SERVING}` and trace again"
            )
        return bundle.load(place)
