"""Files and folders by digest: from DVC's cache, or from remote storage where the cache lacks them. Always verified."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath
from uuid import uuid4

from mlops.errors import StoreError
from mlops.store import digest, settings
from mlops.store.lock import MD5, Out
from mlops.store.remote import Remote
from mlops.store.settings import Settings


class Store:
    """DVC's cache of a working tree and its default remote.

    Args:
        root: the folder with .dvc/.
        found: settings that are not those of `root`.
    """

    def __init__(self, root: Path, found: Settings | None = None) -> None:
        self.root, self._given = root, found

    @cached_property
    def _settings(self) -> Settings:
        return self._given or settings.of(self.root)

    @cached_property
    def _remote(self) -> Remote | None:
        name = self._settings.config["core"].get("remote")
        return Remote(name, self._settings.config) if name else None

    @property
    def remote(self) -> str | None:
        """The address of the default remote, without secrets; None where there is none."""
        return self._remote.url if self._remote else None

    def file(self, md5: str) -> Path:
        """The object of that md5: a file that is not to be changed. Its content is verified at each call.

        Raises:
            StoreError: it cannot be had.
        """
        found = self._have([md5])
        if md5 not in found:
            raise self._lost(f"object {md5}")
        return found[md5]

    def listing(self, out: Out) -> dict[str, str]:
        """The files of a folder: path inside it, with / → md5. Of a file: its name → its md5.

        Raises:
            StoreError: the list cannot be had, or names what does not belong into a folder.
        """
        if not out.folder:
            return {PurePosixPath(out.path).name: out.md5}
        found = self._have([out.md5])
        if out.md5 not in found:
            raise self._lost(_named(out))
        return self._read(out, found[out.md5])

    def copy(self, out: Out, target: Path) -> None:
        """Copy a file or folder to where nothing is yet. It appears whole or not at all, and is nobody else's.

        Raises:
            StoreError: some of it cannot be had.
        """
        files = self.listing(out)
        found = self._have(set(files.values()))
        if lacking := [path for path, md5 in files.items() if md5 not in found]:
            raise self._lost(f"{_named(out)}: {lacking[0]}" if out.folder else _named(out))
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.{uuid4().hex[:8]}.new")
        try:
            if out.folder:
                fresh.mkdir()
            for path, md5 in files.items():
                place = fresh / path if out.folder else fresh
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(found[md5], place)
            os.replace(fresh, target)
        finally:
            _remove(fresh)

    def missing(self, outs: Iterable[Out]) -> list[Out]:
        """Those that are neither whole in the cache nor in remote storage, which is asked only for what is not here.

        Raises:
            StoreError: remote storage cannot be reached.
        """
        asked = list(outs)
        lists = self._have({out.md5 for out in asked if out.folder})
        parts = {
            out: set(self._read(out, lists[out.md5]).values()) if out.folder else {out.md5}
            for out in asked
            if not out.folder or out.md5 in lists
        }
        lacking = {md5 for md5 in set().union(*parts.values()) if not self._whole(md5)}
        if lacking and self._remote:
            lacking -= self._remote.holds(lacking)
        return [out for out in asked if out not in parts or parts[out] & lacking]

    def push(self, outs: Iterable[Out]) -> int:
        """Send what remote storage lacks of them. Returns the number of objects sent; 0 without a remote.

        Raises:
            StoreError: remote storage cannot be reached, or an object cannot be had.
        """
        if not self._remote:
            return 0
        wanted = {md5: out for out in outs for md5 in (*self.listing(out).values(), out.md5)}
        self._remote.prepare()
        lacking = wanted.keys() - self._remote.holds(wanted)
        files = {md5: whole for md5 in lacking if (whole := self._whole(md5))}
        if lost := lacking - files.keys():
            raise self._lost(_named(wanted[min(lost)]))
        self._remote.send(files)
        return len(files)

    def _have(self, md5s: Iterable[str]) -> dict[str, Path]:
        """md5 → file, of those that can be had; what the cache lacks is fetched."""
        asked = set(md5s)
        found = {md5: whole for md5 in asked if (whole := self._whole(md5))}
        if self._remote and (lacking := asked - found.keys()):
            found |= self._fetch(lacking, self._remote)
        return found

    def _fetch(self, md5s: Iterable[str], remote: Remote) -> dict[str, Path]:
        """Bring objects into the cache; those that remote storage does not have, or has damaged, are left out."""
        places = {md5: _object(self._settings.cache, md5) for md5 in md5s}
        fresh = {md5: place.with_name(f".{place.name}.{uuid4().hex[:8]}.new") for md5, place in places.items()}
        found = {}
        try:
            for place in places.values():
                place.parent.mkdir(parents=True, exist_ok=True)
            for md5 in remote.fetch(fresh):
                if digest.of_file(fresh[md5]) != md5.removesuffix(".dir"):
                    print(f"warning: object {md5} is damaged in remote storage {remote.url}", file=sys.stderr)
                    continue
                fresh[md5].chmod(0o444)  # by this DVC knows that an object was verified
                os.replace(fresh[md5], places[md5])
                found[md5] = places[md5]
        finally:
            for path in fresh.values():
                path.unlink(missing_ok=True)
        return found

    def _whole(self, md5: str) -> Path | None:
        """An object of a cache, verified; a damaged one of our own is removed, so that nobody takes it for whole."""
        own, *others = (_object(cache, md5) for cache in (self._settings.cache, *self._settings.also))
        for path in (own, *others):
            if path.is_file():
                if digest.of_file(path) == md5.removesuffix(".dir"):
                    return path
                if path == own:
                    print(f"warning: {path} was damaged; it is removed from DVC's cache", file=sys.stderr)
                    path.unlink(missing_ok=True)
        return None

    def _read(self, out: Out, path: Path) -> dict[str, str]:
        try:
            entries = json.loads(path.read_bytes())
            if not isinstance(entries, list):
                raise TypeError("a list is expected")
            files = {entry["relpath"]: entry["md5"] for entry in entries}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(
                f"{_named(out)} is no folder that DVC wrote ({error!r}); `dvc repro` makes it again"
            ) from None
        for name, md5 in files.items():
            if not _belongs(name) or not isinstance(md5, str) or not MD5.fullmatch(md5):
                raise StoreError(f"{_named(out)} lists {name!r}, which does not belong into a folder; do not use it")
        return files

    def _lost(self, what: str) -> StoreError:
        where = f"nor in remote storage {self.remote}" if self.remote else "and no remote storage is configured"
        either = "neither" if self.remote else "not"
        return StoreError(
            f"{what} is {either} in DVC's cache {where};"
            " `dvc push` where it was made, or make it again: `dvc repro` at its commit, the notebook for a run of one"
        )


def elsewhere(config: bytes | None, folder: Path, beside: Path | None = None) -> Store:
    """A store for a repository that is not checked out here; see `settings.elsewhere`."""
    return Store(folder, settings.elsewhere(config, folder, beside))


def _object(cache: Path, md5: str) -> Path:
    if not MD5.fullmatch(md5):
        raise StoreError(f"{md5!r} is no md5 of an object; `git log dvc.lock` shows who wrote that")
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _belongs(name: object) -> bool:
    """Whether a path of a list is one inside its folder, and one that a file can have."""
    if not isinstance(name, str) or "\0" in name or "\\" in name:
        return False
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts


def _named(out: Out) -> str:
    return f"{out.path} (md5 {out.md5[:8]}…)"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
