"""The user's files in data/source: copied there, versioned with DVC, taken away again; all of it or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mlops.errors import MlopsError, TableError
from mlops.table.project import SOURCE

MARK = "copied_by: mlops data use"  # in the .dvc file: the data file is a copy of ours, to be taken away again


def destinations(files: Sequence[Path]) -> list[Path]:
    """Where each file lies in data/source, as a path from the repository's folder.

    Raises:
        TableError: a file is named twice, two have the same name, or the place is taken by something else.
    """
    places: dict[Path, Path] = {}
    for file in files:
        place = SOURCE / file.name
        if _inside(file):
            place = SOURCE / file.resolve().relative_to(SOURCE.resolve())
        other = places.get(place)
        if other is not None:
            twice = other.resolve() == file.resolve()
            raise TableError(
                f"{file} " + ("is named twice" if twice else f"has the name of {other}; rename one of them")
            )
        places[place] = file
        if place.exists() and not _inside(file) and not _replaceable(place, file):
            raise TableError(f"{place} exists already and is another file; use that one, or move it away")
    return list(places)


def _inside(file: Path) -> bool:
    return file.resolve().is_relative_to(SOURCE.resolve())


def _replaceable(place: Path, file: Path) -> bool:
    """Whether the file at `place` may be overwritten: same bytes, or an unchanged copy of ours that DVC has."""
    return md5(place) == md5(file) or (is_copy(place) and unchanged(place))


def md5(path: Path) -> str:
    """DVC's digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def pointer(path: Path) -> Path:
    """The .dvc file of a data file."""
    return path.with_name(path.name + ".dvc")


def _pointed(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(pointer(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return document if isinstance(document, dict) else {}


def is_copy(path: Path) -> bool:
    """Whether `mlops data use` put this file here."""
    return f"{(_pointed(path).get('meta') or {}).get('copied_by')}" == MARK.removeprefix("copied_by: ")


def unchanged(path: Path) -> bool:
    """Whether a file still has the bytes that its .dvc file names."""
    outs = _pointed(path).get("outs") or [{}]
    return path.is_file() and md5(path) == outs[0].get("md5")


def add(files: Sequence[Path], places: Sequence[Path]) -> None:
    """Copy files to their places where they are not there yet, and version them with DVC."""
    copied = []
    for file, place in zip(files, places, strict=True):
        if not _inside(file):
            place.parent.mkdir(parents=True, exist_ok=True)
            fresh = place.with_name(f".{place.name}.new")
            shutil.copyfile(file, fresh)
            os.replace(fresh, place)
            copied.append(place)
    _dvc("add", *map(str, places))
    for place in copied:
        if not is_copy(place):
            with pointer(place).open("a", encoding="utf-8") as out:
                out.write(f"meta:\n  {MARK}\n")


def remove(places: Sequence[Path]) -> list[str]:
    """Take files of a former table out of DVC's hands, and our copies away. Returns what a person should know."""
    tracked = [place for place in places if pointer(place).exists()]
    if not tracked:
        return []
    copies = [place for place in tracked if is_copy(place) and unchanged(place)]
    left = [place for place in tracked if place not in copies and place.exists()]
    if copies:
        _dvc("commit", "--force", *(str(pointer(place)) for place in copies))  # their bytes are in the cache, for sure
    _dvc("remove", *(str(pointer(place)) for place in tracked))
    for place in copies:
        place.unlink()
    notes = [f"removed {place}; its bytes stay in DVC's cache" for place in copies]
    return notes + [f"left {place} where it is: it is no unchanged copy of `mlops data use`" for place in left]


@contextmanager
def undone_on_error(texts: Sequence[Path], places: Sequence[Path]) -> Iterator[None]:
    """Put text files, data files and their .dvc files back as they were when the block fails."""
    watched = [*texts, SOURCE / ".gitignore", *map(pointer, places)]
    before = {path: path.read_bytes() if path.exists() else None for path in watched}
    had_folder = SOURCE.exists()
    kept = {place: place.with_name(f".{place.name}.old") for place in places if place.exists()}
    for place, old in kept.items():
        _link(place, old)
    try:
        yield
    except BaseException:
        for place in places:
            place.unlink(missing_ok=True)
        for place, old in kept.items():
            os.replace(old, place)
        for path, content in before.items():
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)
        if not had_folder:
            shutil.rmtree(SOURCE, ignore_errors=True)
        raise
    finally:
        for old in kept.values():
            old.unlink(missing_ok=True)


def _link(place: Path, old: Path) -> None:
    old.unlink(missing_ok=True)
    try:
        os.link(place, old)
    except OSError:  # a file system without hard links
        shutil.copy2(place, old)


def _dvc(*words: str) -> None:
    command = [sys.executable, "-m", "dvc", words[0], "--quiet", *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        said = lines[-1] if lines else f"exit code {done.returncode}"
        raise MlopsError(f"`dvc {' '.join(words)}` failed: {said.removeprefix('ERROR: ')}; nothing was changed")
