"""The same few files of a thousand commits.

`git cat-file` opens all trees on the way to COMMIT:path anew for each path, and most are loose files: that takes longer
than everything else about a look. So each commit's own tree is read first: it says which of the files are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from mlops.git import Git

Contents = tuple[bytes | None, ...]
_ENTRY = re.compile(rb"[0-7]+ ([^\0]+)\0(.{20})", re.DOTALL)


def contents(git: Git, trees: Sequence[str], paths: Sequence[str]) -> Iterator[Contents]:
    """The contents of files, tree by tree, in the paths' order; None for a file that a tree does not have.

    By two processes at a time: Git unpacks objects on one processor.

    Args:
        git: the repository.
        trees: what names a tree: its hash, or COMMIT^{tree}, which takes Git longer.
        paths: of the files.
    """
    half = len(trees) // 2
    with ThreadPoolExecutor(2) as pool:
        for part in pool.map(lambda some: _contents(git, some, paths), (trees[:half], trees[half:])):
            yield from part


def _contents(git: Git, trees: Sequence[str], paths: Sequence[str]) -> list[Contents]:
    wanted = {path.partition("/")[0].encode() for path in paths}
    roots = git.contents(trees, trees=True)
    held = [{name: found.hex() for name, found in _ENTRY.findall(root or b"") if name in wanted} for root in roots]
    names = [[_name(entries, path) for path in paths] for entries in held]
    distinct = list(dict.fromkeys(name for of_tree in names for name in of_tree if name))
    found = dict(zip(distinct, git.contents(distinct), strict=True))
    return [tuple(found.get(name) for name in of_tree) for of_tree in names]


def _name(entries: Mapping[bytes, str], path: str) -> str:
    """How Git finds a file below the entries of a tree; empty where it is not there."""
    first, _, rest = path.partition("/")
    found = entries.get(first.encode(), "")
    return f"{found}:{rest}" if found and rest else found
