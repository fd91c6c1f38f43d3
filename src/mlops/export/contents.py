"""The files of an experiment: out of Git, and out of DVC's cache as far as they are there. No network is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mlops.errors import StoreError
from mlops.git import Git
from mlops.store import lock, model, settings
from mlops.store.lock import Out
from mlops.store.objects import Store

Origin = Literal["pipeline", "notebook", "sweep"]
MODEL = "model"
"""The folder of the served model in an exported run."""
NOTEBOOK, SWEEP = "notebook.json", "sweep.json"
SERVED = "models/notebook"
_OWN: Mapping[Origin, tuple[str, ...]] = {
    "pipeline": ("metrics/evaluate/", "params.yaml", "dvc.lock"),
    "notebook": ("metrics/evaluate/", "metrics/notebook/", "params.yaml", "notebook.yaml", NOTEBOOK),
    "sweep": ("metrics/sweep/", "params.yaml", SWEEP),
}
"""What of a commit's files is told, by who made it; the rest is the baseline's."""
_ROWS = "data/"
"""Rows of customers stay where they are."""


@dataclass
class Contents:
    """The files of a run. blobs: path → Git's hash; objects: path → file of DVC's cache; missing: not in that cache."""

    blobs: dict[str, str] = field(default_factory=dict)
    objects: dict[str, Path] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def unpack(self, git: Git, folder: Path) -> None:
        """Lay all files into a folder, those of the cache as links."""
        for path, content in zip(self.blobs, git.contents(list(self.blobs.values())), strict=True):
            _place(folder, path).write_bytes(content or b"")
        for path, file in self.objects.items():
            _place(folder, path).symlink_to(file.absolute())

    def texts(self, git: Git, pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], str]]:
        """The texts of files whose paths match."""
        found = {path: fields for path in (*self.blobs, *self.objects) if (fields := pattern.fullmatch(path))}
        blobs = [path for path in found if path in self.blobs]
        for path, content in zip(blobs, git.contents([self.blobs[path] for path in blobs]), strict=True):
            yield found[path], (content or b"").decode("utf-8", "replace")
        for path in found.keys() - self.blobs.keys():
            yield found[path], self.objects[path].read_text(encoding="utf-8", errors="replace")


class Cache:
    """DVC's cache of a repository, without its remote storage: an export must not wait for gigabytes.

    Args:
        git: the repository.
        artifact: what its models are called in dvc.yaml.
    """

    def __init__(self, git: Git, artifact: str) -> None:
        self._git, self._artifact = git, artifact
        self._store = Store(git.folder, replace(settings.of(git.folder), config={"core": {}}))

    def contents(self, commit: str, parent: str | None) -> tuple[Origin, Contents]:
        """Who made a commit, and its files."""
        files = self._git.files(commit)
        base = self._git.files(parent) if parent else {}
        own = {path: blob for path, blob in files.items() if base.get(path) != blob}
        origin: Origin = "notebook" if NOTEBOOK in own else "sweep" if SWEEP in own else "pipeline"
        made = Contents({path: blob for path, blob in files.items() if path.startswith(_OWN[origin])})
        if origin == "notebook":
            for path in own:
                if path.endswith(".dvc") and not path.startswith((_ROWS, ".")):
                    self._add(made, path.removesuffix(".dvc"), self._pointed(commit, path.removesuffix(".dvc")))
        elif origin == "pipeline":
            self._add(made, MODEL, self._model(commit))
            for out in self._measured(commit):
                self._add(made, out.path, out)
        return origin, made

    def _pointed(self, commit: str, path: str) -> Out | None:
        try:
            return lock.pointer(self._git, commit, path)
        except StoreError:  # a broken .dvc file must not hide what else the run logged
            return None

    def _model(self, commit: str) -> Out | None:
        try:
            return model.model(self._git, commit, self._artifact).out
        except StoreError:  # the commit has none
            return None

    def _measured(self, commit: str) -> list[Out]:
        """Folders of metrics and curves that DVC keeps."""
        try:
            stages = lock.read(self._git, commit).stages.values()
        except StoreError:
            return []
        return [o for s in stages for o in s.outs if o.path.startswith("metrics/") and o.path not in s.uncached]

    def _add(self, made: Contents, path: str, out: Out | None) -> None:
        if out is None:
            return
        place = MODEL if path == SERVED else path
        try:
            if out.folder:
                found = {f"{place}/{name}": self._store.file(md5) for name, md5 in self._store.listing(out).items()}
            else:
                found = {place: self._store.file(out.md5)}
        except StoreError:
            made.missing.append(place)
        else:
            made.objects |= found


def _place(folder: Path, path: str) -> Path:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    return place
