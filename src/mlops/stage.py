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

Mark = tuple[int, int, int]


class _Inputs:
    """A stage's dependencies and parameters as they were when it began."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.params = view(name)
        self.files = _marks(name)

    def refuse_if_moved(self) -> None:
        """Raise when one of them changed since: the result would be filed under what did not make it.

        Raises:
            StageError: names what changed.
        """
        again = f"changed while stage {self.name} ran; run `dvc repro` again"
        for path, mark in _marks(self.name).items():
            if self.files.get(path) != mark:
                raise StageError(f"{path} {again}")
        for key, value in view(self.name).values().items():
            if self.params.values()[key] != value:
                raise StageError(f"params.yaml: {key} {again}")


_running: list[_Inputs] = []


def run(name: str, work: Callable[[View], None]) -> int:
    """Run one stage: check params.yaml, do the work, refuse the result if an input changed while it ran.

    DVC hashes a stage's dependencies after its command: a script or a parameter edited meanwhile would be filed as the
    author of output that it did not make. `replaced` asks before anything is replaced. Returns the exit code; expected
    errors are one line on stderr.
    """

    def guarded_work() -> None:
        inputs = _Inputs(name)
        _running.append(inputs)
        try:
            work(inputs.params)
            inputs.refuse_if_moved()
        finally:
            _running.remove(inputs)

    return guarded(guarded_work)


def _marks(name: str) -> dict[str, Mark]:
    """Size, time and inode of each file that the stage depends on: what changes when somebody writes it."""
    path = Path("dvc.yaml")
    if not path.exists():
        raise StageError(f"{path.name} is not in {Path.cwd()}; run stages at the repository's root, with `dvc repro`")
    deps: list[Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"][name]["deps"]
    marks = {}
    for dep in (Path(d) for d in deps):
        for file in sorted(dep.rglob("*")) if dep.is_dir() else [dep]:
            if file.is_file() and "__pycache__" not in file.parts:
                status = file.stat()
                marks[str(file)] = (status.st_size, status.st_mtime_ns, status.st_ino)
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
    leaves the old outputs untouched and no half-written ones behind; so does an input of the running stage that moved.
    """
    targets = [Path(o) for o in outputs]
    fresh = tuple(t.with_name(f".{t.name}.new") for t in targets)
    for path, target in zip(fresh, targets, strict=True):
        _recover(target)
        _remove(path)
        (path.parent if target.suffix else path).mkdir(parents=True, exist_ok=True)
    try:
        yield fresh
        for inputs in _running:
            inputs.refuse_if_moved()
        for path, target in zip(fresh, targets, strict=True):
            _swap(path, target)
    finally:
        for path in fresh:
            _remove(path)


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def _recover(target: Path) -> None:
    """Put back an output that a killed process had moved aside."""
    if _old(target).exists() and not target.exists():
        os.replace(_old(target), target)


def _swap(new: Path, target: Path) -> None:
    _remove(_old(target))
    if target.exists():
        os.replace(target, _old(target))
    os.replace(new, target)
    _remove(_old(target))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
