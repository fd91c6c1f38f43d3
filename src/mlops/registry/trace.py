"""`mlops trace`: from a logged prediction back to its version, and to the same number once more.

The model is the one that the version's commit names, fetched by digest; the inputs are those of the log, read as the
service reads them; rows that were scored together are scored together again. What comes out must be what was logged,
bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from mlops.bundle import Bundle
from mlops.errors import BundleError, DataError, MlopsError, RegistryError, one_line
from mlops.explain import explain_row
from mlops.features import Coded, Scalar, Values
from mlops.registry import logged, provenance
from mlops.registry.logged import Batch
from mlops.registry.look import Registry
from mlops.registry.past import Models

MOST_EXPLAINED = 100
"""Rows whose contributions are told; each takes milliseconds."""
DECIMALS = 6
"""Of a logged probability."""
Record = dict[str, Any]


def trace(registry: Registry, url: str, request_id: str, row: int | None = None) -> Record:
    """What is known of a request's predictions, by variant, each scored again.

    Args:
        registry: whose tags name the versions.
        url: of the prediction log.
        request_id: as the answer named it.
        row: only this one.

    Returns:
        `identical`: whether every number came out again; `traces`: what stands behind each group of rows that one
        model scored together, its `predictions`, and the `problem` where they could not be scored.

    Raises:
        RegistryError: the log does not have the request, or the request not this row.
        MlopsError: the log cannot be reached.
    """
    logged.reach()
    found = logged.batches(url, request_id)
    rows = sorted({p["row"] for batch in found for p in batch.rows})
    if row is not None and row not in rows:
        listed = f"rows {rows[0]} to {rows[-1]}" if len(rows) > 1 else f"row {rows[0]}"
        raise RegistryError(f"request {request_id!r} has {listed} in the log, counted from 0; there is no row {row}")
    models = Models(registry)
    wanted = [batch for batch in found if row is None or any(p["row"] == row for p in batch.rows)]
    traces = [_trace(registry, batch, row, models) for batch in wanted]
    identical = all(p["identical"] is True for told in traces for p in told["predictions"])
    return {"request_id": request_id, "identical": identical, "traces": traces}


def _trace(registry: Registry, batch: Batch, row: int | None, models: Models) -> Record:
    """One group of rows. Whatever keeps it from being scored again is told beside what is known all the same."""
    told = provenance.of(registry, batch)
    chosen = [i for i, p in enumerate(batch.rows) if row is None or p["row"] == row]
    problem: str | None = None
    again: dict[int, Record] = {}
    explained: dict[int, Record] = {}
    try:
        bundle = models.load(batch.version, told["commit"])
        gone = _gone(bundle, batch)
        problem = next((gone[i] for i in chosen if i in gone), None)
        kept = [i for i in range(len(batch.rows)) if i not in gone]
        columns = _columns(bundle, [batch.rows[i] for i in kept])
        again = dict(zip(kept, _scores(bundle, columns, len(kept)), strict=True))
        explained = _explained(bundle, columns, {i: kept.index(i) for i in chosen[:MOST_EXPLAINED] if i in again})
    except MlopsError as error:
        problem = one_line(error)
    predictions = [_prediction(batch.rows[i], again.get(i), explained.get(i)) for i in chosen]
    return {"variant": batch.variant, "at": batch.at, **told, "problem": problem, "predictions": predictions}


def _gone(bundle: Bundle, batch: Batch) -> dict[int, str]:
    """Rows whose inputs the log does not keep, or no longer: place in the batch → what is missing."""
    needed = [i["name"] for i in bundle.signature["inputs"]]
    found = {}
    for i, prediction in enumerate(batch.rows):
        inputs = logged.inputs(prediction)
        if inputs is None:
            found[i] = f"the log keeps no inputs of row {prediction['row']}: it cannot be scored again"
        elif lacking := [name for name in needed if name not in inputs]:
            found[i] = f"the inputs of row {prediction['row']} in the log lack {lacking[0]}, which the model reads"
    return found


def _columns(bundle: Bundle, rows: Sequence[Mapping[str, Any]]) -> dict[str, Values]:
    """The inputs of the log, as the service hands them to the encoder.

    Raises:
        DataError: they are not what this model reads.
    """
    from api.contract.fields import Field
    from api.contract.table import column

    given = [logged.inputs(row) or {} for row in rows]
    columns: dict[str, Values] = {}
    # A canary or shadow is sent what prod takes, which may be more than its own training saw: nothing that was scored
    # is refused now.
    for field in (replace(Field.of(i), nullable=True, whole=False) for i in bundle.signature["inputs"]):
        made = column(field, [inputs[field.name] for inputs in given])
        if isinstance(made, list):
            place, wrong = made[0]
            number = rows[place]["row"]
            raise DataError(f"{field.name} of row {number} in the log {wrong.message}; was the log edited?")
        columns[field.name] = made
    return columns


def _scores(bundle: Bundle, columns: Mapping[str, Values], rows: int) -> list[Record]:
    """Raw score, probability and prediction of each row, made as the service makes them."""
    if rows == 0:
        return []
    if rows == 1:
        raw, p = ([value] for value in bundle.score_row(_row(columns, 0)))
    else:
        raw, p = (values.tolist() for values in bundle.score_columns(columns))
    rounded = [round(value, DECIMALS) for value in p]
    return [_numbers(r, q, q >= bundle.threshold) for r, q in zip(raw, rounded, strict=True)]


def _numbers(raw: float | None, probability: float | None, prediction: bool) -> Record:
    """NaN is None, as in the log."""
    known = [None if v is None or math.isnan(v) else v for v in (raw, probability)]
    return {"raw_score": known[0], "probability": known[1], "prediction": prediction}


def _row(columns: Mapping[str, Values], i: int) -> dict[str, Scalar]:
    row: dict[str, Scalar] = {}
    for name, values in columns.items():
        if isinstance(values, Coded):
            row[name] = None if values.codes[i] < 0 else values.levels[values.codes[i]]
        else:
            row[name] = float(values[i])
    return row


def _explained(bundle: Bundle, columns: Mapping[str, Values], rows: Mapping[int, int]) -> dict[int, Record]:
    """What each feature adds to the scores of some rows, place in the batch → in the columns; nothing where the model
    has no explainer.
    """
    found = {}
    for i, place in rows.items():
        try:
            told = explain_row(bundle, _row(columns, place))
        except BundleError:
            return {}
        found[i] = {"score": told.score, "base": told.base, "contributions": [asdict(c) for c in told.contributions]}
    return found


def _prediction(logged_row: Mapping[str, Any], again: Record | None, explained: Record | None) -> Record:
    """A row of the log beside what came out now. identical: None where nothing did."""
    was = _numbers(logged_row["raw_score"], logged_row["probability"], logged_row["prediction"])
    return {
        **{key: logged_row[key] for key in ("row", "customer", "source")},
        "logged": was,
        "again": again,
        "identical": None if again is None else again == was,
        "difference": None if again is None else {k: _distance(was[k], again[k]) for k in ("raw_score", "probability")},
        "explained": explained,
    }


def _distance(a: float | None, b: float | None) -> float | None:
    """How far two numbers are apart; None where one of them is none."""
    return None if a is None or b is None else abs(a - b)
