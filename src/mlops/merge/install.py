"""Tells Git to merge dvc.lock with our driver: the command in this clone's configuration, the paths in .gitattributes.

Git takes no commands from a repository, for good reasons; so each clone says once that it wants this one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mlops.errors import StoreError
from mlops.git import Git, here
from mlops.merge import document
from mlops.store import pipeline

LOCK, OUTPUT = "dvc-lock", "dvc-output"
ATTRIBUTES = ".gitattributes"
KEEP_OURS = "true"
"""The command that leaves a file as this side has it: any version will do for what is about to be made again."""


def install(folder: Path | None = None) -> list[str]:
    """Set up the clone that a folder belongs to (the current one unless told otherwise), from any place inside it.

    Returns a sentence for each thing that was changed; none when everything was there.

    Raises:
        GitError: the folder is in no working tree.
        StoreError: a dvc.yaml is not valid.
    """
    git = here(folder)
    return [*_configured(git), *_attributed(git)]


def command() -> str:
    """What Git runs, by its shell: this environment's Python by its full path, since a Git GUI knows no environment."""
    # -I: no file in the folder where Git runs it can take the place of a module.
    python = os.path.abspath(sys.executable).replace("\\", "/").replace("'", "'\\''").replace("%", "%%")
    return f"'{python}' -I -m mlops.merge %O %A %B %L %P"


def _configured(git: Git) -> Iterator[str]:
    wanted = {
        f"merge.{LOCK}.name": "dvc.lock, stage by stage",
        f"merge.{LOCK}.driver": command(),
        f"merge.{OUTPUT}.name": "what a stage wrote: this side's until `dvc repro` makes it again",
        f"merge.{OUTPUT}.driver": KEEP_OURS,
    }
    changed = [key for key, value in wanted.items() if git.config(key) != value]
    for key in changed:
        git.raw("config", "--local", key, wanted[key])
    if changed:
        yield f"Git's configuration of this clone now has merge.{LOCK} and merge.{OUTPUT}: {command()}"


def _attributed(git: Git) -> Iterator[str]:
    missing = [f"{pattern} merge={name}" for pattern, path, name in _paths(git) if _driver(git, path) != name]
    if not missing:
        return
    place = git.folder / ATTRIBUTES
    before = place.read_bytes() if place.exists() else b""
    between = b"\n" if before and not before.endswith(b"\n") else b""
    place.write_bytes(before + between + "".join(f"{line}\n" for line in missing).encode("utf-8"))
    yield f"{ATTRIBUTES} now has: {'; '.join(missing)}. Commit it: `git add {ATTRIBUTES} && git commit`"


def _driver(git: Git, path: str) -> str:
    """The driver that Git has for a path now; of lines that fit, the last one counts."""
    return git.raw("check-attr", "-z", "merge", "--", path).split(b"\0")[2].decode("utf-8", "replace")


def _paths(git: Git) -> Iterator[tuple[str, str, str]]:
    """Pattern, a path that it has to fit, and driver: of every dvc.lock, and of the outputs that Git holds."""
    yield "dvc.lock", "dvc.lock", LOCK
    words = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ":(glob)**/dvc.yaml")
    for name in sorted(set(filter(None, git.raw(*words).decode("utf-8", "surrogateescape").split("\0")))):
        folder = PurePosixPath(name).parent
        for out in _uncached(git.folder / name):
            path = pipeline.place(str(folder), out)
            is_file = (git.folder / path).is_file() or (not (git.folder / path).exists() and PurePosixPath(path).suffix)
            yield _pattern(path if is_file else f"{path}/**"), path if is_file else f"{path}/any", OUTPUT


def _uncached(place: Path) -> list[str]:
    """Paths of the outputs with `cache: false`, from dvc.yaml's folder; not of templates, whose paths are not known."""
    if not place.is_file():
        return []
    try:
        stages = (document.load(place.read_bytes()) or {}).get("stages") or {}
        found = [pipeline.declared(name, stage).uncached for name, stage in stages.items() if "cmd" in stage]
    except (AttributeError, KeyError, TypeError, ValueError, StoreError) as error:
        raise StoreError(f"{place} is no pipeline ({error}); `dvc repro --dry` says why") from None
    return sorted(path for paths in found for path in paths if "${" not in path)


def _pattern(path: str) -> str:
    """A line's pattern for exactly this path; `**` at its end stays what it is."""
    start, end = (path[:-2], "**") if path.endswith("/**") else (path, "")
    escaped = "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in start)
    whole = f"/{escaped}{end}"
    if not any(letter.isspace() or letter == '"' for letter in whole):
        return whole
    return '"' + whole.replace("\\", "\\\\").replace('"', '\\"') + '"'
