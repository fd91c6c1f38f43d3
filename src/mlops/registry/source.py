"""Where `mlops sync` reads tags and models: this clone, or another repository by its address, which needs no clone."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mlops import git as repository
from mlops import policy as policies
from mlops.errors import GitError, RegistryError
from mlops.git import Git, reason
from mlops.policy import Policy
from mlops.registry import shelf
from mlops.registry.look import Registry
from mlops.registry.remote import TAGS, Remote
from mlops.store import objects
from mlops.store.objects import Store

MIRROR = ".registry.git"
SHA1 = 40
"""Digits of an object's hash in a repository that DVC, and so this, can follow."""


@dataclass(frozen=True)
class Source:
    """Tags, and the bytes that they name.

    git: the clone, or a bare repository (the mirror) that holds nothing but the tagged commits of `url`, and is made
    when it is needed. rules: the folder whose policy.yaml holds. url: None for the clone itself. beside: the working
    tree at `url`, where that is on this machine.
    """

    git: Git
    rules: Path
    url: str | None = None
    beside: Path | None = None

    @property
    def policy(self) -> Policy:
        """The policy as it is now; another folder's file of signers is found from here too."""
        found = policies.load(self.rules / policies.PATH)
        signers = found.registry.allowed_signers
        if signers is None:
            return found
        rules = found.registry.model_copy(update={"allowed_signers": str((self.rules / signers).absolute())})
        return found.model_copy(update={"registry": rules})

    def poll(self) -> bytes:
        """What changes when the tags do, or the rules by which they are read: what one `git ls-remote` prints, the tags
        that are only here, the policy and the file of signers.

        Raises:
            RegistryError: another repository cannot be reached. Where it is this clone's remote, that is no error.
            PolicyError: policy.yaml is not valid.
        """
        policy = self.policy
        rules = policy.model_dump_json().encode() + self._signers(policy)
        if self.url is not None:
            return rules + self._listed(self.url)
        here = rules + self.git.raw("for-each-ref", "--format=%(objectname) %(refname)", *self._patterns(policy))
        remote = policy.registry.remote
        if remote is None or self.git.config(f"remote.{remote}.url") is None:
            return here
        try:
            return self._listed(remote) + here
        except RegistryError:
            return here

    def _signers(self, policy: Policy) -> bytes:
        name = policy.registry.allowed_signers
        try:
            return b"" if name is None else (self.rules / name).read_bytes()
        except OSError:  # refresh says so
            return b""

    def refresh(self) -> tuple[Registry, list[str]]:
        """Fetch what is new, and read the tags. Returns with them what a person should know, a line each.

        Raises:
            RegistryError: a tag is another one here than there, or another repository cannot be reached.
            GitError: Git refused, also with a mirror that was made anew.
        """
        if self.url is not None:
            return self._mirror(self.url)
        policy = self.policy
        remote = Remote(self.git, policy.registry.remote, policy.registry.name)
        try:
            seen = remote.look()
        except RegistryError:
            try:
                self._listed(remote.name)
            except RegistryError as away:
                notes = [f"{str(away).partition(';')[0]}; this is what the tags of this clone say"]
            else:
                raise
        else:
            # What has not arrived may still be on its way: a command of this clone may be publishing it just now.
            arrived = all(seen.tags.get(name) == found for name, found in remote.pending().items())
            notes = remote.repair(seen) if arrived else []
        return Registry(self.git, policy), notes

    def store(self, commit: str, folder: Path) -> Store:
        """Where the bytes of a commit are to be had; another repository's are kept in `folder`."""
        if self.url is None:
            return Store(self.git.folder)
        return objects.elsewhere(self.git.read(commit, ".dvc/config"), folder, self.beside)

    def _patterns(self, policy: Policy) -> tuple[str, str]:
        return f"{TAGS}{policy.registry.name}@*", f"{TAGS}{policy.registry.name}#*"

    def _listed(self, remote: str) -> bytes:
        words = ("ls-remote", "--refs", "--", remote, *self._patterns(self.policy))
        if self.url is None:
            done = self.git.attempt(*words)
        else:  # no repository of this machine is asked, so none can be broken
            done = Git(self.rules).attempt(*words, env={"GIT_DIR": str(self.git.folder / "none")})
        if done.returncode:
            raise RegistryError(
                f"{shown(remote)} cannot be reached ({reason(done.stderr)}); check the address and try again"
            )
        return done.stdout

    def _mirror(self, url: str) -> tuple[Registry, list[str]]:
        """Make the model's tags in the mirror those of `url`; of each commit only its files are fetched.

        A mirror that Git cannot use (a lock that somebody who was killed left behind, lost objects) is made anew.
        """
        name = self.policy.registry.name
        there, unreadable = _refs(self._listed(url), name)
        notes = [f"tag {tag} of {shown(url)} is ignored: its name is not UTF-8" for tag in unreadable]
        if any(len(found) != SHA1 for found in there.values()):
            raise RegistryError(
                f"{shown(url)} has SHA-256 objects (`git init --object-format`), which is not supported"
            )
        held = self._held()
        here = {} if held is None else _refs(held, name)[0]
        for ref, found in there.items():
            if here.get(ref, found) != found:
                raise RegistryError(
                    f"tag {ref.removeprefix(TAGS)} was {here[ref][:12]} and is {found[:12]} at {shown(url)}, but tags"
                    f" are never changed: find out who did that; to follow it all the same, remove {self.git.folder}"
                )
        gone = sorted(here.keys() - there.keys())
        notes += [f"tag {ref.removeprefix(TAGS)} is gone from {shown(url)}, where tags stay for good" for ref in gone]
        try:
            if held is None:
                raise GitError(f"{self.git.folder} is no repository")
            if gone:
                self.git.raw("update-ref", "--stdin", given="".join(f"delete {ref}\n" for ref in gone).encode())
            _fetch(self.git, url, there.keys() - here.keys())
            return self._read(), notes
        except GitError:
            notes += self._remake(url, there)
            return self._read(), notes

    def _held(self) -> bytes | None:
        """The refs of the mirror, a line "object ref" each; None where it is no repository of its own: a folder inside
        somebody's clone would be taken for that clone.
        """
        found = self.git.attempt("rev-parse", "--absolute-git-dir")
        own = Path(os.fsdecode(found.stdout.removesuffix(b"\n"))).resolve() == self.git.folder.resolve()
        if found.returncode or not own:
            return None
        listed = self.git.attempt("for-each-ref", "--format=%(objectname) %(refname)", TAGS)
        return None if listed.returncode else listed.stdout

    def _read(self) -> Registry:
        """The registry of the mirror.

        Raises:
            GitError: objects of a tag, or of a commit that serves, are lost.
        """
        registry = Registry(self.git, self.policy)
        commits = "".join(f"{a.commit}\n" for a in registry.picture.stages.values())
        if commits:
            self.git.raw("rev-list", "--objects", "--quiet", "--no-walk", "--stdin", given=commits.encode())
        return registry

    def _remake(self, url: str, there: Collection[str]) -> list[str]:
        """Replace the mirror by a new one, when that has everything. Returns a line on it, none for the first."""
        place = self.git.folder.absolute()
        with tempfile.TemporaryDirectory(prefix=shelf.TEMPORARY, dir=place.parent) as folder:
            fresh, old = Git(Path(folder) / "new"), Path(folder) / "old"
            Git(place.parent).raw("init", "--quiet", "--bare", "--object-format=sha1", "--", str(fresh.folder))
            try:
                _fetch(fresh, url, there)
            except GitError as error:
                raise RegistryError(f"{shown(url)}: tags could not be fetched ({error}); try again") from None
            if place.exists():
                place.rename(old)
            fresh.folder.rename(place)
            damaged = old.exists() and any(old.iterdir())
        return [f"{self.git.folder} was damaged and is made anew"] if damaged else []


def _fetch(git: Git, url: str, refs: Collection[str]) -> None:
    if refs:
        given = "".join(f"{ref}:{ref}\n" for ref in sorted(refs)).encode()
        words = ("--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--stdin", "--", url)
        git.raw("fetch", *words, given=given)


def here() -> Source:
    """The repository that the current folder is in.

    Raises:
        GitError: it is in none.
    """
    git = repository.here()
    return Source(git, git.folder)


def elsewhere(address: str, models: Path) -> Source:
    """Another repository: a path of this machine or a URL. What is fetched of it is kept in `models`.

    policy.yaml of the current folder holds, where there is one.
    """
    place = Path(address).expanduser()
    local = place.is_dir()
    url = str(place.absolute()) if local else address
    beside = place.absolute() if local and (place / ".dvc").is_dir() else None
    return Source(Git(models / MIRROR), Path.cwd(), url, beside)


def shown(url: str) -> str:
    """An address without its password."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1", url)


def _refs(listed: bytes, artifact: str) -> tuple[dict[str, str], list[str]]:
    """Ref → object of a model's tags, of lines "object ref"; and the names of those that are no UTF-8."""
    wanted = tuple(f"{TAGS}{artifact}{mark}".encode() for mark in "@#")
    refs, unreadable = {}, []
    for found, ref in (line.split(None, 1) for line in listed.split(b"\n") if line):
        if ref.startswith(wanted):
            try:
                refs[ref.decode()] = found.decode()
            except UnicodeDecodeError:
                unreadable.append(ref.decode("utf-8", "backslashreplace").removeprefix(TAGS))
    return refs, unreadable
