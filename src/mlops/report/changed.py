"""What two commits differ in besides results, from Git alone: parameters, policy, code and its stages, packages."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from mlops import params, policy, strict
from mlops.errors import MlopsError, ParamsError, StoreError
from mlops.git import Git
from mlops.registry import describe
from mlops.report import rules
from mlops.report.base import Base
from mlops.store import lock, pipeline
from mlops.store.held import above
from mlops.store.pipeline import Declared
from mlops.verify import environment

REQUIREMENTS = "requirements.txt"
TOLD_ELSEWHERE = (lock.FILE, str(params.PATH), str(policy.PATH), REQUIREMENTS)

Stages = Mapping[str, Declared]
Entry = dict[str, Any]


def stages(git: Git, commit: str) -> Stages:
    """The stages that a commit's dvc.yaml declares; none where it has none, or no valid one."""
    try:
        declared = pipeline.pipeline(git, commit)
    except StoreError:
        return {}
    return declared.stages if declared else {}


def parameters(git: Git, base: Base, declared: Stages) -> list[Entry]:
    """Parameters that differ: name, value before and after as text (None: not there), and the stages that read it."""
    keys = {
        name: [key for file, keys in stage.params.items() if file == str(params.PATH) for key in keys]
        for name, stage in declared.items()
    }

    def readers(name: str) -> list[str]:
        return [stage for stage, read in keys.items() if any(name == k or name.startswith(f"{k}.") for k in read)]

    return _differing(git, base, str(params.PATH), readers)


def limits(git: Git, base: Base) -> list[Entry]:
    """What differs in policy.yaml, and first of it what the pull request changes of how it is judged."""
    found = _differing(git, base, str(policy.PATH), lambda name: [])
    return sorted(found, key=lambda entry: rules.rank(entry["name"]))


def packages(git: Git, base: Base) -> list[Entry]:
    """Locked packages whose version differs."""

    def pins(commit: str) -> Mapping[str, Any]:
        text = (git.read(commit, REQUIREMENTS) or b"").decode("utf-8", "replace")
        return dict(sorted(environment.pins(text, platform.python_version()).items()))

    return _entries(pins(base.commit), pins(base.head), lambda name: [])


def code(git: Git, base: Base, declared: Stages) -> dict[str, Any]:
    """Files that differ, outputs of stages apart.

    Returns:
        files: path, lines added and removed (None: not a text) and the stages that read it, of files that one does;
        others: folder → how many files differ that no stage reads; outputs: paths of stages' outputs that differ.
    """
    before = stages(git, base.commit)
    results = {path for known in (before, declared) for stage in known.values() for path in stage.uncached}
    read: dict[str, set[str]] = {}
    for name, stage in (*before.items(), *declared.items()):
        read.setdefault(name, set()).update(stage.deps)
    files: list[Entry] = []
    others: Counter[str] = Counter()
    for added, removed, path in _numbers(git, base):
        places = set(above(path))
        if path in TOLD_ELSEWHERE or places & results:
            continue
        readers = [name for name, deps in read.items() if places & deps]
        if readers:
            files.append({"path": path, "added": added, "removed": removed, "stages": readers})
        else:
            others[PurePosixPath(path).parts[0] if "/" in path else "."] += 1
    return {"files": files, "others": dict(others.most_common()), "outputs": _outputs(git, base)}


def _numbers(git: Git, base: Base) -> list[tuple[int | None, int | None, str]]:
    counted = git.raw("diff", "--numstat", "-z", "--no-renames", base.commit, base.head)
    entries = (entry.split("\t", 2) for entry in filter(None, counted.decode("utf-8", "replace").split("\0")))
    return [(_count(added), _count(removed), path) for added, removed, path in entries]


def _count(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _outputs(git: Git, base: Base) -> list[str]:
    """Outputs that are new or other bytes."""
    found: list[dict[str, str]] = []
    for commit in (base.commit, base.head):
        try:
            locked = lock.read(git, commit).stages.values()
        except StoreError:
            return []
        found.append({out.path: out.md5 for stage in locked for out in stage.outs})
    before, after = found
    return [path for path in after if after[path] != before.get(path)]


def _differing(git: Git, base: Base, path: str, readers: Callable[[str], list[str]]) -> list[Entry]:
    before, after = (_flat(git, commit, path) for commit in (base.commit, base.head))
    return _entries(before, after, readers)


def _flat(git: Git, commit: str, path: str) -> dict[str, Any]:
    """A YAML file of a commit as dotted names; nothing where it is not there, or not valid."""
    content = git.read(commit, path)
    if content is None:
        return {}
    try:
        document = strict.read(content.decode("utf-8", "replace"), Path(path), ParamsError)
        return describe.flat(document) if isinstance(document, dict) else {}
    except (MlopsError, RecursionError):
        return {}


def _entries(before: Mapping[str, Any], after: Mapping[str, Any], readers: Callable[[str], list[str]]) -> list[Entry]:
    found = []
    for name in {**before, **after}:
        was, now = (_text(held[name]) if name in held else None for held in (before, after))
        if was != now:
            found.append({"name": name, "before": was, "after": now, "stages": readers(name)})
    return found


def _text(value: Any) -> str:
    """A value as YAML people write it on one line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
