"""DVC's default remote: objects by md5, from whatever kind of storage DVC knows. Its complaints become one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

from mlops.errors import StoreError, one_line

JOBS = 8


class Remote:
    """The default remote of a configuration.

    Args:
        name: of the remote.
        config: DVC's merged configuration.
    """

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        self._name, self._config = name, config

    @property
    def url(self) -> str:
        """Its address, without password and query."""
        facts = self._config["remote"].get(self._name.lower())
        if facts is None:
            raise StoreError(f"core.remote of .dvc/config names {self._name!r}, which it lacks; see `dvc remote list`")
        return re.sub(r"(\w+://)[^/@\s]+@", r"\1", str(facts["url"]).partition("?")[0])

    def fetch(self, wanted: Mapping[str, Path]) -> set[str]:
        """Write objects to files. Returns the md5 of those that came; the others it does not have.

        Args:
            wanted: md5 → the file to write.

        Raises:
            StoreError: it cannot be reached, or refuses.
        """
        return self._each(wanted, lambda md5: self._fs.get_file(self._path(md5), str(wanted[md5])))

    def holds(self, md5s: Iterable[str]) -> set[str]:
        """Which of these objects it has.

        Raises:
            StoreError: it cannot be reached, or refuses.
        """
        return self._each(md5s, lambda md5: self._fs.info(self._path(md5)))

    def prepare(self) -> None:
        """Make the folder that objects are sent to, where that is a folder and not a bucket."""
        self._fs.makedirs(self._place)

    def send(self, files: Mapping[str, Path]) -> None:
        """Store objects; lists of folders last, so that a list is only there with all that it names.

        Args:
            files: md5 → the file with that content.

        Raises:
            StoreError: it cannot be reached, or refuses.
        """

        def put(md5: str) -> None:
            self._fs.makedirs(self._fs.parent(self._path(md5)))
            self._fs.put_file(str(files[md5]), self._path(md5))

        folders = [md5 for md5 in files if md5.endswith(".dir")]
        for some in ([md5 for md5 in files if md5 not in folders], folders):
            if len(self._each(some, put)) < len(some):
                raise StoreError(
                    f"remote storage {self.url} refused objects: its bucket or folder is not there; make it"
                )

    def _each(self, md5s: Iterable[str], work: Any) -> set[str]:
        def one(md5: str) -> str | None:
            try:
                work(md5)
            except FileNotFoundError as error:
                self._refuse_if_away(error)
                return None
            return md5

        _ = self._opened  # once, not by each thread
        try:
            with ThreadPoolExecutor(JOBS) as pool:
                return set(filter(None, pool.map(one, md5s)))
        except StoreError:
            raise
        except Exception as error:  # each kind of storage has its own classes
            raise self._refused(error) from None

    def _refuse_if_away(self, error: FileNotFoundError) -> None:
        """Some kinds of storage say "not found" also of a server that does not answer, or that lets nobody in."""
        cause = error.__cause__
        if isinstance(cause, OSError) or getattr(cause, "status", 404) != 404:
            raise self._refused(cause or error) from None
        if self._fs.protocol == "local" and not Path(self._place).is_dir():
            raise StoreError(f"remote storage {self.url} is not there; mount it, or see `dvc remote list`") from None

    def _refused(self, error: BaseException) -> StoreError:
        cause = re.sub(r"(\w+://)[^/@\s]+@", r"\1", one_line(error))[:300] or type(error).__name__
        return StoreError(
            f"remote storage {self.url} cannot be used: {cause}; check the address (`dvc remote list`), its credentials"
            " and the network, then run the same again"
        )

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        from dvc.fs import get_cloud_fs

        try:
            kind, facts, place = get_cloud_fs(self._config, name=self._name)
            opened = kind(**facts)
        except Exception as error:  # each kind of storage has its own classes
            raise self._refused(error) from None
        if facts.get("version_aware") or facts.get("worktree"):
            raise StoreError(
                f"remote storage {self.url} keeps cloud versions, not objects by digest;"
                f" `dvc remote modify {self._name} version_aware false`"
            )
        return opened, place

    @property
    def _fs(self) -> Any:
        return self._opened[0]

    @property
    def _place(self) -> str:
        return self._opened[1]

    def _path(self, md5: str) -> str:
        path: str = self._fs.join(self._place, "files", "md5", md5[:2], md5[2:])
        return path
