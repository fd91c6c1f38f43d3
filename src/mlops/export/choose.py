"""What is exported: every experiment, the commits that versions name, and main's newest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mlops.experiments import board
from mlops.experiments.board import Experiment
from mlops.git import Git
from mlops.registry.look import Registry

EXPERIMENT, VERSION, BRANCH = "experiment", "version", "branch"
MAIN = ("main", "origin/main", "HEAD")
METRICS = "metrics/evaluate/metrics.json"


@dataclass(frozen=True, slots=True)
class Subject:
    """A commit that is exported.

    Args:
        kind: experiment, version (no experiment's, but registered) or branch.
        name: an experiment's own, a version's, or a branch's with the beginning of the hash.
        commit: its full hash.
        parent: the commit that it is a variation of; None for the first of all.
        at: when it was made; author: by whom.
        metrics, params: as `mlops compare` has them.
        note: of the experiment, or the title of the commit.
        error: why it failed; None where it did not.
    """

    kind: str
    name: str
    commit: str
    parent: str | None
    at: datetime
    author: str
    metrics: Mapping[str, float]
    params: Mapping[str, Any]
    note: str | None
    error: str | None


class _Logged(NamedTuple):
    parent: str | None
    at: datetime
    author: str
    title: str


def subjects(registry: Registry, since: datetime | None = None, *, history: bool = False) -> list[Subject]:
    """What there is to export, the oldest first.

    Args:
        registry: of this repository.
        since: leave out experiments that were saved before; versions and main are always there.
        history: also the commits of main that changed the metrics.
    """
    git = registry.git
    experiments = {e.commit: e for e in board.read(git) if since is None or e.at >= since}
    others = {commit: named for commit, named in _others(registry, history).items() if commit not in experiments}
    logged = _log(git, [*experiments, *others])
    others = {commit: named for commit, named in others.items() if commit in logged}
    made = [_of_experiment(e, logged[e.commit].author) for e in experiments.values()]
    for (commit, (kind, name)), facts in zip(others.items(), board.facts(git, list(others)), strict=True):
        parent, at, author, title = logged[commit]
        made.append(Subject(kind, name, commit, parent, at, author, facts.metrics, facts.params, title, None))
    return sorted(made, key=lambda subject: (subject.at, subject.commit))


def _of_experiment(e: Experiment, author: str) -> Subject:
    error = (e.error or "it failed") if e.state == board.FAILED else None
    return Subject(EXPERIMENT, e.name, e.commit, e.baseline, e.at, author, e.metrics, e.params, e.note, error)


def _others(registry: Registry, history: bool) -> dict[str, tuple[str, str]]:
    """Commit → kind and name, of versions and of main."""
    git, found = registry.git, dict[str, tuple[str, str]]()
    for commit, name in versions(registry).values():
        found.setdefault(commit, (VERSION, name))
    name, head = _main(git)
    listed = [head]
    if history:
        listed += git.text("log", "--first-parent", "--format=%H", head, "--", METRICS).split()
    for commit in listed:
        found.setdefault(commit, (BRANCH, f"{name} {commit[:8]}"))
    return found


def versions(registry: Registry) -> dict[str, tuple[str, str]]:
    """Name → commit and name of all versions, the oldest first, and of what stages serve without being registered."""
    picture = registry.picture
    found = {v.name: (v.commit, v.name) for v in sorted(picture.versions.values(), key=lambda v: (v.at, v.name))}
    for assignment in picture.stages.values():
        found.setdefault(assignment.version, (assignment.commit, assignment.version))
    return found


def _main(git: Git) -> tuple[str, str]:
    for name in MAIN:
        found = git.attempt("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        if found.returncode == 0:
            break
    return name, found.stdout.decode().strip()


def _log(git: Git, commits: Sequence[str]) -> dict[str, _Logged]:
    """What Git says of commits; those that a shallow clone lacks are left out."""
    given = "".join(f"{commit}\n" for commit in commits).encode()
    words = ("log", "--no-walk=unsorted", "--ignore-missing", "--format=%H%x00%P%x00%ct%x00%an%x00%s", "--stdin")
    return dict(_entries(git.text(*words, given=given).split("\n"))) if commits else {}


def _entries(lines: Iterable[str]) -> Iterable[tuple[str, _Logged]]:
    for line in filter(None, lines):
        commit, parents, at, author, title = line.split("\0")
        parent = parents.partition(" ")[0] or None
        yield commit, _Logged(parent, datetime.fromtimestamp(int(at), UTC), author, title)
