"""What every stage of dvc.yaml does around its work: parameters in, outputs swapped in whole, nothing moved meanwhile.

The module is imported by every stage, so it imports little itself.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mlops.errors import StageError, guarded
from mlops.params import View, view


def run(name: str, work: Callable[[View], None]) -> int:
    """Run one stage: check params.yaml, do the work, refuse the result if an input changed while it ran.

    DVC hashes a stage's dependencies after its command: a script edited meanwhile would be filed as the author of
    output that it did not make. Returns the exit code; expected errors are one line on stderr.
    """

    def guarded_work() -> None:
        params = view(name)
        before = _fingerprints(name)
        work(params)
        moved = [path for path, mark in _fingerprints(name).items() if before.get(path) != mark]
        if moved:
            raise StageError(f"{moved[0]} changed while stage {name} ran; run `dvc repro` again")

    return guarded(guarded_work)


def _fingerprints(name: str) -> dict[str, tuple[int, int, int]]:
    """Size, time and inode of each file that the stage depends on: what changes when somebody writes it."""
    with open("dvc.yaml", encoding="utf-8") as file:
        deps: list[Any] = yaml.safe_load(file)["stages"][name]["deps"]
    marks = {}
    for dep in (Path(d) for d in deps):
        for path in sorted(dep.rglob("*")) if dep.is_dir() else [dep]:
            if path.is_file():
                status = path.stat()
                marks[str(path)] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return marks


class _NoPandas:
    """An importer that says pandas is not there."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Refuse pandas, know nothing of anything else."""
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not used here", name=name)


def without_pandas() -> None:
    """Keep pyarrow from importing pandas, which costs a second, in a stage that never uses it.

    pyarrow imports pandas, when it is installed, at the first value it converts, and asks only once: here it asks while
    the answer is no. To be called before anything else of a process uses pyarrow.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow

    sys.meta_path.insert(0, _NoPandas)
    try:
        pyarrow.array([0])
    finally:
        sys.meta_path.remove(_NoPandas)


@contextmanager
def replaced(*outputs: str | Path) -> Iterator[tuple[Path, ...]]:
    """Where to write new outputs; they take the old ones' places only when the block ends well.

    A name with a suffix is a file, to be created by the caller; any other is a folder, created empty. An error inside
    leaves the old outputs untouched and no half-written ones behind.
    """
    targets = [Path(o) for o in outputs]
    fresh = tuple(t.with_name(f".{t.name}.new") for t in targets)
    for path, target in zip(fresh, targets, strict=True):
        _remove(path)
        (path.parent if target.suffix else path).mkdir(parents=True, exist_ok=True)
    try:
        yield fresh
        for path, target in zip(fresh, targets, strict=True):
            _swap(path, target)
    finally:
        for path in fresh:
            _remove(path)


def _swap(new: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.old")
    _remove(old)
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
