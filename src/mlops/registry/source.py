"""Where `mlops sync` reads tags and models: this clone, or another repository by its address, which needs no clone."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops import git as repository
from mlops import policy as policies
from mlops.errors import RegistryError
from mlops.git import Git, reason
from mlops.policy import Policy
from mlops.registry.look import Registry
from mlops.registry.remote import TAGS, Remote
from mlops.store import objects
from mlops.store.objects import Store

MIRROR = ".registry.git"


@dataclass(frozen=True)
class Source:
    """Tags, and the bytes that they name.

    git: the clone, or a bare repository that holds nothing but the tagged commits of `url`. rules: the folder whose
    policy.yaml holds. url: None for the clone itself. beside: the working tree at `url`, where that is on this machine.
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
        """What changes when the tags do: what one `git ls-remote` prints, and the tags that are only here.

        Raises:
            RegistryError: another repository cannot be reached. Where it is this clone's remote, that is no error.
        """
        if self.url is not None:
            return self._listed(self.url)
        policy = self.policy
        here = self.git.raw("for-each-ref", "--format=%(objectname) %(refname)", *self._patterns(policy))
        remote = policy.registry.remote
        if self.git.config(f"remote.{remote}.url") is None:
            return here
        try:
            return self._listed(remote) + here
        except RegistryError:
            return here

    def refresh(self) -> tuple[Registry, list[str]]:
        """Fetch what is new, and read the tags. Returns with them what a person should know, a line each.

        Raises:
            RegistryError: a tag is another one here than there, or another repository cannot be reached.
        """
        if self.url is not None:
            notes = self._mirror(self.url)
            return Registry(self.git, self.policy), notes
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
        done = self.git.attempt("ls-remote", "--refs", "--", remote, *self._patterns(self.policy))
        if done.returncode:
            raise RegistryError(
                f"{shown(remote)} cannot be reached ({reason(done.stderr)}); check the address and try again"
            )
        return done.stdout

    def _mirror(self, url: str) -> list[str]:
        """Make the tags of the bare repository those of `url`; of each commit only its files are fetched."""
        there = _refs(self._listed(url), "\t")
        here = _refs(self.git.raw("for-each-ref", "--format=%(objectname) %(refname)", TAGS), " ")
        for ref, found in there.items():
            if here.get(ref, found) != found:
                raise RegistryError(
                    f"tag {ref.removeprefix(TAGS)} was {here[ref][:12]} and is {found[:12]} at {shown(url)}, but tags"
                    f" are never changed: find out who did that; to follow it all the same, remove {self.git.folder}"
                )
        gone = here.keys() - there.keys()
        if gone:
            self.git.raw("update-ref", "--stdin", given="".join(f"delete {ref}\n" for ref in sorted(gone)).encode())
        wanted = there.keys() - here.keys()
        if wanted:
            given = "".join(f"{ref}:{ref}\n" for ref in sorted(wanted)).encode()
            words = ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--stdin", "--", url)
            done = self.git.attempt(*words, given=given)
            if done.returncode:
                raise RegistryError(f"{shown(url)}: tags could not be fetched ({reason(done.stderr)}); try again")
        return [
            f"tag {ref.removeprefix(TAGS)} is gone from {shown(url)}, where tags stay for good" for ref in sorted(gone)
        ]


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
    mirror = models / MIRROR
    if not mirror.is_dir():
        models.mkdir(parents=True, exist_ok=True)
        fresh = models / f"{MIRROR}.{os.getpid()}.new"
        Git(models).raw("init", "--quiet", "--bare", "--", fresh.name)
        os.replace(fresh, mirror)
    beside = place.absolute() if local and (place / ".dvc").is_dir() else None
    return Source(Git(mirror), Path.cwd(), url, beside)


def shown(url: str) -> str:
    """An address without its password."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1", url)


def _refs(listed: bytes, between: str) -> Mapping[str, str]:
    """Ref → object, of lines "object ref"."""
    return {ref: found for found, ref in (line.split(between, 1) for line in listed.decode().splitlines())}
