"""An experiment as any tracker takes it: params, metrics, curves, files, and where it came from."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from mlops.errors import StoreError
from mlops.experiments.documents import flat, mapping
from mlops.export.choose import Subject
from mlops.export.contents import MODEL, NOTEBOOK, SWEEP, Cache, Contents, Origin
from mlops.git import Git
from mlops.registry.describe import DATA
from mlops.store import lock

_CURVE = re.compile(r"metrics/[^/]+/plots/metrics/(.+)\.tsv")
_SWEPT = re.compile(r"metrics/sweep/metrics\.json")


class Point(NamedTuple):
    """A point of a curve. at: when it was logged."""

    step: int
    value: float
    at: datetime


class Data(NamedTuple):
    """Rows that a run read. digest: md5 of DVC's, or sha256 of a notebook's rows; columns, rows: where known."""

    name: str
    digest: str
    rows: int | None = None
    columns: Sequence[str] | None = None


@dataclass(frozen=True)
class Run:
    """What is known of an experiment.

    Args:
        subject: the commit, its name, params and note.
        origin: pipeline, notebook or sweep.
        started, ended: the same where nobody noted how long it took.
        metrics: name → finite number.
        curves: name → points, ascending by step; values may be NaN.
        data: the rows that it read.
        source: what was run.
        contents: its files.
    """

    subject: Subject
    origin: Origin
    started: datetime
    ended: datetime
    metrics: Mapping[str, float]
    curves: Mapping[str, Sequence[Point]]
    data: Sequence[Data]
    source: str
    contents: Contents

    @property
    def failed(self) -> bool:
        """Whether it raised."""
        return self.subject.error is not None

    @property
    def has_model(self) -> bool:
        """Whether the bytes of its served model are here."""
        return any(path.startswith(f"{MODEL}/") for path in self.contents.objects)

    @property
    def tags(self) -> dict[str, str]:
        """Where it came from, for a tracker's search."""
        found = {
            "origin": self.origin,
            "state": "failed" if self.failed else "finished",
            "kind": self.subject.kind,
            "dvc.baseline": self.subject.parent or "",
            "dvc.data_digest": self._digests(),
            "error": self.subject.error or "",
            "missing": ", ".join(self.contents.missing),
        }
        return {name: value for name, value in found.items() if value}

    def _digests(self) -> str:
        if len(self.data) == 1:
            return self.data[0].digest
        return ", ".join(f"{data.name}={data.digest}" for data in self.data)


class Facts:
    """Reads experiments of a repository.

    Args:
        git: the repository.
        artifact: what its models are called in dvc.yaml.
    """

    def __init__(self, git: Git, artifact: str) -> None:
        self._git, self._cache = git, Cache(git, artifact)

    def read(self, subject: Subject) -> Run:
        """Everything that is known of a commit. What cannot be read of it is missing."""
        origin, contents = self._cache.contents(subject.commit, subject.parent)
        record = self._record(subject.commit, {"notebook": NOTEBOOK, "sweep": SWEEP}.get(origin))
        started, ended = _times(subject, record)
        swept = dict(subject.metrics)
        for _, text in contents.texts(self._git, _SWEPT):
            swept |= {name: float(v) for name, v in flat(mapping(text)).items() if type(v) in (int, float)}
        return Run(
            subject, origin, started, ended, swept, self._curves(contents, ended),
            self._data(subject.commit, record), _source(origin, record), contents,
        )  # fmt: skip

    def unpack(self, run: Run, folder: Path) -> None:
        """Lay a run's files into a folder."""
        run.contents.unpack(self._git, folder)

    def _record(self, commit: str, path: str | None) -> dict[str, Any]:
        content = self._git.read(commit, path) if path else None
        return mapping(content)

    def _curves(self, contents: Contents, ended: datetime) -> dict[str, list[Point]]:
        found = {fields[1]: _points(text, ended) for fields, text in contents.texts(self._git, _CURVE)}
        return {name: points for name, points in sorted(found.items()) if points}

    def _data(self, commit: str, record: Mapping[str, Any]) -> list[Data]:
        named = record.get("data")
        if isinstance(named, dict):
            return [
                Data(name, str(said["sha256"]), said.get("rows"), said.get("columns"))
                for name, said in named.items()
                if isinstance(said, dict) and "sha256" in said
            ]
        try:
            out = lock.read(self._git, commit).out(DATA)
        except StoreError:
            return []
        return [Data(DATA, out.md5)] if out else []


def _times(subject: Subject, record: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """When it began and ended: by its record; a pipeline's commit only says when it was made."""
    try:
        seconds = timedelta(seconds=float(record.get("seconds", 0)))
        said = record.get("started")
        started = datetime.fromisoformat(said).astimezone() if said else subject.at - seconds
    except (ValueError, TypeError, OverflowError):
        return subject.at, subject.at
    return started, started + seconds


def _source(origin: Origin, record: Mapping[str, Any]) -> str:
    code = record.get("code")
    path = code.get("path") if isinstance(code, dict) else None
    return str(path) if path else {"pipeline": "dvc.yaml", "sweep": "mlops sweep"}.get(origin, "notebook")


def _points(text: str, ended: datetime) -> list[Point]:
    """The points of a file of DVCLive; where it has no times, the run's end."""
    found = []
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t"))
    except csv.Error:
        return []
    for row in rows:
        *_, value = row.values()
        at = row.get("timestamp")
        try:
            when = datetime.fromtimestamp(int(at) / 1000, ended.tzinfo) if at else ended
            found.append(Point(int(row["step"]), float(value), when))
        except (ValueError, KeyError, TypeError, OverflowError, OSError):  # a line that is no point
            continue
    return sorted(found, key=lambda point: point.step)
