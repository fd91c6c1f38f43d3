"""log_model: the bundle, checked against the live model, into DVC's cache; or a joblib file that nothing serves."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops import bundle
from mlops import schema as schemas
from mlops.errors import MlopsError, one_line
from mlops.experiments import chosen, commit, measure, rows, served, surroundings
from mlops.experiments.fitting import Fitted
from mlops.experiments.readers import CannotServeError
from mlops.experiments.served import DifferentError, Rows
from mlops.features import Floats
from mlops.store import keep

if TYPE_CHECKING:
    from mlops.experiments.run import Run

OTHERS = (
    "the metrics of this run are another model's, or this one was fitted again since, or its rows were changed;"
    " call log_metrics(model, X, y) with the model that is logged, before log_model"
)
LEARNT = (
    "it was scored only on the rows that it learnt from; call log_metrics(model, X_test, y_test) with other rows,"
    " before log_model"
)


def log(run: Run, model: Any, names: Sequence[str] | None, x: Any, threshold: float | None) -> bool:
    """Keep a model; whether it can be promoted. Why not is said on stderr, and in the run's record."""
    if threshold is not None:
        threshold = measure.threshold(threshold)
    try:
        facts = _serve(run, model, names, x, threshold)
    except OSError:
        raise
    except Exception as why:  # of any estimator there may be: the run's other results are worth keeping
        said = one_line(why) if isinstance(why, MlopsError) else f"{type(why).__name__}: {one_line(why)}"
        _keep(run, model, said)
        return False
    run.add("model", values={"state": "served", "class": type(model).__name__, **facts})
    return True


def _keep(run: Run, model: Any, why: str) -> None:
    """Keep a model that cannot be served."""
    shutil.rmtree(run.folder / "served", ignore_errors=True)
    run.scored.keep(run, model)
    kind, content = type(model).__name__, io.BytesIO()
    try:
        _dump(model, content)
        run.add_out(keep.file(run.place.cache, commit.PICKLED, content.getvalue()))
        kept = f"is kept as {commit.PICKLED}"
    except OSError:
        raise
    except Exception as error:  # a lambda in it, an open file
        kept = f"is not kept ({one_line(error)})"
    run.add("model", values={"state": "artifact", "class": kind, "reason": why})
    print(f"note: {kind} {kept} and cannot be promoted: {why}", file=sys.stderr)


def _dump(model: Any, content: io.BytesIO) -> None:
    import joblib

    joblib.dump(model, content)


@dataclass(frozen=True)
class _Live:
    """A model as it is now. p: the probabilities that it gives the rows x, of its second class."""

    model: Any
    x: Any
    p: Floats
    threshold: float | None


def _serve(run: Run, model: Any, names: Sequence[str] | None, x: Any, threshold: float | None) -> dict[str, Any]:
    if hasattr(model, "best_estimator_") and hasattr(model, "best_params_"):  # a search, of which one model is served
        raise CannotServeError(f"{type(model).__name__} is a search; log search.best_estimator_")
    own, fitted = run.scored.of(model), run.fits.of(model)
    if x is None:
        x = own.x if own else fitted.x if fitted else None
    if x is None:
        x = run.scored.calls[-1].x if run.scored.calls else None
    if x is None:
        raise CannotServeError("there are no rows to check it with; log_metrics(model, X, y) before it, or give X=")
    if own and own.found.positive != measure.classes(model)[1]:
        raise CannotServeError(
            f"positive={own.found.positive!r} is its first class; fit with the label that means churn as 1"
        )
    if own is None or x is not own.x:
        return _save(run, _Live(model, x, _probabilities(model, x), threshold), names)
    try:
        return _save(run, _Live(model, x, own.found.p, threshold), names)
    except DifferentError:
        now = _probabilities(model, x)
        if chosen.same(now, own.found.p):
            raise
        return _save(run, _Live(model, x, now, threshold), names)  # it was fitted again after it was scored


def _probabilities(model: Any, x: Any) -> Floats:
    if len(measure.classes(model)) != 2 or not hasattr(model, "predict_proba"):
        raise CannotServeError("it gives no probability of two classes")
    return measure.probabilities(model, x, 1)


def _save(run: Run, live: _Live, names: Sequence[str] | None) -> dict[str, Any]:
    """Write the bundle, and make the rows that this model scored those of the run."""
    model, x = live.model, live.x
    scored = run.scored.choose(model, x, live.p)
    if scored is None and run.scored.calls:
        raise CannotServeError(OTHERS)
    if scored is not None and scored.learnt:
        raise CannotServeError(LEARNT)
    fitted, positive = run.fits.of(model), measure.classes(model)[1]
    learnt = _learnt(run, fitted, positive)
    known = (learnt.known if learnt else None) or (scored.known if scored else None)
    named = served.names_of(model, names, x)
    files, read = served.make(model, named, Rows(learnt.x if learnt else x, known), live.p, _id(run, known))
    told = {"decision": commit.decision(run.place.git, run.base), "trained_on": _trained(fitted, positive)}
    threshold = live.threshold if live.threshold is not None else scored.threshold if scored else measure.ABOVE_HALF
    facts = served.facts(
        model, read, run.place.artifact, threshold, {key: value for key, value in told.items() if value is not None}
    )
    folder = run.folder / "served"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    bundle.save(folder, files, facts)
    difference = served.check(folder, named, x, live.p)
    if scored is not None:
        if scored.x is not x:
            served.check(folder, named, scored.x, scored.found.p)
        run.scored.show(run, scored)
    run.scored.names, run.scored.artifact = named, None
    kept = {path.name: path for path in folder.iterdir()}
    run.add_out(keep.folder(run.place.cache, commit.MODEL, kept))
    return {"kind": read.kind, "checked_rows": len(live.p), "largest_difference": float(f"{difference:.2g}")}


def _learnt(run: Run, fitted: Fitted | None, positive: Any) -> Rows | None:
    """The rows that a model was fitted on inside the block; those of data/features are filed with their keys."""
    if fitted is None or fitted.x is None or fitted.y is None:
        return None
    root = run.place.git.folder
    y = (np.asarray(fitted.y).reshape(-1) == positive).astype(np.int8)
    run.add("data", values={"trained": surroundings.data(fitted.x, fitted.y)})
    known = rows.known(root, "train", fitted.x, y)
    if known is not None:
        learnt = rows.learnt(root)
        run.add_out(keep.file(run.place.cache, f"{commit.ROWS}/trained.parquet", rows.packed(learnt)), "part")
    return Rows(fitted.x, known)


def _trained(fitted: Fitted | None, positive: Any) -> dict[str, Any] | None:
    if fitted is None or fitted.y is None:
        return None
    labels = np.asarray(fitted.y).reshape(-1)
    digest = surroundings.data(fitted.x, fitted.y)["sha256"]
    return {"rows": len(labels), "churned": int((labels == positive).sum()), "sha256": digest}


def _id(run: Run, known: rows.Known | None) -> str | None:
    """The column that says whose a row is, which clients of the pipeline's model may send along."""
    if known is None:
        return None
    path = run.place.git.folder / schemas.PATH
    try:
        return _id_column(path, path.stat().st_mtime_ns)
    except (MlopsError, OSError):
        return None


@lru_cache(maxsize=8)
def _id_column(path: Path, written: int) -> str | None:
    """The column of a schema file as it was written at a time: reading it takes a third of all that log_model does."""
    column = schemas.load(path).role("id")
    return column.name if column else None
