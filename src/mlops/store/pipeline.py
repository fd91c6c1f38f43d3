"""dvc.yaml and params.yaml of a commit, read as DVC reads them, without DVC."""

from __future__ import annotations

import json
import posixpath
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlops.errors import StoreError, one_line
from mlops.git import Git

FILE = "dvc.yaml"
TEMPLATED = ("foreach", "matrix")


@dataclass(frozen=True)
class Declared:
    """A stage as dvc.yaml has it. Paths are from the repository's root.

    wdir: folder that its paths in dvc.yaml and dvc.lock start at. params: file → dotted keys; no key: the whole file.
    uncached: outs with `cache: false`, which Git holds. frozen: DVC does not ask whether its dependencies changed.
    """

    name: str
    wdir: str
    cmd: str
    deps: tuple[str, ...]
    params: Mapping[str, tuple[str, ...]]
    outs: tuple[str, ...]
    uncached: frozenset[str]
    frozen: bool


@dataclass(frozen=True)
class Pipeline:
    """dvc.yaml of a commit. templates: names of stages that `foreach`, `matrix` or `${…}` make; they are not read.

    artifacts: name → path.
    """

    stages: Mapping[str, Declared]
    templates: tuple[str, ...]
    artifacts: Mapping[str, str]


def pipeline(git: Git, commit: str) -> Pipeline | None:
    """dvc.yaml of a commit; None where it has none.

    Raises:
        StoreError: it is not valid.
    """
    document = read(git, commit, FILE)
    if document is None:
        return None
    try:
        stages = document.get("stages") or {}
        plain = {name: stage for name, stage in stages.items() if not _is_template(stage)}
        artifacts = {name: str(facts["path"]) for name, facts in (document.get("artifacts") or {}).items()}
        return Pipeline(
            {str(name): declared(str(name), stage) for name, stage in plain.items()},
            tuple(str(name) for name in stages if name not in plain),
            {str(name): posixpath.normpath(path) for name, path in artifacts.items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{FILE} of commit {commit[:8]} is no pipeline ({error!r}); `dvc repro --dry` says why"
        ) from None


def declared(name: str, stage: Mapping[str, Any]) -> Declared:
    """A stage of dvc.yaml."""
    wdir = str(stage.get("wdir") or ".")
    listed = [out for kind in ("outs", "metrics", "plots") for out in _outs(stage.get(kind) or [])]
    params: dict[str, tuple[str, ...]] = {}
    for file, keys in _params(stage.get("params") or []):
        path = place(wdir, file)
        params[path] = (*params.get(path, ()), *keys)
    return Declared(
        name=name,
        wdir=wdir,
        cmd=command(stage["cmd"]),
        deps=tuple(place(wdir, str(path)) for path in stage.get("deps") or []),
        params=params,
        outs=tuple(place(wdir, path) for path, _ in listed),
        uncached=frozenset(place(wdir, path) for path, options in listed if options.get("cache") is False),
        frozen=stage.get("frozen") is True,
    )


def command(words: object) -> str:
    """A stage's command; several are one line each."""
    return "\n".join(map(str, words)) if isinstance(words, list) else str(words)


def place(wdir: str, path: str) -> str:
    """A path of a stage, from the repository's root; URLs stay as they are."""
    return path if "://" in path else posixpath.normpath(posixpath.join(wdir, path))


def read(git: Git, commit: str, path: str) -> Any:
    """The document of a YAML, JSON or TOML file as of a commit; None where there is none.

    YAML is version 1.2, as DVC reads it: `yes` is a text and `1e-3` a number.

    Raises:
        StoreError: it is not valid, or no file of these kinds.
    """
    content = git.read(commit, path)
    return None if content is None else parse(content, path, commit)


def parse(content: bytes, path: str, commit: str) -> Any:
    """The document of a file's content; see `read`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        text = content.decode("utf-8")
        if path.endswith(".json"):
            return json.loads(text)
        if path.endswith(".toml"):
            return tomllib.loads(text)
        return YAML(typ="safe").load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        why = one_line(error)[:200]
        again = f"`git show {commit[:8]}:{path}` shows it"
        raise StoreError(f"{path} of commit {commit[:8]} is not valid ({why}); {again}") from None


def _is_template(stage: Mapping[str, Any]) -> bool:
    return any(word in stage for word in TEMPLATED) or "${" in json.dumps(stage, default=str)


def _outs(listed: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for out in listed:
        if isinstance(out, Mapping):
            yield from ((str(path), options or {}) for path, options in out.items())
        else:
            yield str(out), {}


def _params(listed: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    for entry in listed:
        if isinstance(entry, Mapping):
            yield from ((str(file), tuple(map(str, keys or ()))) for file, keys in entry.items())
        else:
            yield "params.yaml", (str(entry),)
