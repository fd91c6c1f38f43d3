"""What the tags mean together: which version each stage serves, now or at any time in the past.

Rules, where GTO's reading and DVC's differ from what people mean (docs/registry.md tells why):

- A stage's tags are replayed by their counter, then the tagger's time, then the name. A clock decides nothing that a
  counter has decided.
- Taking the serving version away brings back the one before it. What was assigned again counts from then.
- An archived version serves nowhere, from its archiving on, for good.
- When each tag took effect: as few taggers' clocks as possible are taken to be wrong (the longest run of tags whose
  times do not fall keeps its times); a tag with a wrong clock took effect with the one before it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

from mlops.registry.tags import ARCHIVE, ASSIGN, DEPRECATE, REGISTER, Tag, order

MOST_WARNINGS = 5


class Version(NamedTuple):
    """A registered version. archived: since when, None while it may serve."""

    name: str
    commit: str
    tag: str
    at: datetime
    archived: datetime | None = None


class Assignment(NamedTuple):
    """What a stage serves. version: its name, or g and the start of the commit's hash where none is registered there.

    at: when the stage began to serve it; tag, object: the assignment that did it.
    """

    stage: str
    version: str
    commit: str
    tag: str
    object: str
    at: datetime


class Event(NamedTuple):
    """One tag's effect, in the order that counts. changes: stage → what it serves from then on, None for nothing."""

    tag: Tag
    moment: int
    changes: Mapping[str, Assignment | None]

    @property
    def at(self) -> datetime:
        """When it took effect."""
        return _moment(self.moment)


@dataclass(frozen=True)
class Picture:
    """Everything that the tags say: stages that serve something, all events in the order that counts.

    registered: makes the versions. Of ten thousand that takes a while, and most questions are about stages.
    """

    stages: Mapping[str, Assignment]
    registered: Callable[[], Mapping[str, Version]] = dict
    events: Sequence[Event] = ()
    warnings: Sequence[str] = ()

    @cached_property
    def versions(self) -> Mapping[str, Version]:
        """Registered versions by name, the highest first."""
        return self.registered()

    def version_at(self, commit: str) -> str:
        """The version of a commit: the highest that may serve, else the highest; g1a2b3c4d5e6f where there is none."""
        here = [v for v in self.versions.values() if v.commit == commit]
        return next((v.name for v in here if v.archived is None), here[0].name if here else unregistered(commit))


def unregistered(commit: str) -> str:
    """What a commit is called that was assigned without a version."""
    return f"g{commit[:12]}"


def resolve(tags: Iterable[Tag], until: datetime | None = None, ignored: Collection[str] = ()) -> Picture:
    """Replay tags.

    Args:
        tags: those of one model, in any order.
        until: leave out what took effect later.
        ignored: objects of tags that are not followed (not signed, not judged).
    """
    timed, wrong = _timed([tag for tag in tags if tag.object not in ignored])
    # Names do not wait for their time: the clock of a registration must not rename what was assigned under it.
    replay = _Replay([tag for tag, _ in timed if tag.kind == REGISTER])
    limit = None if until is None else until.timestamp()
    events = [replay.take(tag, at) for tag, at in timed if limit is None or at <= limit]
    return Picture(replay.stages, replay.versions, events, wrong)


def _timed(tags: Sequence[Tag]) -> tuple[list[tuple[Tag, int]], list[str]]:
    """Tags in the order that counts, with the time at which each took effect; and which clocks were wrong."""
    counted = sorted((t for t in tags if t.counter is not None), key=lambda t: (t.counter, t.at, t.name))
    now = int(datetime.now(UTC).timestamp())
    right = _rising([t.at for t in counted], now)
    timed, warnings, last = [], [], None
    first = next((t.at for t, ok in zip(counted, right, strict=True) if ok), None)
    for tag, ok in zip(counted, right, strict=True):
        last = tag.at if ok else last if last is not None else min(first, now) if first is not None else now
        timed.append((tag, last))
        if not ok:
            shown = f"{tag.when:%Y-%m-%d %H:%M:%S} UTC"
            warnings.append(f"tag {tag.name} is dated {shown}, against the order of the counters: its counter decides")
    if len(warnings) > MOST_WARNINGS:
        warnings[MOST_WARNINGS:] = [
            f"{len(warnings) - MOST_WARNINGS} more tags are dated against the order of counters"
        ]
    timed += sorted(((t, t.at) for t in tags if t.counter is None), key=lambda pair: (pair[1], pair[0].name))
    # Stable: in one second versions are registered first, then the counted tags follow in their order.
    return sorted(timed, key=lambda pair: (pair[1], pair[0].kind != REGISTER)), warnings


def _rising(times: Sequence[int], now: int) -> list[bool]:
    """Which of the times belong to the longest run that never falls and does not reach beyond now."""
    ends: list[int] = []  # ends[k]: the smallest last time of a run of k + 1
    at: list[int] = []  # at[k]: where that last time stands
    before = [-1] * len(times)
    for place, time in enumerate(times):
        if time > now + 86_400:  # a clock of tomorrow may be another machine's; beyond that it is a mistake
            continue
        length = bisect_right(ends, time)
        before[place] = at[length - 1] if length else -1
        ends[length:length + 1], at[length:length + 1] = [time], [place]  # fmt: skip
    kept = [False] * len(times)
    place = at[-1] if at else -1
    while place >= 0:
        kept[place] = True
        place = before[place]
    return kept


class _Replay:
    """stages: what each serves by now. Of the assignments that were not taken away, the last is what may serve."""

    def __init__(self, registrations: Sequence[Tag]) -> None:
        self.stages: dict[str, Assignment] = {}
        self._stacks: dict[str, dict[str, tuple[Tag, int]]] = {}  # with how many versions there were then
        self._registered: dict[str, tuple[Tag, int]] = {}
        self._place: dict[str, int] = {}
        self._archived: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}  # of each commit, the highest first
        for tag in registrations:
            if tag.version not in self._place:
                self._place[str(tag.version)] = len(self._place)
                self._names.setdefault(tag.commit, []).append(str(tag.version))
        for names in self._names.values():
            if len(names) > 1:
                names.sort(key=order, reverse=True)

    def take(self, tag: Tag, at: int) -> Event:
        """Follow one tag."""
        if tag.kind == REGISTER:
            self._registered.setdefault(str(tag.version), (tag, at))
            return Event(tag, at, {})
        if tag.kind in (ARCHIVE, DEPRECATE):
            self._archive(tag, at)
            touched = list(self._stacks)
            return Event(tag, at, {stage: self.stages.get(stage) for stage in touched if self._changed(stage, at)})
        stage = str(tag.stage)
        stack = self._stacks.setdefault(stage, {})
        stack.pop(tag.commit, None)
        if tag.kind == ASSIGN:
            stack[tag.commit] = (tag, len(self._registered))
        return Event(tag, at, {stage: self.stages.get(stage)} if self._changed(stage, at) else {})

    def _archive(self, tag: Tag, at: int) -> None:
        if tag.kind == DEPRECATE:
            for stack in self._stacks.values():
                stack.clear()
        for name in list(self._registered) if tag.kind == DEPRECATE else [str(tag.version)]:
            self._archived.setdefault(name, at)  # also one that a wrong clock put before its registration

    def _changed(self, stage: str, at: int) -> bool:
        """Look again what a stage serves; whether that is another assignment than before."""
        before, now = self.stages.pop(stage, None), None
        for commit, (tag, known) in reversed(self._stacks[stage].items()):
            name = self._name(commit, known)
            if name is not None:
                now = Assignment(stage, name, commit, tag.name, tag.object, _moment(at))
                break
        if now is not None and before is not None and now.object == before.object:
            now = now._replace(at=before.at)
        if now is not None:
            self.stages[stage] = now
        return now != before

    def _name(self, commit: str, known: int) -> str | None:
        """What a commit may serve as; None when all its versions are archived.

        The highest version that there was when it was assigned: one that is registered later renames nothing that ran.
        known: how many versions there were.
        """
        names = self._names.get(commit)
        if names is None:
            return unregistered(commit)
        alive = [name for name in names if name not in self._archived]
        return next((name for name in alive if self._place[name] < known), alive[0] if alive else None)

    def versions(self) -> dict[str, Version]:
        """Registered versions by name, the highest first."""
        gone = {name: _moment(at) for name, at in self._archived.items()}
        return {
            name: Version(name, tag.commit, tag.name, _moment(at), gone.get(name))
            for name, (tag, at) in sorted(self._registered.items(), key=lambda item: order(item[0]), reverse=True)
        }


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
