"""dvc.lock of a commit: what each stage read and wrote when it ran, and whether that is still what the commit says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlops.errors import StoreError
from mlops.git import Git
from mlops.store import pipeline
from mlops.store.held import Held, above

FILE = "dvc.lock"
MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


@dataclass(frozen=True)
class Out:
    """A file or folder by its content. md5 of a folder is that of its list of files, and ends in .dir.

    size: bytes of all files. nfiles: of a folder.
    """

    path: str
    md5: str
    size: int
    nfiles: int | None

    @property
    def folder(self) -> bool:
        """Whether it is a folder."""
        return self.md5.endswith(".dir")


@dataclass(frozen=True)
class Dep:
    """What a stage read; md5 is empty for what is not a file of this machine (a URL)."""

    path: str
    md5: str


@dataclass(frozen=True)
class Stage:
    """A stage as it ran. params: file → dotted key → value; uncached: paths of outs that Git holds, not DVC."""

    name: str
    cmd: str
    deps: tuple[Dep, ...]
    params: Mapping[str, Mapping[str, Any]]
    outs: tuple[Out, ...]
    uncached: frozenset[str]


@dataclass(frozen=True)
class Lock:
    """dvc.lock of a commit, its stages in dvc.yaml's order; those that dvc.yaml lacks come last."""

    commit: str
    stages: Mapping[str, Stage]

    def out(self, path: str) -> Out | None:
        """The output of that path; None where no stage has one."""
        return next((out for stage in self.stages.values() for out in stage.outs if out.path == path), None)


def read(git: Git, commit: str) -> Lock:
    """dvc.lock as of a commit.

    Raises:
        StoreError: there is none, or it is not valid.
    """
    document = pipeline.read(git, commit, FILE)
    if document is None:
        raise StoreError(
            f"commit {commit[:8]} has no {FILE}: no pipeline ran for it;"
            f" `dvc repro && git add {FILE} && git commit` makes a commit that has one"
        )
    declared = pipeline.pipeline(git, commit)
    known = declared.stages if declared else {}
    try:
        if not str(document.get("schema", "")).startswith("2."):
            raise ValueError("schema 2 is expected")
        listed = document.get("stages") or {}
        order = [*(name for name in known if name in listed), *(name for name in listed if name not in known)]
        return Lock(commit, {name: _stage(name, listed[name], known.get(name)) for name in order})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{FILE} of commit {commit[:8]} is not what DVC writes ({error!r});"
            f" `dvc repro` writes it again, then `git add {FILE} && git commit`"
        ) from None


def _stage(name: str, entry: Mapping[str, Any], declared: pipeline.Declared | None) -> Stage:
    wdir = declared.wdir if declared else "."

    def place(path: object) -> str:
        return pipeline.place(wdir, str(path))

    return Stage(
        name=name,
        cmd=pipeline.command(entry["cmd"]),
        deps=tuple(Dep(place(dep["path"]), str(dep.get("md5", ""))) for dep in entry.get("deps") or []),
        params={place(file): dict(values or {}) for file, values in (entry.get("params") or {}).items()},
        outs=tuple(_out({**out, "path": place(out["path"])}) for out in entry.get("outs") or []),
        uncached=declared.uncached if declared else frozenset(),
    )


def _out(entry: Mapping[str, Any]) -> Out:
    """An out of dvc.lock or of a .dvc file."""
    md5 = str(entry.get("md5", ""))
    if not MD5.fullmatch(md5):
        raise ValueError(f"{entry['path']}: {md5!r} is no md5")
    size, count = entry.get("size"), entry.get("nfiles")
    for number in (size, 0 if count is None else count):
        if not isinstance(number, int) or number < 0:
            raise ValueError(f"{entry['path']}: {number!r} is no size and no number of files")
    return Out(str(entry["path"]), md5, int(str(size)), count)


def pointer(git: Git, commit: str, path: str) -> Out | None:
    """What the .dvc file of a path names as of a commit; None where the path has no .dvc file.

    Raises:
        StoreError: the .dvc file is not valid.
    """
    name = f"{path}.dvc"
    document = pipeline.read(git, commit, name)
    if document is None:
        return None
    try:
        (entry,) = document["outs"]
        return _out({**entry, "path": path})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{name} of commit {commit[:8]} is not what DVC writes ({error!r}); `dvc add {path}` writes it again"
        ) from None


def stale(git: Git, commit: str, listing: Callable[[Out], Mapping[str, str]] | None = None) -> list[str]:
    """Why dvc.lock is not what the commit's own files say, a line for each reason; empty when it is current.

    Read from Git's objects alone: no data, no working tree, no DVC.

    Args:
        git: the repository.
        commit: its full hash.
        listing: the files of a folder that a stage made, path inside it → md5; a StoreError where they cannot be had.
            With it a stage that read one of them is judged too.

    Raises:
        StoreError: the commit has no valid dvc.lock.
    """
    lock = read(git, commit)
    declared = pipeline.pipeline(git, commit)
    if declared is None:
        return [f"{pipeline.FILE} is not in the commit, {FILE} is"]
    found = [f"{name}: a template of {pipeline.FILE}, which is not read; write it out" for name in declared.templates]
    found += [f"{name}: did not run, {FILE} lacks it" for name in declared.stages if name not in lock.stages]
    held = _held(git, lock, declared, listing)
    files = {file for stage in declared.stages.values() for file in stage.params}
    params = {file: pipeline.read(git, commit, file) for file in files}
    for name, stage in lock.stages.items():
        if name in declared.stages:
            found += [f"{name}: {reason}" for reason in _reasons(declared.stages[name], stage, held, params)]
        elif name.partition("@")[0] not in declared.templates:
            found.append(f"{name}: {FILE} has it, {pipeline.FILE} does not")
    return found


def _held(
    git: Git, lock: Lock, declared: pipeline.Pipeline, listing: Callable[[Out], Mapping[str, str]] | None
) -> Held:
    stages = lock.stages.values()
    files = git.files(lock.commit)
    pointed = [path.removesuffix(".dvc") for path in files if path.endswith(".dvc")]
    outs: dict[str, Out | None] = {path: None for s in declared.stages.values() for path in s.outs}
    outs |= {out.path: out for stage in stages for out in stage.outs}
    outs |= {path: pointer(git, lock.commit, path) for path in pointed}
    uncached = set[str]().union(*(stage.uncached for stage in stages))
    wanted = uncached.union(dep.path for stage in stages for dep in stage.deps)
    blobs = {path: files[path] for path in files if not wanted.isdisjoint(above(path))}
    return Held(git, blobs, {path: out for path, out in outs.items() if path not in uncached}, listing)


def _reasons(declared: pipeline.Declared, stage: Stage, held: Held, params: Mapping[str, Any]) -> Iterator[str]:
    if declared.cmd != stage.cmd:
        yield "its command changed since it ran"
    for kind, now, then in (
        ("dependency", declared.deps, {dep.path: dep.md5 for dep in stage.deps}),
        ("output", declared.outs, {out.path: out.md5 for out in stage.outs}),
    ):
        yield from (f"{path} is a new {kind} since it ran" for path in now if path not in then)
        yield from (f"{path} is no {kind} any more since it ran" for path in then if path not in now)
    if not declared.frozen:
        for dep in stage.deps:
            if dep.path not in declared.deps or "://" in dep.path:
                continue
            if not MD5.fullmatch(dep.md5):
                yield f"{dep.path} has no digest in {FILE}"
            else:
                yield from _difference(dep.path, dep.md5, held.md5(dep.path), "changed since it ran")
        for file, keys in declared.params.items():
            yield from _params_changed(params[file], file, keys, stage.params.get(file, {}))
    for out in stage.outs:
        if out.path in declared.uncached:
            yield from _difference(out.path, out.md5, held.in_git(out.path), "is not what it wrote")


def _difference(path: str, then: str, now: str | None, verb: str) -> Iterator[str]:
    """now: None where there is nothing at that path, empty where it cannot be told."""
    if now is None:
        yield f"{path} is not in the commit"
    elif now and now != then:
        yield f"{path} {verb}"


def _params_changed(now: Any, file: str, keys: Iterable[str], then: Mapping[str, Any]) -> Iterator[str]:
    if now is None:
        yield f"{file} is not in the commit"
        return
    for key in keys or dict.fromkeys([*now, *then]):
        value = _value(now, key)
        if value is _NOTHING or key not in then or value != then[key]:
            yield f"{key} of {file} changed since it ran"


_NOTHING = object()


def _value(document: Any, key: str) -> Any:
    """The value at a dotted key of nested keys and lists; `_NOTHING` where there is none."""
    for part in key.split("."):
        if isinstance(document, Mapping) and part in document:
            document = document[part]
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            return _NOTHING
    return document
