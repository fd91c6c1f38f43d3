"""The model of an experiment as a notebook uses one: frames in, probabilities out. No pickle is loaded."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlops import bundle, columns
from mlops.bundle import Bundle
from mlops.errors import ExperimentError, MlopsError, nearest
from mlops.experiments import board, recorded
from mlops.features import Floats
from mlops.git import Git
from mlops.store import model
from mlops.store.objects import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Loaded:
    """A model as it is served. bundle: its parts, such as `bundle.signature`, the columns that it reads."""

    name: str
    bundle: Bundle

    def predict_proba(self, x: pd.DataFrame) -> Floats:
        """Probabilities of rows, shape (rows, 2): of staying, of churning. x: raw columns, others are ignored.

        Raises:
            ExperimentError: a column that the model reads is missing, or holds another kind of values.
        """
        inputs = self.bundle.encoder.plan.inputs
        missing = [i.name for i in inputs if i.name not in x.columns]
        if missing:
            raise ExperimentError(
                f"the model of {self.name} reads {missing[0]!r}, which the frame lacks{nearest(missing[0], x.columns)}"
            )
        try:
            table = pa.Table.from_pandas(x[[i.name for i in inputs]], preserve_index=False)
            raw = columns.raw(table, inputs)
        except pa.ArrowException as error:
            raise ExperimentError(f"the frame is not what the model of {self.name} reads: {error}") from error
        _, p = self.bundle.score_columns(raw)
        return np.column_stack([1 - p, p])

    def predict(self, x: pd.DataFrame) -> NDArray[np.int64]:
        """1 where the probability reaches the model's threshold."""
        return np.asarray(np.round(self.predict_proba(x)[:, 1], 6) >= self.bundle.threshold, dtype=np.int64)


def load(git: Git, artifact: str, name: str) -> Loaded:
    """The model of an experiment, of a notebook's run or of the pipeline; fetched from remote storage where needed.

    Raises:
        ExperimentError: there is no such experiment, or it has no model that can be loaded without a pickle.
        StoreError: the bytes of its model cannot be had.
    """
    found = board.find(board.read(git), name)
    (facts,) = board.facts(git, [found.commit])
    if why := recorded.why_failed(facts.record) or recorded.why_not_served(facts.record):
        raise ExperimentError(f"run {name} has no model to load: {why}")
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        place = Path(folder) / "model"
        Store(git.folder).copy(model.model(git, found.commit, artifact).out, place)
        try:
            return Loaded(found.name, bundle.load(place))
        except MlopsError as error:
            raise ExperimentError(f"the model of {name} cannot be loaded: {error}") from error
