"""What the shared repository says of the registry, and how new tags get there: all of them or none.

Tags alone cannot keep two people apart: `churn#prod#7` and `churn#staging#7` are different names, and both could land.
So one more ref, refs/mlops/sequence/churn, moves with every publication, and a push says from where: when somebody
else moved it meanwhile, the whole push is refused.

From its making until the shared repository has it, a tag lives under refs/mlops/pending/, and under refs/tags/ only
then. Whoever is cut off in between leaves nothing that this or another clone would take for a promotion; the next
command finds out whether it had arrived.
"""

from __future__ import annotations

import fcntl
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mlops.errors import GitError, RegistryError
from mlops.git import Git, reason

PENDING = "refs/mlops/pending/"
SEQUENCE = "refs/mlops/sequence/"
TAGS = "refs/tags/"


class TakenError(RegistryError):
    """Somebody else published first; nothing of ours was."""


@dataclass(frozen=True)
class Seen:
    """One look at the shared repository. tags: name → object; sequence: where the sequence ref stands, '' for nowhere.

    unpublished: names of tags that are here and not there.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    sequence: str = ""
    unpublished: Sequence[str] = ()


class _Here(NamedTuple):
    """A tag of this clone."""

    object: str
    annotated: bool


class Remote:
    """The shared repository of a clone, or none: then tags are made here and that is all.

    Args:
        git: the clone.
        name: of the remote, such as origin; None for none.
        artifact: whose tags.
    """

    def __init__(self, git: Git, name: str | None, artifact: str) -> None:
        self.git, self.name, self.artifact = git, name or "", artifact
        self.there = name is not None and git.config(f"remote.{name}.url") is not None

    def look(self) -> Seen:
        """Ask the shared repository, and fetch what it has more.

        Raises:
            RegistryError: it cannot be reached, or a tag is another one there than here.
        """
        if not self.there:
            return Seen()
        listed = self._listed()
        sequence = listed.pop(SEQUENCE + self.artifact, "")
        there = {ref.removeprefix(TAGS): found for ref, found in listed.items()}
        here = self._here()
        for name, found in there.items():
            if name in here and here[name].object != found:
                raise RegistryError(
                    f"tag {name} is another one here than on {self.name}, where tags are never changed; take theirs:"
                    f" git fetch {self.name} '+{TAGS}{name}:{TAGS}{name}'"
                )
        wanted = [f"{TAGS}{name}:{TAGS}{name}" for name in there if name not in here]
        if wanted:
            given = "".join(f"{w}\n" for w in wanted).encode("utf-8", "surrogateescape")
            self._ask("fetch", "--quiet", "--no-tags", "--stdin", self.name, given=given)
        # A lightweight tag is followed by nobody: it stays here.
        return Seen(there, sequence, [n for n, tag in here.items() if n not in there and tag.annotated])

    def _listed(self) -> dict[str, str]:
        """Ref → object of the registry's refs there. Patterns of ls-remote match ends of names: others are left out."""
        starts = (f"{TAGS}{self.artifact}@", f"{TAGS}{self.artifact}#")
        exact = SEQUENCE + self.artifact
        said = self._ask("ls-remote", "--refs", self.name, *(f"{start}*" for start in starts), exact)
        lines = said.decode("utf-8", "surrogateescape").split("\n")
        refs = {ref: found for found, ref in (line.split("\t", 1) for line in lines if line)}
        return {ref: found for ref, found in refs.items() if ref.startswith(starts) or ref == exact}

    def _here(self) -> dict[str, _Here]:
        patterns = [f"{TAGS}{self.artifact}@*", f"{TAGS}{self.artifact}#*"]
        said = self.git.raw("for-each-ref", "--format=%(objecttype) %(objectname) %(refname:strip=2)", *patterns)
        lines = said.decode("utf-8", "surrogateescape").split("\n")
        parts = (line.split(" ", 2) for line in lines if line)
        return {name: _Here(own, kind == "tag") for kind, own, name in parts}

    def _ask(self, *words: str, given: bytes | None = None) -> bytes:
        done = self.git.attempt(*words, given=given)
        if done.returncode:
            raise RegistryError(
                f"{self.name} cannot be reached ({reason(done.stderr)}); nothing was changed: try again, or keep"
                " tags here with registry.remote: null in policy.yaml"
            )
        return done.stdout

    def make(self, tags: Mapping[str, tuple[str, str]]) -> dict[str, str]:
        """Make annotated tags, name → (commit, message), as pending ones; signed where Git's settings ask for it.

        `git tag` writes a ref beside the object that it makes. It does so in a repository of its own, which shares this
        one's objects and settings: here there is never a moment in which a pending tag would count.

        Returns:
            Name → the tag's object.
        """
        made: dict[str, str] = {}
        paths = [self.git.text("rev-parse", "--path-format=absolute", "--git-path", p) for p in ("objects", "config")]
        try:
            with tempfile.TemporaryDirectory(prefix="mlops-") as scratch:
                aside = Git(Path(scratch))
                aside.raw("init", "--quiet", "--bare", scratch)
                env = {"GIT_OBJECT_DIRECTORY": paths[0]}
                for name, (commit, message) in tags.items():
                    words = ("tag", "--annotate", "--cleanup=verbatim", "--file=-", name, commit)
                    aside.raw("-c", f"include.path={paths[1]}", *words, given=message.encode(), env=env)
                    made[name] = aside.text("rev-parse", f"{TAGS}{name}", env=env)
            self._move([f"create {PENDING}{name} {found}" for name, found in made.items()])
        except GitError as error:
            raise RegistryError(f"no tag was made: {error}; put that right and type it again") from error
        return made

    def publish(self, made: Mapping[str, str], seen: Seen) -> None:
        """Push pending tags, and unpublished ones with them, in one step; then they are tags here too.

        Raises:
            TakenError: somebody else was faster; the pending tags are gone again.
            RegistryError: the push failed, and whether it arrived is not known.
        """
        if self.there:
            last = list(made.values())[-1]
            sequence = SEQUENCE + self.artifact
            specs = [f"{found}:{TAGS}{name}" for name, found in made.items()]
            specs += [f"{TAGS}{name}:{TAGS}{name}" for name in seen.unpublished]
            lease = f"--force-with-lease={sequence}:{seen.sequence}"
            specs.append(f"{last}:{sequence}")
            done = self.git.attempt("push", "--quiet", "--porcelain", "--atomic", lease, self.name, *specs)
            if done.returncode:
                self._not_pushed(made, done.stdout + done.stderr)
        self._keep(made)

    def _not_pushed(self, made: Mapping[str, str], said: bytes) -> None:
        """Find out what a failed push did. Returns when it arrived all the same."""
        try:
            there = self._listed()
        except RegistryError:
            named = ", ".join(made)
            raise RegistryError(
                f"{self.name} was lost while {named} was being published ({reason(said)}); whether it arrived is not"
                " known: the next `mlops promote` or `mlops rollback` finds out, and finishes or withdraws it"
            ) from None
        if all(there.get(TAGS + name) == found for name, found in made.items()):
            return
        self._forget(made)
        declined = re.search(
            rb"declined|hidden ref|protected|not support --atomic|permission|denied", said, re.IGNORECASE
        )
        if not declined and re.search(rb"stale info|already exists|\[rejected\]|cannot lock ref|fetch first", said):
            raise TakenError(reason(said))
        raise RegistryError(
            f"{self.name} refused the tags ({reason(said)}); nothing was changed: push to where you may write"
            f" (`git remote set-url --push {self.name} URL`), or keep tags here: registry.remote: null in policy.yaml"
        )

    def pending(self) -> dict[str, str]:
        """Tags that were made and of which nobody knows yet whether they arrived: name → object."""
        lines = self.git.text("for-each-ref", "--format=%(objectname) %(refname)", PENDING).split("\n")
        return {ref.removeprefix(PENDING): found for found, ref in (line.split(" ", 1) for line in lines if line)}

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only command of this clone that makes, publishes or repairs tags."""
        place = Path(self.git.text("rev-parse", "--path-format=absolute", "--git-common-dir")) / "mlops.lock"
        with place.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def repair(self, seen: Seen) -> list[str]:
        """Finish or withdraw what was cut off. Returns a line on each tag."""
        said = []
        for name, found in self.pending().items():
            if seen.tags.get(name) == found:
                self._keep({name: found})
                said.append(f"{name} had been published before the connection was lost; it is recorded here now")
            else:
                self._forget({name: found})
                said.append(f"{name} was never published and is withdrawn; promote again if you still want it")
        said += [f"{name} was only in this clone; it is published with the next change" for name in seen.unpublished]
        return said

    def _keep(self, made: Mapping[str, str]) -> None:
        lines = []
        for name, found in made.items():
            lines += [f"update {TAGS}{name} {found}", f"delete {PENDING}{name}"]
        self._move(lines)

    def _forget(self, made: Mapping[str, str]) -> None:
        self._move([f"delete {PENDING}{name}" for name in made])

    def _move(self, lines: Sequence[str]) -> None:
        """Change several refs together."""
        self.git.raw("update-ref", "--stdin", given="".join(f"{line}\n" for line in lines).encode())
