"""The registry as one command sees it: a repository, its policy, its tags, and what names mean in it."""

from __future__ import annotations

import functools
import gc
import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mlops import git as repository
from mlops import policy as policies
from mlops.errors import GitError, RegistryError, nearest
from mlops.git import Git
from mlops.policy import Policy
from mlops.registry import facts, signing, tags
from mlops.registry.facts import Facts
from mlops.registry.resolve import MOST_WARNINGS, Picture, Version, resolve
from mlops.registry.tags import ASSIGN

EXPERIMENTS = "refs/exps/"
_EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/(?P<name>.+)")


class Named(NamedTuple):
    """A commit and what it was asked for as: a version, an experiment's name, or the start of its hash."""

    commit: str
    name: str
    experiment: str | None = None


class Registry:
    """Tags of one model, read once, and again after `refresh`.

    Args:
        git: the repository.
        policy: whose name, stages and rules hold.

    taken: versions that some tag registered or archived, whether it is followed or not.
    """

    def __init__(self, git: Git, policy: Policy) -> None:
        self.git, self.policy = git, policy
        self.name = policy.registry.name
        self.refresh()

    def refresh(self) -> None:
        """Read the tags again."""
        with _uncollected():
            self.tags, self._refused, self._counter, self.taken = tags.read(self.git, self.name)
            self.ignored, said = self._ignored()
            self._refused = [*self._refused, *said]
            self.picture = resolve(self.tags, ignored=self.ignored)

    @property
    def warnings(self) -> list[str]:
        """What a person should know about the tags, a line each."""
        stages = {t.stage for t in self.tags if t.stage is not None}
        unknown = [
            f"tags name a stage {s!r} that policy.yaml does not{nearest(s, self.policy.registry.stages)}"
            for s in sorted(stages - set(self.policy.registry.stages))
        ]
        return [*self._refused, *self.picture.warnings, *unknown]

    def warn(self) -> None:
        """Print the warnings on stderr."""
        for line in self.warnings:
            print(f"warning: {line}", file=sys.stderr)

    def next_counter(self) -> int:
        """The number of the next assignment."""
        return self._counter + 1

    def at(self, until: datetime) -> Picture:
        """The picture at a time in the past."""
        return resolve(self.tags, until, self.ignored)

    def _ignored(self) -> tuple[Collection[str], list[str]]:
        """Objects of the tags that policy.yaml forbids to follow, and a line on each."""
        rules = self.policy.registry
        ignored: dict[str, str] = {}
        if rules.allowed_signers is not None:
            signers = Path(self.git.folder) / rules.allowed_signers
            bad = signing.untrusted(self.git, [t.object for t in self.tags], signers)
            ignored |= {o: f"is not signed by a key of {rules.allowed_signers}: {why}" for o, why in bad.items()}
        if rules.require_verdict:
            left = [t for t in self.tags if t.kind == ASSIGN and t.object not in ignored]
            for tag, said in zip(left, facts.of(self.git, [t.object for t in left]), strict=True):
                if facts.verdict(said) == "ungated":
                    ignored[tag.object] = "has no verdict of the gate, which registry.require_verdict asks for"
        named = {t.object: t.name for t in self.tags}
        lines = [f"tag {named[o]} is NOT followed: it {why}" for o, why in ignored.items()]
        if len(lines) > MOST_WARNINGS:
            lines[MOST_WARNINGS:] = [f"{len(lines) - MOST_WARNINGS} more tags are not followed"]
        return ignored.keys(), lines

    def facts(self, tag_object: str) -> Facts:
        """The facts of one tag."""
        return facts.of(self.git, [tag_object])[0]

    def version(self, name: str) -> Version:
        """A registered version.

        Raises:
            RegistryError: there is none of this name.
        """
        wanted = name if name.startswith("v") else f"v{name}"
        found = self.picture.versions.get(wanted)
        if found is None:
            known = list(self.picture.versions)
            hint = nearest(wanted, known) or (f"; there are {', '.join(known[:5])}" if known else "")
            raise RegistryError(f"there is no version {name!r}{hint or '; `mlops promote` makes the first'}")
        return found

    @functools.cached_property
    def experiments(self) -> dict[str, list[str]]:
        """Name → commits of DVC's experiments, also those whose branch is gone; the newest first."""
        listed = self.git.text(
            "for-each-ref", "--sort=-committerdate", "--format=%(objectname) %(refname)", EXPERIMENTS
        )
        found: dict[str, list[str]] = {}
        for line in filter(None, listed.split("\n")):
            commit, _, ref = line.partition(" ")
            if fields := _EXPERIMENT.fullmatch(ref):
                found.setdefault(fields["name"], []).append(commit)
        return found

    def named(self, name: str) -> Named:
        """What a person means by a name: a version, a tag, a stage, an experiment, or any revision of Git's.

        Raises:
            RegistryError: none of them; the nearest is named.
        """
        picture = self.picture
        version = picture.versions.get(name if name.startswith("v") else f"v{name}")
        if version is not None:
            return Named(version.commit, version.name)
        if name in picture.stages:
            return Named(picture.stages[name].commit, picture.stages[name].version)
        if name in self.experiments:
            commits = self.experiments[name]
            own = self._of_head(name)
            if own is not None:
                commits = [own]
            if len(commits) > 1:
                listed = ", ".join(c[:8] for c in commits)
                raise RegistryError(
                    f"{len(commits)} experiments are called {name!r}: {listed}; give one of these hashes"
                )
            return Named(commits[0], name, name)
        try:
            commit = self.git.commit(name)
        except GitError:
            raise self._unknown(name) from None
        experiment = next((e for e, commits in self.experiments.items() if commit in commits), None)
        return Named(commit, self._called(commit, experiment), experiment)

    def _of_head(self, name: str) -> str | None:
        """The experiment of that name whose baseline is HEAD: of several it is meant, as for DVC."""
        head = self.git.commit("HEAD")
        found = self.git.attempt("rev-parse", "--verify", "--quiet", f"{EXPERIMENTS}{head[:2]}/{head[2:]}/{name}")
        return found.stdout.decode().strip() if found.returncode == 0 else None

    def _called(self, commit: str, experiment: str | None) -> str:
        version = self.picture.version_at(commit)
        return version if version in self.picture.versions else experiment or commit[:8]

    def _unknown(self, name: str) -> RegistryError:
        branches = self.git.text("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags").split("\n")
        known = [*self.picture.versions, *self.picture.stages, *self.experiments, *branches]
        return RegistryError(
            f"{name!r} is no version, experiment, stage or commit{nearest(name, known)}; see `mlops history` and"
            " `dvc exp list --all-commits`"
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector: ten thousand tags are as many tuples, all of them needed, and looking through them
    again and again takes a quarter of the time.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def here() -> Registry:
    """The registry of the repository that the current folder is in."""
    git = repository.here()
    if git.attempt("rev-parse", "--verify", "--quiet", "HEAD").returncode:
        raise RegistryError(f"{git.folder} has no commit yet: nothing can be promoted; `git commit` first")
    return Registry(git, policies.load(git.folder / policies.PATH))
