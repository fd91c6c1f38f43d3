"""ExperimentTracker: what a notebook or script says to have its runs kept, compared and promoted."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops import git as repository
from mlops import policy as policies
from mlops.errors import ExperimentError, GitError
from mlops.experiments import filing, surroundings
from mlops.experiments.run import Place, Run
from mlops.git import Git
from mlops.policy import Policy
from mlops.store import settings

if TYPE_CHECKING:
    import pandas as pd

    from mlops.experiments.board import Experiment
    from mlops.experiments.loaded import Loaded

_VERSION = re.compile(r"v\d+\.\d+\.\d+.*")
_active: ContextVar[Run | None] = ContextVar("mlops_run", default=None)


class ExperimentTracker:
    """Runs of this repository. What is logged through the tracker goes to the run that this thread has open.

    Args:
        folder: anywhere inside the repository; the current folder unless told, else that of the script that runs.

    Raises:
        GitError: no Git repository, or one without a commit.
        ExperimentError: no DVC repository.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.git = _repository(folder)

    @cached_property
    def policy(self) -> Policy:
        """policy.yaml as it is now."""
        return policies.load(self.git.folder / policies.PATH)

    @cached_property
    def place(self) -> Place:
        """Where runs are kept."""
        return Place(self.git, settings.of(self.git.folder).cache, self.policy.registry.name)

    @contextmanager
    def run(self, name: str, note: str = "", *, overwrite: bool = False) -> Iterator[Run]:
        """A run: a DVC experiment of HEAD when the block ends, kept as failed when it raises.

        Args:
            name: of the experiment; where HEAD has one of that name it becomes name-2, name-3, …
            note: what the run is about; it stands in the commit's message.
            overwrite: replace the experiment of that name.

        Raises:
            ExperimentError: a bad name, or another run is open in this thread; at the end, that it could not be saved.
        """
        filing.check(name)
        if name in self.policy.registry.stages or _VERSION.fullmatch(name):
            raise ExperimentError(f"{name!r} is the name of a stage or version; call the run something else")
        outer = _open()
        if outer is not None:
            raise ExperimentError(f"run {outer.name} is open here: leave its `with` block before run {name} begins")
        made = Run(self.place, name, note, overwrite)
        with made:
            _active.set(made)
            try:
                yield made
            finally:
                _active.set(None)

    def __getattr__(self, name: str) -> Any:
        """log_params, log_metrics, log_metric, log_plot, log_text, log_artifact, log_dataset, log_model: the run's."""
        method = getattr(Run, name, None) if name.startswith("log_") else None
        if method is None:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")

        @functools.wraps(method)
        def log(*given: Any, **named: Any) -> Any:
            run = _open()
            if run is None:
                raise ExperimentError(f'{name} was called outside a run; put it inside `with tracker.run("name"):`')
            return method(run, *given, **named)

        return log

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in dir(Run) if name.startswith("log_"))]

    def compare(self, metric: str | None = None, top: int | None = None, plot: str | Path | bool = False) -> None:
        """Show all experiments, the best first; `to_frame` and `best` give them.

        Args:
            metric: by which; the gate's unless told.
            top: how many; 0 for all.
            plot: the metric by param and ROC curves too: True draws them in the notebook, a path writes a page.

        Raises:
            ExperimentError: there is no experiment, none has the metric; plot=True, and this is no notebook.
        """
        from mlops.experiments import compare, compare_page, compare_text

        shell = surroundings.shell()
        if plot is True and shell is None:
            raise ExperimentError('plot=True draws in a notebook; here plot="compare.html" writes a page')
        found = compare.compare(self.git, metric, top)
        if isinstance(plot, (str, Path)):
            compare_page.write(self.git, found, Path(plot))
        if shell is None:
            compare_text.console().print(found)
        else:
            notebook: Any = import_module("IPython.display")
            notebook.display(found)
            if plot:
                notebook.display(notebook.HTML(compare_page.inline(self.git, found)))

    def best(self, metric: str | None = None) -> Experiment:
        """The best finished experiment; by the gate's metric unless told."""
        from mlops.experiments import compare

        return compare.best(self.git, metric)

    def to_frame(self) -> pd.DataFrame:
        """All experiments as a frame, a row each."""
        from mlops.experiments import board, frame

        return frame.frame(board.read(self.git))

    def load_model(self, name: str) -> Loaded:
        """The model of an experiment, with `predict_proba` and `predict` of raw columns."""
        from mlops.experiments import loaded

        return loaded.load(self.git, self.place.artifact, name)

    def delete(self, name: str) -> None:
        """Remove an experiment from this repository; versions that were made of it stay."""
        from mlops.experiments import board

        board.delete(self.git, name)

    def promote(self, name: str, **asked: Any) -> bool:
        """Promote a run, as `mlops promote` does; whether it is promoted.

        Args:
            name: of the experiment.
            asked: stage, version, bump, why, force, weight, prove: as of `mlops.registry.promote.Request`.

        Raises:
            ExperimentError: there is no such run, or it failed, or its model cannot be served.
            RegistryError: what else stands in the way.
        """
        from mlops.experiments import promoting

        return promoting.promote(self.git, name, **asked)

    def promote_best(self, metric: str | None = None, **asked: Any) -> bool:
        """Promote the run with the best value of a metric (the gate's unless told) of those that can be promoted."""
        from mlops.experiments import promoting

        return promoting.promote_best(self.git, metric, **asked)


def promote_best(metric: str | None = None, **asked: Any) -> bool:
    """`ExperimentTracker().promote_best(…)`, for one line in a notebook."""
    return ExperimentTracker().promote_best(metric, **asked)


def _open() -> Run | None:
    """The run that is open in this thread; a forked child has none of its own."""
    run = _active.get()
    return run if run is not None and run.alive() else None


def _repository(folder: str | Path | None) -> Git:
    """The repository of a folder; unless told of the current one, else of the script's."""
    try:
        git = repository.here(Path(folder) if folder is not None else None)
    except GitError as first:
        main = surroundings.script()
        if folder is not None or main is None:
            raise
        try:
            git = repository.here(main.resolve().parent)
        except GitError:  # what is wrong with the current folder is what people can see
            raise first from None
    head = git.attempt("rev-parse", "--verify", "--quiet", "HEAD")
    if head.returncode:
        raise GitError(f"{git.folder} has no commit yet, and an experiment is a variation of one; `git commit` first")
    if len(head.stdout.strip()) != 40:
        raise GitError(f"{git.folder} names its commits by SHA-256, and DVC only finds experiments under SHA-1")
    if not (git.folder / ".dvc").is_dir():
        raise ExperimentError(f"{git.folder} has no .dvc folder, where runs are kept; `dvc init` and commit that")
    return git
