"""What Git runs to merge dvc.lock: three files in, the merged one out, and one line where a person has to know."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.errors import StoreError
from mlops.git import Git
from mlops.merge import document
from mlops.merge.document import DATASETS, STAGES, Item, Items, Lock
from mlops.merge.threeway import Merged, merge

MARKERS = 7
"""Length of Git's conflict markers. It is longer while Git merges several merge bases into one."""


@dataclass(frozen=True)
class Call:
    """One call by Git, in the working tree's top folder.

    base, ours, theirs: files with the three versions; base is empty where there is none. The result goes into `ours`.
    size: length of conflict markers. path: of the merged file, from the top.
    """

    base: Path
    ours: Path
    theirs: Path
    size: int
    path: str


def run(call: Call) -> int:
    """Merge. Returns 0, or 1 where a conflict is left for a person."""
    try:
        ours, theirs = (_parsed(place, call.path, side) for place, side in _sides(call))
    except StoreError as error:
        call.ours.write_bytes(_as_text(call, call.ours, call.base, call.theirs))
        _say(call, f"error: {error}; merged as text and left as a conflict: `git checkout --ours {call.path}` (or"
             " --theirs) takes one side, `dvc repro` mends it, `git add` ends it")  # fmt: skip
        return 1
    base = _base(call)
    merged = merge(base, ours.items, theirs.items, frozenset(_frozen(call.path)))
    if not merged.contested:
        _write(call.ours, document.render(merged.kept, ours, theirs))
        _say(call, *_told(call.path, merged))
        return 0
    call.ours.write_bytes(_with_markers(call, merged, ours, theirs))
    chosen = ", ".join(_named(item) for item in merged.contested)
    _say(call, *_told(call.path, merged), f"error: {call.path}: both sides changed {chosen}, which `dvc repro` does not"
         f" make again; choose between the conflict markers, then `git add {call.path}`")  # fmt: skip
    return 1


def _sides(call: Call) -> Iterator[tuple[Path, str]]:
    yield call.ours, "this side's"
    yield call.theirs, "the other side's"


def _parsed(place: Path, path: str, side: str) -> Lock:
    try:
        return document.parse(place.read_bytes())
    except StoreError as error:
        raise StoreError(f"{path}: {side} version {error}") from None


def _base(call: Call) -> Items | None:
    """What both come from. Of several merge bases Git makes one first, which may hold conflict markers: None."""
    try:
        return document.parse(call.base.read_bytes()).items
    except StoreError:
        return None


def _frozen(path: str) -> Iterator[str]:
    """Stages that the dvc.yaml beside says are frozen: this side's, and with `git merge` the other side's.

    Git has not merged the file yet. It names the other side in the environment, and only when it merges.
    """
    beside = Path(path).with_name("dvc.yaml")
    others = [name.removeprefix("GITHEAD_") for name in os.environ if name.startswith("GITHEAD_")]
    contents = Git(Path()).contents([f"{commit}:{beside.as_posix()}" for commit in others])
    if beside.is_file():
        contents.append(beside.read_bytes())
    for content in contents:
        stages = _mapping(_mapping(_loaded(content or b"")).get("stages"))
        for name, stage in stages.items():
            if _mapping(_mapping(stage).get("do", stage)).get("frozen") is True:
                yield str(name)


def _loaded(content: bytes) -> Any:
    try:
        return document.load(content)
    except StoreError:  # that dvc.yaml is broken, DVC says better
        return None


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _told(path: str, merged: Merged) -> Iterator[str]:
    for names, why in ((merged.remade, "both sides changed {}"), (merged.outdated, "the merge replaced what {} read")):
        if names:
            again = "them" if len(names) > 1 else "it"
            yield f"{path}: {why.format(', '.join(names))}; `dvc repro` makes {again} again"


def _say(call: Call, *lines: str) -> None:
    """On stderr, once: not for the merges of merge bases, whose results nobody sees."""
    if call.size <= MARKERS:
        print(*lines, sep="\n", end="\n" if lines else "", file=sys.stderr)


def _named(item: Item) -> str:
    kinds = {STAGES: "the frozen stage", DATASETS: "the data set"}
    return f"{kinds[item[0]]} {item[1]}" if len(item) > 1 else f"`{item[0]}`"


def _with_markers(call: Call, merged: Merged, ours: Lock, theirs: Lock) -> bytes:
    """The merged file with both versions of what is contested between markers, and of nothing else."""
    places = [call.ours.with_name(f"{call.ours.name}.{n}") for n in ("ours", "base", "theirs")]
    try:
        for place, side in zip(places, (ours.items, {}, theirs.items), strict=True):
            chosen = {item: side[item] for item in merged.contested if item in side}
            _write(place, document.render(merged.kept | chosen, ours, theirs))
        return _as_text(call, *places)
    finally:
        for place in places:
            place.unlink(missing_ok=True)


def _as_text(call: Call, ours: Path, base: Path, theirs: Path) -> bytes:
    words = ["merge-file", "-p", f"--marker-size={call.size}", "-L", "this side", "-L", "base", "-L", "the other side"]
    # The exit code is the number of conflicts. What is no text Git leaves alone, and so do we.
    done = Git(Path()).attempt(*words, "--", *map(os.fspath, (ours, base, theirs)))
    return done.stdout or ours.read_bytes()


def _write(place: Path, text: str) -> None:
    place.write_bytes(text.encode("utf-8"))
