"""From a run's journal to its commit, whether the run ended just now or its process died a week ago."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvclive import Live  # type: ignore[attr-defined]

from mlops.experiments import commit, filing, journal
from mlops.experiments.commit import Logged
from mlops.experiments.filing import Filed
from mlops.experiments.journal import Journal
from mlops.git import Git


class RunLive(Live):
    """DVCLive in a folder of the run's own. It opens no repository, which takes 20 ms and, outside one, makes one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder), resume=True, dvcyaml=None, save_dvc_exp=False, monitor_system=False)
        self._step = None  # a run without curves has no steps

    def _init_dvc(self) -> None:
        self._dvc_file = "dvc.yaml"

    def write(self, params: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Write params.yaml and metrics.json."""
        if params:
            self.log_params(dict(params))
        self.summary = {**self.summary, **metrics}
        self.make_summary()  # type: ignore[no-untyped-call]

    def plot(self, name: str) -> tuple[str, dict[str, Any]]:
        """Where the points of a plot lie inside the folder, and how dvc.yaml shows them."""
        made = self._plots[name]
        return Path(made.output_path).relative_to(self.dir).as_posix(), dict(made.plot_config)


def read(folder: Path) -> Logged:
    """Everything that a run logged."""
    logged = Logged(journal.facts(folder))
    for event in journal.events(folder):
        logged.add(event)
    return logged


def file(git: Git, run: Journal, cache: Path, name: str | None = None, *, late: bool = False) -> Filed:
    """File a run as an experiment and remove its folder. Where that fails the folder stays, and can be filed later.

    Args:
        git: the repository.
        run: its journal.
        cache: DVC's.
        name: of the experiment; the run's unless told.
        late: long after its block; then it replaces nothing, which may be newer and better than it.

    Raises:
        GitError, OSError: it could not be written.
    """
    logged = read(run.folder)
    logged.facts["name"] = name or logged.facts["name"]
    for half in ("metrics.json", "params.yaml"):  # of an attempt that the disk was too full for: DVCLive would read it
        (run.live / half).unlink(missing_ok=True)
    RunLive(run.live).write(logged.params, logged.metrics)
    lives = (path for path in run.live.rglob("*") if path.is_file())
    files = {f"{commit.LIVE}/{path.relative_to(run.live).as_posix()}": path.read_bytes() for path in lives}
    files |= journal.files(run.folder)
    base = str(logged.facts["base"])
    filed = filing.file(
        git, name=logged.facts["name"], base=base, changes=commit.changes(git, base, logged, files, cache),
        message=str(logged.facts["note"]), overwrite=bool(logged.facts["overwrite"]) and not late,
    )  # fmt: skip
    run.remove()
    return filed
