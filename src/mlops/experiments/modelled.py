"""log_model: the bundle, checked against the live model, into DVC's cache; or a joblib file that nothing serves."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops import bundle
from mlops import schema as schemas
from mlops.errors import MlopsError
from mlops.experiments import commit, measure, rows, served, surroundings
from mlops.experiments.evaluated import Scored
from mlops.experiments.fitting import Fitted
from mlops.experiments.readers import CannotServeError
from mlops.experiments.served import Rows
from mlops.features import Floats
from mlops.store import keep

if TYPE_CHECKING:
    from mlops.experiments.run import Run

PICKLED = "models/notebook-model.joblib"


def log(run: Run, model: Any, names: Sequence[str] | None, x: Any, threshold: float | None) -> bool:
    """Keep a model; whether it can be promoted. Why not is said on stderr, and in the run's record."""
    place = run.folder / "served"
    try:
        facts = _serve(run, model, names, x, threshold)
    except CannotServeError as why:
        shutil.rmtree(place, ignore_errors=True)
        content = io.BytesIO()
        _dump(model, content)
        run.add_out(keep.file(run.place.cache, PICKLED, content.getvalue()))
        run.add("model", values={"state": "artifact", "class": type(model).__name__, "reason": str(why)})
        print(f"note: {type(model).__name__} is kept as {PICKLED} and cannot be promoted: {why}", file=sys.stderr)
        return False
    run.add("model", values={"state": "served", "class": type(model).__name__, **facts})
    return True


def _dump(model: Any, content: io.BytesIO) -> None:
    import joblib

    joblib.dump(model, content)


def _serve(run: Run, model: Any, names: Sequence[str] | None, x: Any, threshold: float | None) -> dict[str, Any]:
    scored = _scored(run, model)
    fitted = run.fits.of(model)
    if x is None:
        x = scored.x if scored else fitted.x if fitted else None
    if x is None:
        raise CannotServeError("there are no rows to check it with; log_metrics(model, X, y) before it, or give X=")
    live, positive = _live(model, x, scored)
    if positive != measure.classes(model)[1]:
        raise CannotServeError(f"positive={positive!r} is its first class; fit with the label that means churn as 1")
    learnt = _learnt(run, fitted, positive)
    known = learnt.known or (scored.known if scored else None) if learnt else scored.known if scored else None
    described = Rows(learnt.x if learnt else x, known)
    named = served.names_of(model, names, x)
    files, read = served.make(model, named, described, live, _id(run, known))
    told = {"decision": commit.decision(run.place.git, run.base), "trained_on": _trained(fitted, positive)}
    if threshold is None:
        threshold = scored.threshold if scored else measure.ABOVE_HALF
    facts = served.facts(
        model, read, run.place.artifact, threshold, {key: value for key, value in told.items() if value is not None}
    )
    folder = run.folder / "served"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    bundle.save(folder, files, facts)
    difference = served.check(folder, named, x, live)
    kept = {path.name: path for path in folder.iterdir()}
    run.add_out(keep.folder(run.place.cache, commit.MODEL, kept))
    return {"kind": read.kind, "checked_rows": len(live), "largest_difference": float(f"{difference:.2g}")}


def _scored(run: Run, model: Any) -> Scored | None:
    scored: Scored | None = run.scored
    return scored if scored is not None and scored.model() is model else None


def _live(model: Any, x: Any, scored: Scored | None) -> tuple[Floats, Any]:
    """The live model's probabilities of rows, and of which label."""
    if scored is not None and x is scored.x:
        return scored.found.p, scored.found.positive
    known = measure.classes(model)
    if len(known) != 2 or not hasattr(model, "predict_proba"):
        raise CannotServeError("it gives no probability of two classes")
    return np.asarray(model.predict_proba(x), dtype=np.float64)[:, 1], known[1]


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
    try:
        column = schemas.load(run.place.git.folder / schemas.PATH).role("id")
    except MlopsError:
        return None
    return column.name if column else None
