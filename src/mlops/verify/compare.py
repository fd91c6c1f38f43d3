"""What a rebuild left against what dvc.lock recorded: digests of the files themselves, then what differs in them.

Digests decide "same bytes". Only files of other bytes are opened, and only where the recorded ones can be had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from mlops.errors import StoreError
from mlops.git import Git
from mlops.store import digest
from mlops.store.lock import Lock, Out, Stage
from mlops.verify.close import Found
from mlops.verify.files import compare, tellingness
from mlops.verify.proof import DIFFERENT, EQUAL, SAME, OutProof, StageProof, worst

OPAQUE = (".joblib", ".pkl", ".pickle")
"""Never opened: a pickle runs what it says."""
SHOWN = 3
"""Differences of one output that are told."""


class Originals(Protocol):
    """Where recorded outputs can be had; `mlops.store.objects.Store` is one."""

    def listing(self, out: Out) -> dict[str, str]:
        """Relative path → md5 of the files of a folder."""

    def file(self, md5: str) -> Path:
        """A file of this digest."""


@dataclass(frozen=True)
class Recorded:
    """The files of an output as they were recorded: relative path → md5, and where each can be read."""

    listing: Mapping[str, str]
    file: Callable[[str], Path]


@dataclass(frozen=True)
class Comparison:
    """A working tree in which a pipeline was run again, beside what was recorded.

    git, originals: where recorded files are; Git has those that DVC does not cache.
    folder: the working tree; scratch: for files taken out of Git.
    """

    git: Git
    originals: Originals
    lock: Lock
    folder: Path
    scratch: Path

    def stages(self) -> Iterator[StageProof]:
        """Compare stage by stage, in the order in which they ran."""
        for stage in self.lock.stages.values():
            yield StageProof(stage.name, tuple(_pickles_follow([self._out(stage, out) for out in stage.outs])))

    def _out(self, stage: Stage, out: Out) -> OutProof:
        place = self.folder / out.path
        if not place.exists():
            return OutProof(out.path, DIFFERENT, out.md5, None, ("was not made",))
        rebuilt = {f.relative_to(place).as_posix(): f for f in sorted(place.rglob("*")) if f.is_file()}
        files = rebuilt if place.is_dir() else {"": place}
        digests = {name: digest.of_file(path) for name, path in files.items()}
        made = digest.of_folder(digests) if place.is_dir() else digests[""]
        if made == out.md5:
            wrong = _miscounted(out, files)
            return OutProof(out.path, DIFFERENT if wrong else SAME, out.md5, made, wrong)
        try:
            recorded = self._recorded(stage, out)
            equal, words = _differences(recorded, files, digests)
        except StoreError as error:
            equal, words = False, (f"{made[:8]}… rebuilt; {error}",)
        return OutProof(out.path, EQUAL if equal else DIFFERENT, out.md5, made, words)

    def _recorded(self, stage: Stage, out: Out) -> Recorded:
        if out.path in stage.uncached:
            return self._in_git(out)
        listing = self.originals.listing(out) if out.folder else {"": out.md5}
        return Recorded(listing, lambda name: self.originals.file(listing[name]))

    def _in_git(self, out: Out) -> Recorded:
        blobs = self.git.files(self.lock.commit, out.path)
        if not blobs:
            raise StoreError(
                f"{out.path} is not in commit {self.lock.commit[:8]}; `git add {out.path}` where it was made"
            )
        place = self.scratch / out.path
        files = {}
        for path, content in zip(blobs, self.git.contents(list(blobs.values())), strict=True):
            file = self.scratch / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content or b"")
            files[file.relative_to(place).as_posix() if file != place else ""] = file
        return Recorded({name: digest.of_file(path) for name, path in files.items()}, files.__getitem__)


def _pickles_follow(outs: list[OutProof]) -> Iterator[OutProof]:
    """A pickle of other bytes says nothing of its own where the model beside it differs too, but only within 1e-6."""
    others = worst(out.verdict for out in outs if not out.path.endswith(OPAQUE))
    for out in outs:
        follows = out.path.endswith(OPAQUE) and out.rebuilt is not None and others == EQUAL
        yield replace(out, verdict=EQUAL) if follows and out.verdict == DIFFERENT else out


def _miscounted(out: Out, files: Mapping[str, Path]) -> tuple[str, ...]:
    """What dvc.lock says of an output's size that its own files do not: no run wrote that."""
    size = sum(path.stat().st_size for path in files.values())
    wrong = []
    if out.size != size:
        wrong.append(f"dvc.lock says {out.size:,} bytes, they are {size:,}")
    if out.nfiles is not None and out.nfiles != len(files):
        wrong.append(f"dvc.lock says {out.nfiles:,} files, they are {len(files):,}")
    return tuple(wrong)


def _differences(
    recorded: Recorded, files: Mapping[str, Path], digests: Mapping[str, str]
) -> tuple[bool, tuple[str, ...]]:
    """Whether files of other bytes are equal within the tolerance, and how they differ, a line each."""
    equal = True
    lines: list[str] = []
    for name in sorted({**recorded.listing, **files}, key=tellingness):
        if recorded.listing.get(name) == digests.get(name):
            continue
        if name not in files or name not in recorded.listing:
            where = "recorded" if name in recorded.listing else "rebuilt"
            found = Found(False, (f"only in what was {where}",))
        else:
            found = compare(recorded.file(name), files[name], name, files.get("encoder.json"))
        equal = equal and found.equal
        lines += [f"{name}: {line}" if name else line for line in found.words]
    if not lines:
        # dvc.lock's digest of the folder belongs to other files than those that Git holds.
        return False, ("made again as Git holds it, but dvc.lock recorded another digest",)
    more = len(lines) - SHOWN
    return equal, (*lines[:SHOWN], f"and {more} more") if more > 0 else tuple(lines)
