"""Rows → scores, by the variant that each customer belongs to; every prediction is logged and counted here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.contract import Table
from api.door.messages import Invalid, Problem, Request
from api.models import Serving, Variant
from api.service import Service
from mlops.errors import DataError
from mlops.features import Coded, Floats, Values

DECIMALS = 6
"""Of a probability, in answers and in the log: as many as the pipeline writes."""
CLOSE = 1e-6
"""To a half, in units of the last decimal: ten thousand times what a product of a probability can be off."""


@dataclass(frozen=True)
class Scored:
    """Scores of n rows, in their order.

    raw: log-odds or, for forests, probabilities before calibration; unknown: columns in which some rows have a level
    that training did not see → how many.
    """

    n: int
    raw: Sequence[float]
    probabilities: Sequence[float]
    predictions: Sequence[bool]
    variants: Sequence[Variant]
    unknown: dict[str, int]

    def by(self, *facts: str) -> list[list[Any]]:
        """Facts of the variants, such as name or version: a list for each fact, with one for each row."""
        return [list(map(attrgetter(fact), self.variants)) for fact in facts]


def score_table(
    service: Service, serving: Serving, table: Table, request: Request, source: str, only: Variant | None = None
) -> Scored:
    """Score every row with its customer's variant, or all with `only`.

    Raises:
        Invalid: a value that the model cannot read.
    """
    if only is None and serving.split:
        variants = [serving.route(customer) for customer in table.customers]
    else:
        variants = [only or serving.main] * table.n
    raw, probabilities, churn = np.empty(table.n), np.empty(table.n), np.empty(table.n, dtype=np.bool_)
    unknown: Counter[str] = Counter()
    distinct = dict.fromkeys(variants)
    for variant in distinct:
        mine = np.array([v is variant for v in variants]) if len(distinct) > 1 else None
        columns = table.columns if mine is None else {name: _some(v, mine) for name, v in table.columns.items()}
        where = slice(None) if mine is None else mine
        raw[where], p = _score(service, variant, columns)
        probabilities[where] = p = rounded(p)
        churn[where] = p >= variant.bundle.threshold
        unknown.update(_unknown(service, variant, columns))
    scored = Scored(table.n, raw.tolist(), probabilities.tolist(), churn.tolist(), variants, dict(unknown))
    _file(service, serving, table, request, source, scored)
    return scored


def _score(service: Service, variant: Variant, columns: Mapping[str, Values]) -> tuple[Floats, Floats]:
    try:
        matrix = variant.bundle.encoder.columns(columns)
    except DataError as error:
        raise Invalid((Problem((), str(error), "range"),)) from error
    raw = variant.bundle.raw_scores(matrix)
    p = variant.bundle.calibrator.many(raw)
    service.distributions.put(variant, matrix, p)
    return raw, p


def rounded(p: Floats) -> Floats:
    """Probabilities as `round(p, DECIMALS)` gives each of them.

    A product that lies close to a half may have come to lie on its other side: `round` itself decides those.
    """
    scaled = p * 10**DECIMALS
    whole = np.rint(scaled)
    result: Floats = whole / 10**DECIMALS
    for i in np.flatnonzero(np.abs(scaled - whole) > 0.5 - CLOSE).tolist():
        result[i] = round(float(p[i]), DECIMALS)
    return result


def _unknown(service: Service, variant: Variant, columns: Mapping[str, Values]) -> dict[str, int]:
    """Levels that this variant's training did not see, counted."""
    found = variant.contract.unknown_in(columns)
    for feature, rows in found.items():
        count_unknown(service, variant, feature, rows)
    return found


def _some(values: Values, rows: NDArray[np.bool_]) -> Values:
    return Coded(values.codes[rows], values.levels) if isinstance(values, Coded) else values[rows]


def _file(service: Service, serving: Serving, table: Table, request: Request, source: str, scored: Scored) -> None:
    """Log and count what was predicted; hand it to the shadow."""
    now = time.time()
    inputs = table.inputs()
    rows: Iterable[Any] = zip(
        repeat(now), repeat(request.id), range(table.n), table.customers, *scored.by("name", "version", "commit"),
        repeat(source), scored.raw, scored.probabilities, scored.predictions, inputs,
    )  # fmt: skip
    service.log.put_many(rows)
    if serving.shadow is not None:
        service.shadow.put_table(serving.shadow, table, request.id, source, inputs)
    for (variant, churn), number in Counter(zip(scored.variants, scored.predictions, strict=True)).items():
        tally = service.tally(variant)
        (tally.churn if churn else tally.stay).add(number)


def count_unknown(service: Service, variant: Variant, feature: str, rows: int = 1) -> None:
    """Count rows with a level that training did not see."""
    service.meters.counter("churn_unknown_levels_total", variant=variant.name, feature=feature).add(rows)
