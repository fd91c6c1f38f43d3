"""What lies at each path of a commit, by md5: in Git's own objects, in an output of dvc.lock, behind a .dvc file."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from mlops.errors import StoreError
from mlops.git import Git
from mlops.store import digest

if TYPE_CHECKING:
    from mlops.store.lock import Out


class Held:
    """What a commit holds.

    Args:
        git: the repository.
        blobs: path → hash of the blob, of the files in Git that are asked for.
        outs: path → what DVC holds; None where it is not known by which digest.
        listing: the files of a folder of `outs`, path inside it → md5; a StoreError where they cannot be had.
    """

    def __init__(
        self,
        git: Git,
        blobs: Mapping[str, str],
        outs: Mapping[str, Out | None],
        listing: Callable[[Out], Mapping[str, str]] | None,
    ) -> None:
        contents = git.contents(list(blobs.values()))
        self._files = {path: digest.of_bytes(content or b"") for path, content in zip(blobs, contents, strict=True)}
        self._outs, self._listing = outs, listing

    def md5(self, path: str) -> str | None:
        """The md5 of a file or folder; None where there is none, empty where it cannot be told."""
        if path.startswith(("../", "/")) or any(other.startswith(f"{path}/") for other in self._outs):
            return ""
        for place in above(path):
            if place in self._outs:
                out = self._outs[place]
                return self._inside(out, path.removeprefix(place)) if out else ""
        return self.in_git(path)

    def in_git(self, path: str) -> str | None:
        """The md5 of a file or folder that Git holds; None where it holds none."""
        return _find(path, self._files)

    def _inside(self, out: Out, path: str) -> str | None:
        if not path:
            return out.md5
        try:
            files = self._listing(out) if self._listing and out.folder else None
        except StoreError:  # that bytes are missing is not what is asked here
            files = None
        return "" if files is None else _find(path.removeprefix("/"), files)


def above(path: str) -> Iterator[str]:
    """A path and the folders that it lies in."""
    while path:
        yield path
        path = posixpath.dirname(path)


def _find(path: str, files: Mapping[str, str]) -> str | None:
    if path in files:
        return files[path]
    inside = {name.removeprefix(f"{path}/"): md5 for name, md5 in files.items() if name.startswith(f"{path}/")}
    return digest.of_folder(inside) if inside else None
