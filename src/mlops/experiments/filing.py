"""A commit under refs/exps, as `dvc exp save` files one, made from contents in memory.

One `git fast-import` writes the blobs, trees, the commit and its ref: the working tree, the index and the branches are
never touched, and a ref that appeared meanwhile is not replaced, because the new commit does not descend from it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import NamedTuple

from mlops.errors import ExperimentError, GitError
from mlops.experiments import plain
from mlops.git import Git, reason

_WHO = ("HOME", "XDG_CONFIG_HOME", "EMAIL")
LONGEST = 200
"""Bytes of a name: Git makes a file of it, and of that one with a longer name."""
_NAME = re.compile(r"[^\x00-\x20\x7f/~^:?*\[\\]+")


class Filed(NamedTuple):
    """An experiment. name: what it is called, which may be other than what was asked for."""

    name: str
    commit: str
    ref: str


def file(
    git: Git, *, name: str, base: str, changes: Mapping[str, bytes | None], message: str = "", overwrite: bool = False
) -> Filed:
    """Commit changes on top of a commit, as an experiment of it. Whole or not at all.

    Args:
        git: the repository.
        name: of the experiment; where the baseline has one of that name it becomes name-2, name-3, …
        base: full hash of the commit that it is a variation of.
        changes: path → content of a file, or None: the file or folder is not in the experiment.
        message: stands below the name in the commit's message.
        overwrite: replace the experiment of that name.

    Raises:
        ExperimentError: the name is none that Git takes.
        GitError: Git could not write it.
    """
    check(name)
    author, committer = _people(git)
    called = name
    while True:
        ref = place(base, called)
        text = f"{called}\n\n{message}".strip() + "\n"
        head = [f"commit {ref}", "mark :1", f"author {author}", f"committer {committer}", *_data(text.encode())]
        given = b"".join(_bytes([*head, f"from {base}", *_edits(changes), "get-mark :1", "done"]))
        words = ["--force"] if overwrite else []
        done = git.attempt("fast-import", "--quiet", "--done", *words, given=given)
        if done.returncode == 0:
            return Filed(called, done.stdout.decode().strip(), ref)
        if overwrite or ref not in _taken(git, base):
            _remove_report(git, done.stderr)
            raise GitError(f"`git fast-import` could not file experiment {called}: {reason(done.stderr)}")
        called = _free(_taken(git, base), base, name)


def check(name: str) -> None:
    """Raise ExperimentError unless Git and DVC take it as the name of an experiment."""
    wrong = (
        not _NAME.fullmatch(name)
        or name.startswith(("-", "."))
        or name.endswith((".", ".lock"))
        or ".." in name
        or "@{" in name
        or name in ("@", "HEAD")
        or name != plain.text(name)
    )
    if not wrong and len(name.encode()) > LONGEST:
        raise ExperimentError(f"{name[:20]}… is {len(name.encode())} bytes long, and a run's name {LONGEST} at most")
    if wrong:
        raise ExperimentError(f"{name!r} is no name for a run: letters, digits, - and _ make one, such as deeper_trees")


def place(base: str, name: str) -> str:
    """The ref of an experiment."""
    return f"refs/exps/{base[:2]}/{base[2:]}/{name}"


def _taken(git: Git, base: str) -> set[str]:
    return set(git.text("for-each-ref", "--format=%(refname)", place(base, "")).split("\n"))


def _free(taken: set[str], base: str, name: str) -> str:
    return next(n for n in (f"{name}-{i}" for i in count(2)) if place(base, n) not in taken)


def _people(git: Git) -> tuple[str, str]:
    """Author and committer with the time of now, by Git's configuration and environment.

    Their names are asked for once a minute: a process of its own for each run is a fifth of what saving it takes.
    """
    told = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith("GIT_") or k in _WHO))
    author, committer = _names(git.folder, told, int(time.monotonic()) // 60)
    now = f"{int(time.time())} {time.strftime('%z')}"
    return (
        author if "GIT_AUTHOR_DATE" in os.environ else f"{author.rsplit(' ', 2)[0]} {now}",
        committer if "GIT_COMMITTER_DATE" in os.environ else f"{committer.rsplit(' ', 2)[0]} {now}",
    )


@lru_cache(maxsize=8)
def _names(folder: Path, told: tuple[tuple[str, str], ...], minute: int) -> tuple[str, str]:
    """Author and committer with the time of then. told, minute: what they may change with."""
    author, committer = (Git(folder).attempt("var", f"GIT_{who}_IDENT") for who in ("AUTHOR", "COMMITTER"))
    if author.returncode or committer.returncode:
        raise GitError('Git does not know who you are; `git config user.name "…"` and `git config user.email "…"`')
    return author.stdout.decode("utf-8", "replace").strip(), committer.stdout.decode("utf-8", "replace").strip()


def _data(content: bytes) -> Iterator[str | bytes]:
    yield f"data {len(content)}"
    yield content


def _edits(changes: Mapping[str, bytes | None]) -> Iterator[str | bytes]:
    """What goes first, what comes after: a folder can be removed and a file of it written."""
    for path, content in changes.items():
        if content is None:
            yield f"D {_quoted(path)}"
    for path, content in changes.items():
        if content is not None:
            yield f"M 100644 inline {_quoted(path)}"
            yield from _data(content)


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _bytes(lines: list[str | bytes]) -> Iterator[bytes]:
    for line in lines:
        yield (line.encode("utf-8", "surrogateescape") if isinstance(line, str) else line) + b"\n"


def _remove_report(git: Git, stderr: bytes) -> None:
    """A crash report that fast-import leaves in .git helps nobody here: its cause is in the message."""
    found = re.search(rb"dumping crash report to (.+)", stderr)
    if found:
        (git.folder / found[1].decode("utf-8", "surrogateescape").strip()).unlink(missing_ok=True)
