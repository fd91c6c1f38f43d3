"""One of the two versions that are compared: its model, its scored test rows, and the rows that it was made from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops import bundle, columns, production
from mlops.bundle import Bundle
from mlops.errors import BundleError, StoreError
from mlops.git import Git
from mlops.store import lock, model
from mlops.store.lock import Out
from mlops.store.objects import Store

PREDICTIONS = "data/predictions"
FEATURES = "data/features"
NOTEBOOK = "data/notebook"
"""What a notebook's run scored (test), and what its model may have learnt from (trained), where that is known."""
SCORED = ("key", "customer", "y", "p")
Table = Callable[[], pa.Table]


@dataclass(frozen=True)
class Side:
    """A version.

    Args:
        name: as a person knows it.
        commit: its full hash.
        bundle: the served model.
        manifest: the sha256 of its manifest.
        size: bytes of the served model.
        predictions: the test rows as it scored them; None for a model without any.
        features: reads the features of the test rows (data/features); raises StoreError where they cannot be had.
        trained: reads key and customer of the rows that it learnt from; raises StoreError where nobody knows them.
    """

    name: str
    commit: str
    bundle: Bundle
    manifest: str
    size: int
    predictions: pa.Table | None
    features: Table
    trained: Table


def load(git: Git, store: Store, commit: str, name: str, artifact: str) -> Side:
    """A version out of the store.

    Args:
        git: the repository.
        store: where its bytes are.
        commit: its full hash.
        name: as a person knows it.
        artifact: the model's name in dvc.yaml.

    Raises:
        StoreError: its model or its scored rows are named by the commit, and cannot be had or read.
    """
    found = model.model(git, commit, artifact)
    with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
        place = Path(folder) / "model"
        store.copy(found.out, place)
        try:
            loaded, manifest = bundle.load(place), production.manifest_digest(place)
        except BundleError as error:
            reason = str(error).replace(str(place), found.path)
            raise StoreError(f"the model of {name} (commit {commit[:8]}) cannot be loaded: {reason}") from error
        size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    files = _Files(git, store, commit, name)
    if found.origin == "notebook":
        files.of_notebook()
    scored = files.scored
    return Side(
        name, commit, loaded, manifest, size,
        predictions=_checked(files.table(scored, "test"), name, scored) if files.has(scored, "test") else None,
        features=lambda: files.table(FEATURES, "test"),
        trained=files.trained,
    )  # fmt: skip


def _checked(scored: pa.Table, name: str, folder: str) -> pa.Table:
    """Scored rows as evaluation writes them; a model of somebody's own may bring others."""
    wrong = [f"it has no column {column}" for column in SCORED if column not in scored.column_names]
    if not wrong:
        gaps = [column for column in SCORED if scored.column(column).null_count]
        wrong = [f"{column} is missing somewhere" for column in gaps]
    if not wrong:
        y, p = columns.floats(scored.column("y")), columns.floats(scored.column("p"))
        wrong += [] if np.isin(y, (0, 1)).all() else ["y is not always 0 or 1"]
        wrong += [] if ((p >= 0) & (p <= 1)).all() else ["p is not always from 0 to 1"]
        wrong += [] if pc.count_distinct(scored.column("key")).as_py() == len(y) else ["two rows have one key"]
    if wrong:
        again = "log_metrics writes it" if folder == NOTEBOOK else "`dvc repro` writes it"
        raise StoreError(f"{folder}/test.parquet of {name} cannot be compared: {wrong[0]}; {again}")
    for column in ("key", "customer"):
        texts = pc.cast(scored.column(column), pa.string())
        scored = scored.set_column(scored.column_names.index(column), column, texts)
    return scored


def signature(git: Git, store: Store, commit: str, artifact: str) -> dict[str, Any]:
    """What clients send the model of a commit, read without loading the model.

    Raises:
        StoreError: its bytes cannot be had.
    """
    out = model.model(git, commit, artifact).out
    listing = store.listing(out)
    if "signature.json" not in listing:
        raise StoreError(f"{out.path} of commit {commit[:8]} has no signature.json: it is no served model")
    document: dict[str, Any] = json.loads(store.file(listing["signature.json"]).read_bytes())
    return document


class _Files:
    """The tables that a commit's dvc.lock names; of a notebook's run those of its own.

    scored: the folder with the rows that the model scored.
    """

    def __init__(self, git: Git, store: Store, commit: str, name: str) -> None:
        self._git, self._store, self._commit, self._name = git, store, commit, name
        self.scored, self._outs = PREDICTIONS, dict[str, Out]()
        if git.read(commit, lock.FILE) is not None:
            outs = (lock.read(git, commit).out(folder) for folder in (PREDICTIONS, FEATURES))
            self._outs = {out.path: out for out in outs if out is not None}

    def of_notebook(self) -> None:
        """Take the run's own rows. dvc.lock of its commit is the baseline's, whose model scored other predictions, and
        learnt from rows that say nothing of this one; its features are those of the rows that both may share.
        """
        self.scored = NOTEBOOK
        own = lock.pointer(self._git, self._commit, NOTEBOOK)
        if own is not None:
            self._outs[NOTEBOOK] = own

    def has(self, folder: str, name: str) -> bool:
        """Whether there is a table of that name in a folder."""
        return folder in self._outs and (folder != NOTEBOOK or f"{name}.parquet" in self._listing(folder))

    def table(self, folder: str, name: str, wanted: list[str] | None = None) -> pa.Table:
        """A table of a folder, all columns or those wanted."""
        if folder not in self._outs:
            raise StoreError(f"{self._name} (commit {self._commit[:8]}) has no {folder}: no pipeline made it")
        listing = self._listing(folder)
        if f"{name}.parquet" not in listing:
            raise StoreError(f"{folder} of {self._name} (commit {self._commit[:8]}) holds no {name}.parquet")
        return columns.read_parquet(self._store.file(listing[f"{name}.parquet"]), wanted)

    def trained(self) -> pa.Table:
        """Key and customer of all rows of training and validation."""
        if self.scored == NOTEBOOK:
            if not self.has(NOTEBOOK, "trained"):
                raise StoreError(
                    f"{self._name} (commit {self._commit[:8]}) has no data/features of its own: nobody knows what its"
                    " model learnt from"
                )
            return self.table(NOTEBOOK, "trained", ["key", "customer"])
        wanted = ["__key", "__customer"]
        sides = [self.table(FEATURES, name, wanted) for name in ("train", "validation")]
        return pa.concat_tables(sides).rename_columns(["key", "customer"])

    def _listing(self, folder: str) -> dict[str, str]:
        return self._store.listing(self._outs[folder])
