"""Where DVC keeps objects on this machine and which remote it uses, by DVC's own configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.errors import StoreError, one_line


@dataclass(frozen=True)
class Settings:
    """cache: DVC's, written to. also: caches of others, only read. config: DVC's merged configuration."""

    cache: Path
    also: tuple[Path, ...]
    config: Mapping[str, Any]


def of(root: Path) -> Settings:
    """The settings of a working tree.

    Raises:
        StoreError: it has no .dvc folder, or its configuration is not valid.
    """
    home = root.absolute() / ".dvc"
    if not home.is_dir():
        raise StoreError(f"{root} has no .dvc folder: it is no DVC repository; go to your clone of the project")
    config = _load(home, {})
    return Settings(_cache(home, config), (), config)


def elsewhere(config: bytes | None, folder: Path, beside: Path | None = None) -> Settings:
    """The settings for a repository that is not checked out here; objects are kept in `folder`/.dvc/cache.

    Of its configuration only the remotes count: where to keep files is for this machine to say.

    Args:
        config: .dvc/config of a commit.
        folder: its own, of this machine.
        beside: another working tree of that repository: relative paths start there, its cache is read too, and its
            .dvc/config.local (credentials) counts.

    Raises:
        StoreError: the configuration is not valid, or its default remote is a relative path and nothing is beside.
    """
    home = folder.absolute() / ".dvc"
    home.mkdir(parents=True, exist_ok=True)
    other = beside.absolute() / ".dvc" if beside else None
    committed = home / "committed.config"
    committed.write_bytes(config or b"")
    given = _remotes(committed, other)
    also: tuple[Path, ...] = ()
    if other and other.is_dir():
        also = (of(other.parent).cache,)
        local = _remotes(other / "config.local", other)
        given["core"] |= local["core"]
        for name, facts in local["remote"].items():
            given["remote"][name] = given["remote"].get(name, {}) | facts
    return Settings(home / "cache", also, _load(None, given))


def _load(home: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    from dvc.config import Config, ConfigError

    try:
        found: dict[str, Any] = Config(str(home) if home else None, config=dict(given))
    except ConfigError as error:
        where = home or "of that commit"
        raise StoreError(
            f"DVC's configuration ({where}) is not valid: {one_line(error)}; see `dvc config --list`"
        ) from None
    return found


def _cache(home: Path, config: Mapping[str, Any]) -> Path:
    return Path(config["cache"].get("dir") or home / "cache")


def _remotes(path: Path, base: Path | None) -> dict[str, Any]:
    """What a file of DVC's configuration says of remotes; its relative paths start at `base`, where that is known."""
    from dvc.config import Config, ConfigError

    if not path.exists():
        return {"core": {}, "remote": {}}
    try:
        found = Config.load_file(str(path))
    except ConfigError as error:
        raise StoreError(f"{path} is not valid: {one_line(error)}; `dvc config --list` says where") from None
    core = {key: value for key, value in found.get("core", {}).items() if key == "remote"}
    remotes = {name: dict(facts) for name, facts in found["remote"].items()}
    for name, facts in remotes.items():
        url = str(facts.get("url", "://"))
        if "://" in url:
            continue
        place = Path(url).expanduser()
        if base is not None or place.is_absolute():
            facts["url"] = str((base or Path()) / place)
        elif name == core.get("remote"):
            raise StoreError(
                f"remote storage {name!r} is the relative path {url!r}, which leads nowhere without a clone: an"
                f" absolute URL is needed; in a clone, `dvc remote modify {name} url URL`, commit, and promote that"
            )
    return {"core": core, "remote": remotes}
