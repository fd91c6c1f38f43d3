"""Experiments as MLflow's runs. A server says itself what it has: nothing is remembered here."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mlops.errors import ExperimentError
from mlops.export import names
from mlops.export.address import Mlflow
from mlops.export.contents import MODEL
from mlops.export.facts import Data, Run

COMMIT, STATE, REPOSITORY = "mlops.commit", "mlops.export", "mlops.repository"
RENAMED, LACKS_MODEL = "mlops.renamed", "mlops.lacks_model"
KIND, MISSING = "kind", "missing"
BEGUN, DONE, PRUNED = "begun", "done", "pruned"
PAGE = 500
LONGEST_DIGEST = 36


@dataclass(frozen=True)
class There:
    """A run that a server has. state: begun, done or pruned; deleted: somebody put it into MLflow's trash."""

    run: str
    state: str
    kind: str
    repository: str
    lacks_model: bool
    deleted: bool

    @property
    def finished(self) -> bool:
        """Whether nothing of it is missing."""
        return self.state == DONE


class Tracking:
    """An experiment of an MLflow server, in MLflow's sense: a list of runs.

    Args:
        mlflow: the server.
        experiment: its name, made where there is none.
        repository: by which our runs are told from those of other repositories.
    """

    def __init__(self, mlflow: Mlflow, experiment: str, repository: str) -> None:
        self._client, self._entities, self._repository = mlflow.client, mlflow.entities, repository
        self.renamed: dict[str, str] = {}
        found = self._client.get_experiment_by_name(experiment)
        if found is not None and found.lifecycle_stage != "active":
            raise ExperimentError(
                f"the MLflow experiment {experiment!r} was deleted there; restore it, or name another with --experiment"
            )
        self.id: str = found.experiment_id if found else self._client.create_experiment(experiment)

    def there(self) -> dict[str, There]:
        """Commit → its run. Where two exports at once made two of one, the later is put into MLflow's trash."""
        found: dict[str, There] = {}
        for run in sorted(self._search(), key=lambda run: (run.info.lifecycle_stage != "active", _made(run))):
            tags = run.data.tags
            seen = There(
                run.info.run_id, tags.get(STATE, BEGUN), tags.get(KIND, ""), tags.get(REPOSITORY, ""),
                LACKS_MODEL in tags, run.info.lifecycle_stage != "active",
            )  # fmt: skip
            if tags[COMMIT] not in found:
                found[tags[COMMIT]] = seen
            elif not seen.deleted:
                self._client.delete_run(seen.run)
        return found

    def write(self, run: Run, unpack: Callable[[Run, Path], None], there: There | None) -> str:
        """Write a run whole. One that was begun is finished; it is called done when everything of it is there.

        Args:
            run: what to write.
            unpack: lays its files into a folder.
            there: what the server has of it.

        Returns:
            MLflow's id of it.
        """
        params, renamed = names.named(run.subject.params)
        _, of_metrics = names.named({**run.metrics, **run.curves})
        at = there.run if there else self._begin(run, {**renamed, **of_metrics})
        if there is not None and there.deleted:
            self._client.restore_run(at)
        self._numbers(at, self._params(params), self._metrics(run, of_metrics))
        self.renamed |= renamed | of_metrics
        if run.data:
            self._client.log_inputs(at, datasets=[self._dataset(run, data) for data in run.data])
        with tempfile.TemporaryDirectory(prefix="mlops-export-") as folder:
            unpack(run, Path(folder))
            self.renamed |= _addressable(Path(folder))
            if any(Path(folder).iterdir()):
                self._client.log_artifacts(at, folder)
        self._client.set_terminated(at, "FAILED" if run.failed else "FINISHED", _milliseconds(run.ended))
        if there is not None and there.lacks_model and run.has_model:
            for tag in (LACKS_MODEL, MISSING):
                self._client.delete_tag(at, tag)
        self._client.set_tag(at, STATE, DONE)
        return at

    def prune(self, there: There) -> None:
        """Put a run into MLflow's trash, from where the next export takes it if the experiment is back."""
        self._client.set_tag(there.run, STATE, PRUNED)
        self._client.delete_run(there.run)

    def _search(self) -> Iterator[Any]:
        token, every = None, self._entities.ViewType.ALL
        while True:
            page = self._client.search_runs([self.id], f"tags.`{COMMIT}` LIKE '%'", every, PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _begin(self, run: Run, renamed: Mapping[str, str]) -> str:
        """A run with all its tags, which is not done yet."""
        tags = {
            **run.tags, COMMIT: run.subject.commit, STATE: BEGUN, REPOSITORY: self._repository,
            "mlflow.user": run.subject.author, "mlflow.source.name": run.source,
            "mlflow.source.git.commit": run.subject.commit, "mlflow.note.content": run.subject.note or "",
            RENAMED: json.dumps(renamed, ensure_ascii=False) if renamed else "",
            LACKS_MODEL: "`dvc fetch`, then export again" if MODEL in run.contents.missing else "",
        }  # fmt: skip
        made = self._client.create_run(
            self.id, start_time=_milliseconds(run.started), run_name=run.subject.name,
            tags={key: names.text(value, names.LONGEST_TAG) for key, value in tags.items() if value},
        )  # fmt: skip
        return str(made.info.run_id)

    def _numbers(self, at: str, params: Sequence[Any], metrics: Sequence[Any]) -> None:
        """Log in as few requests as may be: one for most runs."""
        size = {place: len(json.dumps([p.key, p.value])) for place, p in enumerate(params)}
        batches = (names.batches(params, names.MOST_PARAMS, size), names.batches(metrics, names.MOST_METRICS))
        for some, more in zip_longest(*batches, fillvalue=()):
            self._client.log_batch(at, params=some, metrics=more)

    def _params(self, params: Mapping[str, Any]) -> list[Any]:
        return [self._entities.Param(key, names.text(value, names.LONGEST_PARAM)) for key, value in params.items()]

    def _metrics(self, run: Run, renamed: Mapping[str, str]) -> list[Any]:
        """Curves with their steps, and numbers that are no curve's last value."""
        made = []
        for old in dict.fromkeys([*run.metrics, *run.curves]):
            name, points = renamed.get(old, old), run.curves.get(old, ())
            made += [self._entities.Metric(name, p.value, _milliseconds(p.at), p.step) for p in points]
            if old in run.metrics and not (points and points[-1].value == run.metrics[old]):
                # Of one step the later counts: after the curve's last point.
                step, at = (points[-1].step, points[-1].at) if points else (0, run.ended)
                made.append(self._entities.Metric(name, float(run.metrics[old]), _milliseconds(at) + 1, step))
        return made

    def _dataset(self, run: Run, data: Data) -> Any:
        source = json.dumps({"path": data.name, "commit": run.subject.commit, "digest": data.digest})
        schema = json.dumps({"columns": list(data.columns)})[:1_000_000] if data.columns else None
        profile = json.dumps({"num_rows": data.rows}) if data.rows is not None else None
        made = self._entities.Dataset(
            data.name[:500], data.digest[:LONGEST_DIGEST], "dvc" if run.origin == "pipeline" else "notebook", source,
            schema, profile,
        )  # fmt: skip
        return self._entities.DatasetInput(made, [self._entities.InputTag("mlflow.data.context", "training")])


def _made(run: Any) -> tuple[bool, int, str]:
    """What of two runs of one commit stays: the one that is done, then the earlier."""
    return run.data.tags.get(STATE) != DONE, run.info.start_time or 0, run.info.run_id


def _addressable(folder: Path) -> dict[str, str]:
    """Rename files whose paths would not arrive as they are: old → new."""
    files = {place.relative_to(folder).as_posix(): place for place in folder.rglob("*") if not place.is_dir()}
    _, changed = names.named(files, names.path)
    for old, new in changed.items():
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        files[old].rename(folder / new)
    return changed


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
