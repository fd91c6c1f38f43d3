"""What a run's commit holds, given its journal: params, metrics, plots, pointers to what DVC keeps, and the record."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from mlops import params as parameters
from mlops import strict
from mlops.bundle import to_json
from mlops.errors import ParamsError
from mlops.experiments import splice
from mlops.git import Git
from mlops.store import keep
from mlops.store.lock import Out

RECORD = "notebook.json"
PARAMS, OTHER_PARAMS = "params.yaml", "notebook.yaml"
PIPELINE = "dvc.yaml"
EVALUATED = "metrics/evaluate"
METRICS = f"{EVALUATED}/metrics.json"
LIVE = "metrics/notebook"
MODEL = "models/notebook"
PICKLED = "models/notebook-model.joblib"
"""A model that cannot be served."""
UNFINISHED = "models/notebook-failed"
ROWS = "data/notebook"
_EVALUATED = re.compile(rf"{EVALUATED}/[\w./-]+")


@dataclass
class Logged:
    """Everything that a run logged.

    parts: folder → file → what DVC keeps of it; plots: entries of dvc.yaml; measured: metrics of one model, which those
    of another replace.
    """

    facts: dict[str, Any]
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    outs: dict[str, Out] = field(default_factory=dict)
    parts: dict[str, dict[str, Out]] = field(default_factory=dict)
    plots: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    measured: tuple[str, ...] = ()
    model: dict[str, Any] | None = None
    end: dict[str, Any] | None = None

    def add(self, event: dict[str, Any]) -> None:
        """Take in an event of the journal."""
        kind = event.pop("kind")
        if event.get("measured"):
            self.metrics = {name: value for name, value in self.metrics.items() if name not in self.measured}
            self.measured = tuple(event["values"])
        if kind in ("params", "metrics", "plots", "data"):
            getattr(self, kind).update(event["values"])
        elif kind == "out":
            self.outs[event["path"]] = Out(**event)
        elif kind == "part":
            out = Out(**event)
            folder, _, name = out.path.rpartition("/")
            self.parts.setdefault(folder, {})[name] = out
        elif kind == "model":
            self.model = event["values"]
            self.outs.pop(PICKLED if self.model["state"] == "served" else MODEL, None)  # of another model, before
        elif kind == "end":
            self.end = event

    @property
    def failed(self) -> bool:
        """Whether the run raised."""
        return self.end is not None and self.end["state"] == "failed"


def changes(git: Git, base: str, logged: Logged, files: Mapping[str, bytes], cache: Path) -> dict[str, bytes | None]:
    """Path → content of the commit's files that differ from the baseline's; None for those that it does not have.

    Args:
        git: the repository.
        base: the baseline, by full hash.
        logged: what the run logged.
        files: path → content, of what goes into Git as it is.
        cache: DVC's, for the lists of folders.
    """
    held = _base(git, base)
    outs = _outs(logged, cache)
    made: dict[str, bytes | None] = {EVALUATED: None, LIVE: None, OTHER_PARAMS: None}
    made |= {path: content for path, content in files.items() if not (logged.failed and path.startswith(EVALUATED))}
    text, others = _params(held[PARAMS], logged.params)
    if text is not None:
        made[PARAMS] = text
    if logged.failed and logged.end is not None:
        others["failed"] = logged.end["error"]
    if others:
        made[OTHER_PARAMS] = yaml.safe_dump(others, sort_keys=False, allow_unicode=True).encode()
    if logged.metrics and not logged.failed:
        made[METRICS] = to_json(logged.metrics)
    for path, out in outs.items():
        made[f"{path}.dvc"] = keep.pointer(out)
        ignored = posixpath.join(posixpath.dirname(path), ".gitignore")
        made[ignored] = _with_line(made.get(ignored) or git_ignore(git, base, ignored), f"/{posixpath.basename(path)}")
    artifact = MODEL if logged.failed or logged.model is not None else None
    made[PIPELINE] = _pipeline(held[PIPELINE], logged, artifact, set(made), has_others=bool(others))
    made[RECORD] = to_json(_record(logged))
    return made


def decision(git: Git, base: str) -> dict[str, Any] | None:
    """What a decision is worth by the baseline's params.yaml; None where it does not say."""
    try:
        document = _document(_base(git, base)[PARAMS])
        found = {key: document["decision"][key] for key in ("value_saved", "cost_contact", "threshold")}
    except (ParamsError, KeyError, TypeError):
        return None
    return found


def money(git: Git, base: str) -> dict[str, float] | None:
    """What a churner brings and a contact costs by the baseline's params.yaml; None where it does not say."""
    found = decision(git, base)
    return {key: float(found[key]) for key in ("value_saved", "cost_contact")} if found else None


def fits(document: Any) -> bool:
    """Whether a document is a params.yaml that the pipeline takes."""
    try:
        parameters.parse(document)
    except ParamsError:
        return False
    return True


@lru_cache(maxsize=8)
def _base_of(folder: Path, commit: str) -> dict[str, str]:
    contents = Git(folder).contents([f"{commit}:{path}" for path in (PIPELINE, PARAMS)])
    return {
        path: (content or b"").decode("utf-8", "replace")
        for path, content in zip((PIPELINE, PARAMS), contents, strict=True)
    }


def _base(git: Git, commit: str) -> dict[str, str]:
    """dvc.yaml and params.yaml of the baseline; empty where it has none."""
    return _base_of(git.folder, commit)


@lru_cache(maxsize=64)
def _ignored(folder: Path, commit: str, path: str) -> bytes:
    return Git(folder).read(commit, path) or b""


def git_ignore(git: Git, commit: str, path: str) -> bytes:
    """A .gitignore of the baseline; empty where it has none."""
    return _ignored(git.folder, commit, path)


def _with_line(content: bytes, line: str) -> bytes:
    lines = content.decode("utf-8", "replace").splitlines()
    return ("\n".join(lines if line in lines else [*lines, line]) + "\n").encode()


def _outs(logged: Logged, cache: Path) -> dict[str, Out]:
    outs = dict(logged.outs)
    for folder, parts in logged.parts.items():
        outs[folder] = keep.listed(cache, folder, parts)
    if logged.failed and MODEL in outs:  # kept, but nothing that a name in dvc.yaml leads to
        outs[UNFINISHED] = outs.pop(MODEL)
    return outs


def _params(text: str, given: Mapping[str, Any]) -> tuple[bytes | None, dict[str, Any]]:
    """params.yaml with the values that it takes, None where it takes none; and the other params."""
    known: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in given.items():
        _sort(text, name, value, known, others)
    known, refused = _accepted(text, known)
    others |= refused
    return (splice.with_values(text, known).encode() if known else None), others


def _sort(text: str, name: str, value: Any, known: dict[str, Any], others: dict[str, Any]) -> None:
    """Put a param, and those nested in it, under the keys that params.yaml has or under the others."""
    if splice.has(text, name):
        known[name] = value
    elif isinstance(value, dict) and value:
        for key, inner in value.items():
            _sort(text, f"{name}.{key}", inner, known, others)
    else:
        others[name] = value


def _accepted(text: str, known: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values that leave params.yaml valid, and those that do not (`model: CatBoostClassifier`)."""
    if not known or not fits(_with(text, {})) or fits(_with(text, known)):
        return known, {}
    good: dict[str, Any] = {}
    for name, value in known.items():
        if fits(_with(text, {**good, name: value})):
            good[name] = value
    return good, {name: value for name, value in known.items() if name not in good}


@lru_cache(maxsize=8)
def _document(text: str) -> Any:
    return strict.read(text, parameters.PATH, ParamsError)


def _with(text: str, values: Mapping[str, Any]) -> Any:
    """The document of params.yaml with other values at dotted keys that it has."""
    document = deepcopy(_document(text))
    for key, value in values.items():
        *parents, last = key.split(".")
        section = document
        for parent in parents:
            section = section[parent]
        section[last] = value
    return document


def _pipeline(text: str, logged: Logged, artifact: str | None, made: set[str], *, has_others: bool) -> bytes:
    """dvc.yaml with what the run adds, its model's place, its params' file, its plots; without plots that it lacks.

    made: paths that the run writes.
    """
    name = logged.facts["artifact"]
    text = splice.without_items(text, "plots", lambda entry: not made.issuperset(_EVALUATED.findall(entry)))
    if artifact:
        if splice.has(text, f"artifacts.{name}.path"):
            text = splice.with_values(text, {f"artifacts.{name}.path": artifact})
        else:
            text = splice.with_items(text, "artifacts", [f"{name}: {{path: {artifact}, type: model}}"], listed=False)
    if METRICS not in text:
        text = splice.with_items(text, "metrics", [METRICS])
    if has_others:
        text = splice.with_items(text, "params", [OTHER_PARAMS])
    if logged.plots:
        text = splice.with_items(text, "plots", [f"{path}: {config}" for path, config in logged.plots.items()])
    return text.encode()


def _record(logged: Logged) -> dict[str, Any]:
    facts, end = dict(logged.facts), dict(logged.end or {"state": "finished"})
    return {
        **{key: facts[key] for key in ("id", "name", "note", "started")},
        **{key: end[key] for key in ("seconds", "state", "error", "recovered") if end.get(key) is not None},
        "base": facts["base"],
        "python": facts["python"],
        "packages": end.get("packages") or facts["packages"],
        "code": facts["code"],
        "data": logged.data,
        "model": logged.model,
    }
