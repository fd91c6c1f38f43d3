"""Which entries of two dvc.lock files are true of what was merged.

An entry is a record: this command read these digests and these parameters, and wrote those digests. Entries are taken
whole or not at all, so each stays the record of a run that took place; `dvc repro` compares it with the merged files,
and runs the stage where they differ. An entry with lines of two runs would be the record of none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlops.merge.document import STAGES, Item, Items

_NOTHING = object()


@dataclass(frozen=True)
class Merged:
    """What comes of a merge.

    kept: what was taken, in this side's order, what only the other side has at the end. remade: stages that both sides
    changed, dropped so that they are made again. outdated: stages dropped because they read what their upstream stage
    did not write in the merge. contested: what both sides changed and no run makes again; a person has to choose.
    """

    kept: Items
    remade: tuple[str, ...]
    outdated: tuple[str, ...]
    contested: tuple[Item, ...]


def merge(base: Items | None, ours: Items, theirs: Items, frozen: Collection[str] = ()) -> Merged:
    """Merge item by item.

    Args:
        base: what both sides come from; None where it cannot be read. Only what both sides have alike is sure then.
        ours: this side.
        theirs: the other side.
        frozen: stages (or the templates they come from) that DVC does not run. A dropped one would get the outputs that
            happen to lie there filed under inputs that they were not made from.
    """
    kept: Items = {}
    remade, contested = [], []
    for item in [*ours, *(item for item in theirs if item not in ours)]:
        # A base that cannot be read is like neither side.
        before = object() if base is None else base.get(item, _NOTHING)
        sure, value = _taken(before, ours.get(item, _NOTHING), theirs.get(item, _NOTHING))
        if not sure and item[0] == STAGES and not _among(item, frozen):
            remade.append(item[1])
        elif not sure:
            contested.append(item)
        elif value is not _NOTHING:
            kept[item] = value
    outdated = [item for item in _outdated(kept, ours, theirs) if not _among(item, frozen)]
    for item in outdated:
        del kept[item]
    return Merged(kept, tuple(remade), tuple(item[1] for item in outdated), tuple(contested))


def _taken(base: object, ours: object, theirs: object) -> tuple[bool, Any]:
    """Whether it is sure what to take, and what; `_NOTHING` for an entry that is to be gone."""
    if ours in (theirs, base):
        return True, theirs
    return theirs == base, ours


def _among(item: Item, frozen: Collection[str]) -> bool:
    return item[0] == STAGES and (item[1] in frozen or item[1].partition("@")[0] in frozen)


def _outdated(kept: Items, ours: Items, theirs: Items) -> Iterator[Item]:
    """Stages that read another digest than their upstream stage wrote, where that is so only since the merge.

    DVC would run them; but until it does, who takes their outputs by the lock would take what nothing here makes. What
    was so on the side that the entry comes from is left as it is: a stage that was not run again, or is frozen.
    """
    written = _written(kept)
    sides = [(side, _written(side)) for side in (ours, theirs)]
    for item, entry in kept.items():
        if item[0] != STAGES:
            continue
        for dep in entry.get("deps") or ():
            before = [_differs(dep, outs) for side, outs in sides if side.get(item) == entry]
            if _differs(dep, written) and not any(before):
                yield item
                break


def _written(items: Items) -> dict[str, list[Mapping[str, Any]]]:
    """Path → the outputs at that path. Stages with folders of their own (`wdir`) may share one."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for item, entry in items.items():
        for out in (entry.get("outs") or ()) if item[0] == STAGES else ():
            found.setdefault(str(out["path"]), []).append(out)
    return found


def _differs(dep: Mapping[str, Any], written: Mapping[str, list[Mapping[str, Any]]]) -> bool:
    """Whether stages write at the dependency's path, and none of them what was read; of one kind of digest."""
    outs = written.get(str(dep["path"]), [])
    known = "md5" in dep and all("md5" in out and out.get("hash") == dep.get("hash") for out in outs)
    return known and bool(outs) and all(out["md5"] != dep["md5"] for out in outs)
