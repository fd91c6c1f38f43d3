"""Runs whose process is gone before they were filed: finished from their journals, or discarded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.errors import ExperimentError, nearest
from mlops.experiments import board, filing, journal
from mlops.experiments.journal import Journal
from mlops.git import Git
from mlops.store import settings


@dataclass(frozen=True)
class Left:
    """A run that was left. ended: whether its block came to an end, and only filing it failed.

    Of one whose run.json cannot be read nothing is known but the folder.
    """

    folder: Path
    name: str
    started: str
    ended: bool
    metrics: int
    has_model: bool

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "run": self.folder.name,
            "name": self.name,
            "started": self.started,
            "ended": self.ended,
            "metrics": self.metrics,
            "model": self.has_model,
        }


def left(git: Git) -> list[Left]:
    """The runs that nobody works on any more, the oldest first."""
    return [_of(folder) for folder in journal.left(git.folder)]


def _of(folder: Path) -> Left:
    try:
        facts, events = journal.facts(folder), list(journal.events(folder))
    except (ExperimentError, OSError):
        return Left(folder, folder.name, "unknown", False, 0, False)
    kinds = {event["kind"] for event in events}
    metrics = {name for event in events if event["kind"] == "metrics" for name in event["values"]}
    return Left(folder, facts["name"], facts["started"], "end" in kinds, len(metrics), "model" in kinds)


def choose(git: Git, wanted: list[str]) -> list[Left]:
    """The runs that are asked for, by what they are called here or by name; all without any.

    Raises:
        ExperimentError: there is none of that name; the nearest is named.
    """
    there = left(git)
    if not wanted:
        return there
    chosen = []
    for name in wanted:
        found = [run for run in there if name in (run.folder.name, run.name)]
        if not found:
            known = [n for run in there for n in (run.name, run.folder.name)]
            hint = nearest(name, known) or "; `mlops experiments recover` lists those that were"
            raise ExperimentError(f"no run {name!r} was left{hint}")
        chosen += found
    return list(dict.fromkeys(chosen))


def finish(git: Git, run: Left, name: str | None = None) -> str:
    """File a run as the experiment that it would have been; its name. What it had not logged it does not have.

    Args:
        git: the repository.
        run: which.
        name: of the experiment; the run's own unless told.

    Raises:
        ExperimentError: its process is still there, or the name is none that Git takes.
        GitError: it could not be written; the run stays.
    """
    from mlops.experiments import finish as work

    taken = Journal.resume(run.folder)
    try:
        if filed := _filed(git, journal.facts(run.folder)):
            taken.remove()
            return filed
        if not run.ended:
            taken.add("end", state="finished", recovered=True)
        return work.file(git, taken, settings.of(git.folder).cache, name, late=True).name
    finally:
        taken.close()


def _filed(git: Git, facts: dict[str, Any]) -> str | None:
    """The experiment that a run already is, where its process was killed before it could remove the folder."""
    place = filing.place(facts["base"], "")
    listed = git.text("for-each-ref", "--format=%(refname)", place).split("\n")
    refs = [ref for ref in listed if ref]
    there = zip(refs, board.facts(git, refs), strict=True)
    return next((ref.removeprefix(place) for ref, held in there if held.record.get("id") == facts["id"]), None)


def discard(run: Left) -> None:
    """Remove a run for good."""
    Journal.resume(run.folder).remove()
