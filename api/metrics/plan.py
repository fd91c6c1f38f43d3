"""How the columns of one model's matrix are counted: prepared once, then a few NumPy calls for a thousand rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from api.metrics.families import OTHER
from api.metrics.meters import Meters
from mlops.encode import RARE, Number, OneHot, TargetMean

if TYPE_CHECKING:
    from api.metrics.cells import Cell, Histogram
    from mlops.bundle import Bundle
    from mlops.encode import Matrix
    from mlops.features import Floats

PROBABILITIES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
"""Edges of churn_probability: close together where most customers are when some 4 % churn."""
RATE_BINS = 10


class Plan:
    """The series of one variant's model, and the matrix columns that they are counted from."""

    def __init__(self, meters: Meters, variant: str, version: str, bundle: Bundle) -> None:
        self._scores = meters.histogram("churn_probability", PROBABILITIES, variant=variant, version=version)
        self._values = Values(meters, variant, bundle)
        self._levels = Levels(meters, variant, bundle)

    def show(self) -> None:
        """Have this model's bins shown, now that it is the variant's: those of its predecessor may differ."""
        self._values.show()

    def count(self, matrix: Matrix, probabilities: Floats) -> None:
        """Count rows: the encoded matrix (rows, width) and their probabilities (rows,)."""
        buckets = np.bincount(np.searchsorted(PROBABILITIES, probabilities), minlength=len(PROBABILITIES) + 1)
        self._scores.observe_counts(buckets.tolist(), float(probabilities.sum()))
        self._values.count(matrix)
        self._levels.count(matrix)


class Values:
    """Columns that hold numbers: a histogram of each, in the bins of the training rows, and a count of missing ones.

    A category that is encoded as its churn rate is such a number too, with edges at quantiles of its levels' rates.
    That it was missing is seen where no level has the same rate as missing ones.
    """

    def __init__(self, meters: Meters, variant: str, bundle: Bundle) -> None:
        self._meters, self._variant = meters, variant
        self._features: list[tuple[str, tuple[float, ...]]] = []
        self._missing: list[Cell] = []
        columns: list[int] = []
        codes: list[float] = []
        for block, start in zip(bundle.encoder.blocks, bundle.encoder.starts, strict=True):
            if isinstance(block, OneHot):
                continue
            if isinstance(block, Number):
                edges, code = tuple(sorted(set(bundle.profile["features"][block.feature]["edges"]))), math.nan
            else:
                edges, code = _rate_edges(block), _missing_code(block)
            self._features.append((block.feature, edges))
            self._missing.append(meters.counter("churn_feature_missing_total", variant=variant, feature=block.feature))
            columns.append(start)
            codes.append(code)
        self._columns = np.array(columns, dtype=np.intp)
        self._edges = _padded([edges for _, edges in self._features])
        self._codes = np.array(codes, dtype=np.float32).reshape(-1, 1)
        self.show()

    def show(self) -> None:
        """As `Plan.show`."""
        self._histograms: list[Histogram] = [
            self._meters.histogram("churn_feature_value", edges, variant=self._variant, feature=feature)
            for feature, edges in self._features
        ]

    def count(self, matrix: Matrix) -> None:
        """As `Plan.count`."""
        values = np.ascontiguousarray(matrix[:, self._columns].T)
        absent = np.isnan(values) | (values == self._codes)
        np.copyto(values, np.nan, where=absent)
        # How many values are above each edge, of all columns and edges at once: one bit each.
        bits = np.packbits(values[:, None, :] > self._edges[:, :, None], axis=2)
        above = np.bitwise_count(bits).sum(axis=2, dtype=np.int64)
        missing = absent.sum(axis=1)
        reached = np.column_stack((len(matrix) - missing, above, np.zeros_like(missing)))
        counts = (reached[:, :-1] - reached[:, 1:]).tolist()
        sums = np.where(absent, np.float32(0), values).sum(axis=1, dtype=np.float64).tolist()
        for histogram, (_, edges), count, total in zip(self._histograms, self._features, counts, sums, strict=True):
            histogram.observe_counts(count[: len(edges) + 1], total)
        for cell, count in zip(self._missing, missing.tolist(), strict=True):
            cell.add(count)


class Levels:
    """Columns of categories with a column per level: a count of each level, and of missing ones."""

    def __init__(self, meters: Meters, variant: str, bundle: Bundle) -> None:
        cells: list[Cell] = []
        columns: list[int] = []
        for block, start in zip(bundle.encoder.blocks, bundle.encoder.starts, strict=True):
            if isinstance(block, OneHot):
                columns += range(start, start + len(block.names))
                cells += _level_cells(meters, variant, block)
        self._columns, self._cells = np.array(columns, dtype=np.intp), cells

    def count(self, matrix: Matrix) -> None:
        """As `Plan.count`."""
        counts = matrix[:, self._columns].sum(axis=0, dtype=np.float64)
        for cell, count in zip(self._cells, counts.tolist(), strict=True):
            cell.add(count)


def _level_cells(meters: Meters, variant: str, block: OneHot) -> Iterator[Cell]:
    rare = RARE if OTHER in block.levels else OTHER
    for level in (*block.levels, rare):
        yield meters.counter("churn_feature_level_total", variant=variant, feature=block.feature, level=level)
    yield meters.counter("churn_feature_missing_total", variant=variant, feature=block.feature)


def _rate_edges(block: TargetMean) -> tuple[float, ...]:
    """Edges between which about a tenth of the levels lie."""
    edges = np.quantile(block.rates, np.linspace(0, 1, RATE_BINS + 1)) if block.rates else np.array([])
    return tuple(sorted({float(f"{edge:.6g}") for edge in edges.tolist()}))


def _missing_code(block: TargetMean) -> float:
    """What a missing value is encoded as; NaN, which nothing equals, when a level or unknown ones are too."""
    code = np.float32(block.missing)
    return math.nan if code in np.array([*block.rates, block.other], dtype=np.float32) else float(code)


def _padded(edges: Sequence[Sequence[float]]) -> Matrix:
    """Edges of each column in a row, as the matrix holds numbers; infinity, which nothing is above, fills the rows."""
    padded = np.full((len(edges), max(map(len, edges), default=0)), np.inf, dtype=np.float32)
    for row, given in zip(padded, edges, strict=True):
        row[: len(given)] = given
    return padded
