"""Raw columns → raw scores and probabilities, in bulk: the service's numbers, the fastest way this environment has."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

import numpy as np

from mlops.batch import booster
from mlops.batch.model import Model
from mlops.features import Coded, Floats, Plan, Values

MOST_TEXTS = 50_000
"""Distinct texts of a column that are remembered; then remembering begins anew."""


class Scorer:
    """Scores rows with XGBoost's booster where the model has one, else with ONNX Runtime.

    Thread-safe, each call on one thread: pieces of a file are scored side by side.
    """

    def __init__(self, model: Model) -> None:
        self._bundle = model.bundle
        self._booster = booster.load(model.folder, model.bundle)
        plan = model.bundle.encoder.plan
        texts = {i.name for i in plan.inputs if i.kind == "text"}
        self._plan = Plan(plan.inputs, tuple(f for f in plan.features if texts.isdisjoint(f.inputs)))
        self._texts = [
            _Texts(name, Plan(plan.inputs, tuple(f for f in plan.features if name in f.inputs))) for name in texts
        ]

    def __call__(self, raw: Mapping[str, Values]) -> tuple[Floats, Floats]:
        """Raw scores and probabilities of raw columns of at least one row, each of shape (rows,)."""
        features = self._plan.columns(raw)
        for texts in self._texts:
            features |= texts.columns(raw)
        if self._booster is not None:
            scores = self._booster.raw_scores(features)
        else:
            scores = self._bundle.raw_scores(self._bundle.encoder.matrix(features))
        return scores, self._bundle.calibrator.many(scores)


class _Texts:
    """The features of one column of texts. What a text measures is remembered: a sentiment takes 40 µs."""

    def __init__(self, name: str, plan: Plan) -> None:
        self._name, self._plan = name, plan
        self._known: dict[str, tuple[float, ...]] = {}
        self._lock = Lock()

    def columns(self, raw: Mapping[str, Values]) -> dict[str, Values]:
        """All features of the column, each an array of one number per row."""
        texts = raw[self._name]
        assert isinstance(texts, Coded)
        rows = self._measured(texts.levels)
        table = np.array(rows, dtype=np.float64).reshape(len(rows), len(self._plan.features))
        return {f.name: texts.lookup(table[:, place].tolist()) for place, f in enumerate(self._plan.features)}

    def _measured(self, levels: tuple[str, ...]) -> list[tuple[float, ...]]:
        with self._lock:  # measuring is Python that holds the interpreter anyway; so nothing is measured twice
            known = self._known
            new = tuple(text for text in dict.fromkeys(levels) if text not in known)
            if len(known) + len(new) > MOST_TEXTS:
                known = self._known = {}
                new = tuple(dict.fromkeys(levels))
            column = Coded(np.arange(len(new), dtype=np.int32), new)
            measures = self._plan.columns({self._name: column}).values()
            known.update(zip(new, zip(*(np.asarray(m).tolist() for m in measures), strict=True), strict=True))
            return [known[text] for text in levels]
