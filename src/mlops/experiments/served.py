"""A model of a notebook as the bundle that the pipeline makes: no pickle, checked against the live model.

What the bundle reads are the columns of the frame that the model was fitted on, as numbers; a column of data/features
is made from the raw columns as the pipeline makes it, so that whoever asks the pipeline's model can ask this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlops import bundle, contributions
from mlops.bundle import Calibrator, to_json
from mlops.encode import Encoder, Matrix, Number
from mlops.experiments import folded, readers
from mlops.experiments import matrix as matrices
from mlops.experiments.chosen import TOLERANCE
from mlops.experiments.folded import Linear
from mlops.experiments.readers import CannotServeError, Ensemble, Read, Weights
from mlops.experiments.rows import Known
from mlops.features import Feature, Floats, Input, Plan, Values
from mlops.model import describe, export, onnx_file


class DifferentError(CannotServeError):
    """What was saved gives other probabilities than the live model gave."""


@dataclass(frozen=True)
class Rows:
    """Rows that a model is described and checked by. x: as the model takes them; known: where they come from."""

    x: Any
    known: Known | None = None


def names_of(model: Any, given: Sequence[str] | None, x: Any) -> list[str]:
    """The names of the columns that a model reads, in its order.

    Raises:
        CannotServeError: they are not known, or contradict each other.
    """
    matrices.refuse_sparse(x)
    held = [str(name) for name in x.columns] if hasattr(x, "columns") else None
    named = [str(name) for name in given] if given is not None else None
    own = _own(model, named or held)
    names = named or own or held
    if names is None:
        raise CannotServeError("the names of its columns are not known: give feature_names=[…]")
    if own is not None and names != own:
        first = next((pair for pair in zip(names, own, strict=False) if pair[0] != pair[1]), (len(names), len(own)))
        raise CannotServeError(f"feature_names differ from those it was fitted with: {first[0]!r} for {first[1]!r}")
    width = getattr(model, "n_features_in_", len(names))
    if len(names) != width or len(set(names)) != len(names):
        raise CannotServeError(f"it reads {width} columns, feature_names are {len(set(names))} different ones")
    return names


def _own(model: Any, others: list[str] | None) -> list[str] | None:
    """The names that a model was fitted with; None where it knows none.

    LightGBM numbers the columns of an array, and writes _ for a space: the others are taken where they agree with that.
    """
    fitted = getattr(model, "feature_names_in_", None)
    if fitted is None:
        return None
    own = [str(name) for name in fitted]
    if hasattr(model, "booster_"):
        if own == [f"Column_{place}" for place in range(len(own))]:
            return None
        if others is not None and [name.replace(" ", "_") for name in others] == own:
            return others
    return own


def make(
    model: Any, names: Sequence[str], rows: Rows, p: Floats, id_column: str | None
) -> tuple[dict[str, bytes], Read]:
    """A bundle's files without the manifest, and what was read of the model.

    Args:
        model: fitted.
        names: of the columns that it reads.
        rows: what signature and profile are made from: those that it learnt from, where they are known.
        p: probabilities of the rows that were scored.
        id_column: which clients may send along.

    Raises:
        CannotServeError: why it cannot be served without a pickle.
    """
    before, estimator = folded.split(model)
    read = readers.read(estimator)
    matrix = matrices.of(rows.x, names)
    apply = None if before is None else folded.transform(before, list(names), matrices.kind_of(rows.x, names))
    encoder = Encoder(*_plan(names, rows, matrix))
    features: dict[str, Values] = {name: matrix[:, i].astype(np.float64) for i, name in enumerate(names)}
    files = {
        "encoder.json": to_json(encoder.to_json()),
        "calibrator.json": to_json(asdict(Calibrator(read.score, getattr(read, "slope", 1.0)))),
        "signature.json": to_json(describe.signature(encoder, features, id_column)),
        "profile.json": to_json({**describe.profile(features), "probability": describe.bins(p)}),
    }
    if isinstance(read, Weights):
        return files | _linear(folded.into_weights(read, before, apply, matrix), matrix), read
    decimals = matrices.decimals(rows.x, names)
    ensemble = folded.for_decimals(read, decimals) if apply is None else folded.into_trees(read, apply, decimals)
    return files | _trees(ensemble, len(names)), read


def _plan(names: Sequence[str], rows: Rows, matrix: Matrix) -> tuple[Plan, tuple[Number, ...]]:
    """How the columns are made: as the pipeline makes those of data/features, else each is a number of its own."""
    made = {f.name: f for f in rows.known.plan.features if f.kind == "number"} if rows.known else {}
    raw = {i.name: i for i in rows.known.plan.inputs} if rows.known else {}
    features = tuple(made.get(name) or Feature(name, "value", (name,)) for name in names)
    inputs: dict[str, Input] = {}
    held = matrices.columns_of(rows.x, names)
    for place, feature in enumerate(features):
        if feature.name in made:
            inputs |= {name: raw[name] for name in feature.inputs}
        else:
            kind = "boolean" if str(held[place].dtype) in ("bool", "boolean") else "number"
            inputs[feature.name] = Input(feature.name, kind, bool(np.isnan(matrix[:, place]).any()))
    return Plan(tuple(inputs.values()), features), tuple(Number(name) for name in names)


def _trees(read: Ensemble, width: int) -> dict[str, bytes]:
    files = {"model.onnx": onnx_file.of_trees(read.trees, width), **export.explainer(read.trees, width)}
    return files | ({"booster.json": read.booster} if read.booster else {})


def _linear(read: Linear, matrix: Matrix) -> dict[str, bytes]:
    document = {
        "kind": "linear",
        "fill": read.center.tolist(),
        "center": read.center.tolist(),
        "missing": np.isnan(matrix).mean(axis=0).tolist(),
        "weight": read.weight.tolist(),
        "intercept": read.intercept,
    }
    return {
        "model.onnx": onnx_file.of_linear(read.center, read.center, read.weight, read.intercept),
        contributions.DOCUMENT: to_json(document),
    }


def check(folder: Path, names: Sequence[str], x: Any, live: Floats) -> float:
    """Load a bundle and score rows with it; how far its probabilities are from the live model's at most.

    Raises:
        DifferentError: they differ; in which row, and how to mend it.
        CannotServeError: the rows are none that it takes.
    """
    loaded = bundle.load(folder)
    matrix = matrices.of(x, names)
    p = loaded.calibrator.many(loaded.raw_scores(matrix))
    distance = np.abs(p - live)
    worst = int(np.argmax(distance))
    if distance[worst] > TOLERANCE:
        off = int(np.count_nonzero(distance > TOLERANCE))
        raise DifferentError(
            f"saved, it gives {p[worst]:.6f} for row {worst} where the live one gives {live[worst]:.6f}"
            f" ({off:,} of {len(live):,} rows differ): the service computes in float32; fit on X.astype('float32')"
        )
    return float(distance[worst])


def facts(model: Any, read: Read, name: str, threshold: float, told: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest says besides digests. told: decision and trained_on, where they are known."""
    estimator = folded.split(model)[1]
    given = estimator.get_params(deep=False)
    seed = given.get("random_state")
    plain = {k: v for k, v in given.items() if isinstance(v, (bool, int, str)) or (isinstance(v, float) and v == v)}
    return {
        "name": name,
        "model": read.kind,
        "score": read.score,
        "threshold": threshold,
        "seed": seed if isinstance(seed, int) else None,
        "hyperparameters": {k: v for k, v in plain.items() if k not in ("random_state", "n_jobs", "verbose")},
        **told,
    }
