"""Experiments as offline runs of Weights & Biases: a folder each, which `wandb sync` sends. No network is asked."""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mlops.errors import ExperimentError
from mlops.export import choose
from mlops.export.contents import MODEL
from mlops.export.facts import Facts, Run
from mlops.registry.look import Registry

PLACE = Path(".dvc/tmp/wandb")
WHOLE = "mlops-exported"
"""A file of a run's folder that says that all of it was written."""
LONGEST_TAG = 64
OFFLINE, ONLINE = "offline", "online"


@dataclass(frozen=True)
class Wishes:
    """What is asked for. project: the registry's name where it is None; see `choose.subjects`."""

    project: str | None = None
    entity: str | None = None
    folder: str | None = None
    since: datetime | None = None
    history: bool = False


@dataclass
class Done:
    """What an export did."""

    place: Path
    project: str
    offline: bool
    new: list[str] = field(default_factory=list)
    there: int = 0

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {"dir": str(self.place), "project": self.project, "new": self.new, "there": self.there}


def export(registry: Registry, wishes: Wishes) -> Done:
    """Write the runs that a folder lacks.

    Raises:
        ExperimentError: wandb is not installed, or WANDB_MODE says that it shall write nothing.
    """
    mode = os.environ.get("WANDB_MODE", OFFLINE)
    if mode not in (OFFLINE, ONLINE):
        raise ExperimentError(f"WANDB_MODE={mode} would write nothing; unset it, or set it to {OFFLINE} or {ONLINE}")
    place = Path(wishes.folder) if wishes.folder else registry.git.folder / PLACE
    place.mkdir(parents=True, exist_ok=True)
    facts = Facts(registry.git, registry.name)
    done = Done(place, wishes.project or registry.name, mode == OFFLINE)
    subjects = choose.subjects(registry, wishes.since, history=wishes.history)
    todo = [subject for subject in subjects if not _is_there(place, identity(subject.commit))]
    done.there = len(subjects) - len(todo)
    if not todo:
        return done
    wandb = _load(place.absolute(), mode)
    for subject in tqdm(todo, "export", unit="run", disable=None, leave=False):
        _write(wandb, registry, facts, facts.read(subject), done, wishes.entity)
        done.new.append(subject.name)
    wandb.teardown()
    return done


def identity(commit: str) -> str:
    """A run's id: made of the commit, so that what is sent twice is one run."""
    return f"git-{commit[:24]}"


def _load(place: Path, mode: str) -> Any:
    """The client, with all that it writes in one folder, asking and reporting nothing."""
    os.environ.update(
        WANDB_MODE=mode, WANDB_SILENT="true", WANDB_ERROR_REPORTING="false", WANDB_DATA_DIR=str(place / "data"),
        WANDB_CACHE_DIR=str(place / "cache"), WANDB_CONFIG_DIR=str(place / "config"),
    )  # fmt: skip
    try:
        return importlib.import_module("wandb")
    except ImportError as error:
        raise ExperimentError(
            f"wandb is not installed ({error}); `pip install -e '.[wandb]'`, or `make wandb` does it all"
        ) from None


def _is_there(place: Path, run: str) -> bool:
    """Whether a run was written whole; what an export left that was ended half way is removed."""
    whole = False
    for folder in (place / "wandb").glob(f"*run-*-{run}"):
        if (folder / WHOLE).exists():
            whole = True
        else:
            shutil.rmtree(folder)
    return whole


def _write(wandb: Any, registry: Registry, facts: Facts, run: Run, done: Done, entity: str | None) -> None:
    subject = run.subject
    settings = wandb.Settings(
        mode=OFFLINE if done.offline else ONLINE, silent=True, quiet=True, console="off", symlink=False,
        disable_git=True, disable_code=True, x_disable_stats=True, x_disable_meta=True, x_disable_machine_info=True,
        x_save_requirements=False,
    )  # fmt: skip
    tags = [run.origin, subject.kind, "failed" if run.failed else "finished"]
    made = wandb.init(
        project=done.project, entity=entity, id=identity(subject.commit), name=subject.name, notes=subject.note,
        tags=[tag[:LONGEST_TAG] for tag in tags], config=_config(run), dir=str(done.place.absolute()),
        settings=settings, reinit="finish_previous", resume=None if done.offline else "allow",
    )  # fmt: skip
    folder = Path(made.settings.sync_dir)
    for step, row in _rows(run).items():
        made.log(row, step=step)
    made.summary.update(dict(run.metrics))
    with tempfile.TemporaryDirectory(prefix="mlops-export-") as unpacked:
        facts.unpack(run, Path(unpacked))
        for artifact in _artifacts(wandb, registry.name, run, Path(unpacked)):
            made.log_artifact(artifact)
        made.finish(exit_code=1 if run.failed else 0)
    (folder / WHOLE).write_text(f"{subject.commit}\n", encoding="utf-8")


def _config(run: Run) -> dict[str, Any]:
    """Params, and under `mlops` where they came from."""
    told = {
        **run.tags, "commit": run.subject.commit, "author": run.subject.author, "source": run.source,
        "started": run.started.isoformat(), "ended": run.ended.isoformat(),
        "data": {d.name: {"digest": d.digest, "rows": d.rows} for d in run.data},
    }  # fmt: skip
    return {**run.subject.params, "mlops": told}


def _rows(run: Run) -> dict[int, dict[str, float]]:
    """Step → values of all curves; wandb's steps begin at 0 and only rise."""
    steps = sorted({p.step for points in run.curves.values() for p in points})
    place = {step: step if steps[0] >= 0 else index for index, step in enumerate(steps)}
    found: dict[int, dict[str, float]] = {place[step]: {} for step in steps}
    for name, points in run.curves.items():
        for point in points:
            found[place[point.step]] |= {name: point.value, "_timestamp": point.at.timestamp()}
    return found


def _artifacts(wandb: Any, name: str, run: Run, folder: Path) -> list[Any]:
    """The served model, and all other files as they are called in the repository."""
    told: Mapping[str, Any] = {"commit": run.subject.commit, "origin": run.origin}
    made = []
    if run.has_model:
        model = wandb.Artifact(name, type="model", metadata=dict(told))
        model.add_dir(str(folder / MODEL))
        made.append(model)
    others = [path for path in (*run.contents.blobs, *run.contents.objects) if not path.startswith(f"{MODEL}/")]
    if others:
        files = wandb.Artifact(f"files-{identity(run.subject.commit)}", type="files", metadata=dict(told))
        for path in others:
            files.add_file(str(folder / path), name=path)
        made.append(files)
    return made
