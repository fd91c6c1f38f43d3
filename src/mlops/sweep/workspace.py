"""The working tree that a sweep starts from: is it fit to be swept, and what of it goes into each trial's commit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops import params as parameters
from mlops import strict, train
from mlops.errors import DataError, ExperimentError, GitError, ParamsError, one_line
from mlops.git import Git

STAGE = "preprocess"


@dataclass(frozen=True)
class Workspace:
    """The files that Git knows, as they are now. head: full hash; changed: path → content, of those that HEAD has
    otherwise, None for those that are gone.
    """

    git: Git
    head: str
    changed: Mapping[str, bytes | None]

    def text(self, path: str) -> str:
        """A file as it is now; empty where there is none."""
        place = self.git.folder / path
        return place.read_text(encoding="utf-8") if place.exists() else ""

    def document(self) -> Any:
        """params.yaml, checked."""
        text = self.text(str(parameters.PATH))
        document = strict.read(text, parameters.PATH, ParamsError)
        parameters.parse(document)
        return document


def look(git: Git) -> Workspace:
    """The working tree.

    Raises:
        ExperimentError: there is no commit to be an experiment of.
    """
    try:
        head = git.commit("HEAD")
    except GitError:
        raise ExperimentError(
            "there is no commit yet that trials could be experiments of; `git add -A && git commit`, then again"
        ) from None
    names = git.raw("diff", "--name-only", "--no-renames", "-z", "HEAD", "--").decode("utf-8", "surrogateescape")
    changed = {}
    for name in filter(None, names.split("\0")):
        place = git.folder / name
        changed[name] = place.read_bytes() if place.is_file() and not place.is_symlink() else None
    return Workspace(git, head, changed)


def check_features(folder: Path) -> None:
    """Refuse features that the pipeline would not make now.

    Raises:
        DataError: they are missing, or were made of other data, params or code; what to type.
    """
    if not (folder / train.FEATURES / "train.parquet").exists():
        raise DataError("there are no features yet (data/features); `dvc repro` makes them, `dvc pull` brings them")
    stale = _stale(folder)
    if stale:
        raise DataError(f"data/features is not what the pipeline would make now ({stale}); `dvc repro {STAGE}` first")


def _stale(folder: Path) -> str:
    """Why DVC would run preprocess, or a stage before it; empty when it would not."""
    command = [sys.executable, "-m", "dvc", "status", "--json", "--with-deps", STAGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"DVC cannot tell whether data/features is current: {one_line(done.stderr)}")
    found: dict[str, list[Any]] = json.loads(done.stdout or "{}")
    for stage, reasons in found.items():
        for reason in reasons:
            if not isinstance(reason, Mapping):
                return f"{stage}: {reason}"
            for kind, files in reason.items():
                return f"{stage}: {kind}: {', '.join(map(str, files))}"
    return ""
