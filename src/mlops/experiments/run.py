"""One run: what is logged inside its block is on disk at once, and a DVC experiment when the block ends."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlops.errors import ExperimentError, MlopsError, one_line
from mlops.experiments import fitting, measure, plain, plots, surroundings
from mlops.experiments.chosen import Scorings
from mlops.experiments.journal import Journal
from mlops.git import Git

if TYPE_CHECKING:
    from mlops.experiments.filing import Filed
    from mlops.experiments.finish import RunLive


@dataclass(frozen=True)
class Place:
    """Where runs are kept. cache: DVC's; artifact: the model's name in dvc.yaml."""

    git: Git
    cache: Path
    artifact: str


class Run:
    """A run. Its methods may be called from any thread.

    filed: the experiment, once the block has ended.
    """

    def __init__(self, place: Place, name: str, note: str, overwrite: bool) -> None:
        self.place, self.name, self.note, self._overwrite = place, name, plain.text(note or ""), overwrite
        self.filed: Filed | None = None
        self._journal: Journal | None = None
        self._live: RunLive | None = None
        self._lock = threading.RLock()
        self._exit = ExitStack()
        self._pid, self._started = os.getpid(), 0.0
        self.base = ""
        self.fits = fitting.Watch()
        self.scored = Scorings()

    def __enter__(self) -> Run:
        """Begin: the journal is on disk before anything is logged."""
        self._pid, self._started = os.getpid(), time.perf_counter()
        git = self.place.git
        self.base = git.commit("HEAD")
        facts, text = surroundings.code(git.folder)
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        with self._kept("begin"):
            self._journal = Journal.create(
                git.folder,
                {
                    "id": f"{now}-{os.urandom(4).hex()}",
                    "name": self.name,
                    "note": self.note,
                    "overwrite": self._overwrite,
                    "base": self.base,
                    "artifact": self.place.artifact,
                    "started": now,
                    "pid": self._pid,
                    "python": platform.python_version(),
                    "packages": surroundings.packages(),
                    "code": facts,
                },
            )
            if text:
                self._journal.write(f"metrics/notebook/code/{_code_name(facts)}", text.encode())
        self.fits = self._exit.enter_context(fitting.watched())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End: file the run, as failed where the block raised. What cannot be filed stays, to be recovered."""
        if not self.alive():  # a forked child leaves the block of its parent
            return
        self._exit.close()
        journal = self._opened()
        try:
            self._end(error)
        except Exception as why:  # whatever it is: what was logged is worth more than the traceback of saving it
            reason = one_line(why) if isinstance(why, (MlopsError, OSError)) else _words(why)
            said = (
                f"run {self.name} could not be saved ({reason}); everything it logged is in {journal.folder}:"
                f" put that right, then `mlops experiments recover {journal.name}`"
            )
            if error is None:
                raise ExperimentError(said) from why
            print(f"error: {said}", file=sys.stderr)
        finally:
            journal.close()
            self._journal = None
            self.fits, self.scored = fitting.Watch(), Scorings()  # the rows that they hold are not needed any more

    def _end(self, error: BaseException | None) -> None:
        from mlops.experiments import finish

        journal = self._opened()
        with self._lock:
            if self.scored.shown is not None:
                self.scored.shown.finish(self)
            state = {"state": "finished"} if error is None else {"state": "failed", "error": _words(error)}
            seconds = round(time.perf_counter() - self._started, 3)
            journal.add("end", **state, seconds=seconds, packages=surroundings.packages())
            self.filed = finish.file(self.place.git, journal, self.place.cache)
        what = "failed" if error is not None else "saved"
        print(f"{what}: experiment {self.filed.name} ({self.filed.commit[:8]})")

    def alive(self) -> bool:
        """Whether this process, and not a parent that it was forked from, has the run open."""
        return self._journal is not None and os.getpid() == self._pid

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Params, flat, dotted or nested: those that params.yaml has get their values there, others notebook.yaml."""
        fitting.look_again()
        with self._kept("log_params"):
            self._opened().add("params", values=plain.params(params))

    def log_metrics(
        self, model: Any, X: Any = None, y: Any = None, *, train_time_seconds: float | None = None,
        threshold: float | None = None, positive: Any = None, keys: Any = None, customers: Any = None,
    ) -> dict[str, float]:  # fmt: skip
        """Metrics of a classifier on rows, or numbers as they are: `log_metrics(model, X, y)`, `log_metrics({…})`.

        Args:
            model: a fitted classifier of two classes with predict_proba; or a mapping, metric → number.
            X: rows as the model takes them.
            y: their labels.
            train_time_seconds: how long `fit` took, where it was not called inside the block.
            threshold: of the decision; p > 0.5 unless told, as predict decides.
            positive: the label whose probability it is; the model's second class unless told.
            keys: what tells each row from all others; rows of data/features are recognised.
            customers: whose each row is; each its own customer's unless told.

        Returns:
            The metrics that were logged.

        Raises:
            ExperimentError: what is wrong with model or rows; a number that is none, by name.
        """
        if isinstance(model, Mapping):
            found = measure.numbers(model)
            with self._kept("log_metrics"):
                self._opened().add("metrics", values=found)
            return found
        from mlops.experiments import evaluated

        if X is None or y is None:
            raise ExperimentError("log_metrics(model, X, y) needs rows and labels; log_metrics({…}) takes numbers")
        told = evaluated.Told(train_time_seconds, threshold, positive, {"keys": keys, "customers": customers})
        with self._kept("log_metrics"):
            scored = evaluated.score(self, model, X, y, told)
            self.scored.add(self, scored)
        return scored.metrics

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        """A number; with a step a point of a curve, whose last value is the metric."""
        number = measure.number(name, value)
        at = None if step is None else plain.step(step)
        with self._kept("log_metric"):
            journal = self._opened()
            if at is not None:
                plots.point(journal, name, at, number)
            journal.add("metrics", values={name: number})

    def log_plot(self, name: str, data: Any, *, x: str | None = None, y: str | list[str] | None = None) -> None:
        """A figure, an image, points, or a curve of scored rows; see `mlops.experiments.plots`."""
        with self._kept("log_plot"):
            self._opened().add("plots", values=plots.log(self.live(), name, data, x, y))

    def log_text(self, name: str, text: str) -> None:
        """A text, as a file of the commit: metrics/notebook/texts/NAME."""
        with self._kept("log_text"):
            self._opened().write(f"metrics/notebook/texts/{plain.path(name)}", plain.text(text).encode())

    def log_artifact(self, path: str | Path, name: str | None = None) -> None:
        """A file or folder, into DVC's cache; the commit has it as artifacts/NAME.

        Raises:
            ExperimentError: there is no such file.
        """
        from mlops.store import keep

        source = Path(path)
        if not source.exists():
            raise ExperimentError(f"{source} does not exist; log_artifact takes a file or folder that does")
        target = f"artifacts/{plain.path(name or source.name)}"
        with self._kept("log_artifact"):
            if source.is_dir():
                inside = {p.relative_to(source).as_posix(): p for p in sorted(source.rglob("*")) if p.is_file()}
                out = keep.folder(self.place.cache, target, inside)
            else:
                out = keep.file(self.place.cache, target, source)
            self.add_out(out)

    def log_dataset(self, name: str, rows: Any, y: Any = None) -> dict[str, Any]:
        """Rows by their digest, count and columns, so that the record says what was used; the rows are not kept."""
        with self._kept("log_dataset"):
            facts = surroundings.data(rows, y)
            self._opened().add("data", values={name: facts})
        return facts

    def log_model(
        self, model: Any, feature_names: Sequence[str] | None = None, *, X: Any = None, threshold: float | None = None
    ) -> bool:
        """The model, as the bundle that the pipeline makes, so that it can be promoted.

        Args:
            model: fitted. docs/experiments.md lists the kinds that are served without a pickle; others are kept as a
                joblib file that nothing serves, and it says why.
            feature_names: of its columns, in order, where it was not fitted on a frame.
            X: rows to check it with, where log_metrics did not score any with it.
            threshold: of the decision; that of log_metrics unless told.

        Returns:
            Whether it can be promoted.
        """
        from mlops.experiments import modelled

        with self._kept("log_model"):
            return modelled.log(self, model, feature_names, X, threshold)

    def live(self) -> RunLive:
        """DVCLive in this run's folder."""
        from mlops.experiments.finish import RunLive

        if self._live is None:
            self._live = RunLive(self._opened().live)
        return self._live

    def add(self, kind: str, **facts: Any) -> None:
        """An event of the journal."""
        self._opened().add(kind, **facts)

    def add_out(self, out: Any, kind: str = "out") -> None:
        """What DVC keeps for the run; kind part: a file of a folder."""
        self._opened().add(kind, path=out.path, md5=out.md5, size=out.size, nfiles=out.nfiles)

    def write(self, path: str, content: bytes) -> None:
        """A file of the commit."""
        self._opened().write(path, content)

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self._opened().folder

    def _opened(self) -> Journal:
        if self._journal is None:
            raise ExperimentError(f"run {self.name} is over: log inside its `with` block")
        return self._journal

    @contextmanager
    def _kept(self, doing: str) -> Iterator[None]:
        """One thing is logged at a time; what the operating system refuses is said with what is safe already."""
        with self._lock:
            try:
                yield
            except OSError as error:
                kept = f"what run {self.name} logged before is kept" if self._journal else "nothing was begun"
                where = f"{error.filename}: " if error.filename else ""
                raise ExperimentError(
                    f"{doing}: {where}{error.strerror or error}; {kept}; put that right and run it again"
                ) from error


def _words(error: BaseException) -> str:
    said = one_line(plain.text(error))
    return f"{type(error).__name__}: {said}"[:2000] if said else type(error).__name__


def _code_name(facts: Mapping[str, Any]) -> str:
    name = Path(str(facts.get("path", "cells.py"))).name
    return f"{Path(name).stem}.py" if "cells" in facts else name
