"""Shapley values: what each matrix column adds to a row's raw score, so that base + all of them is that score.

Trees: the game of Lundberg et al. ("From local explanations to global understanding with explainable AI for trees",
Nature Machine Intelligence 2, 2020), path-dependent: where a column is not known, a row goes both ways, in the shares
in which training rows did. A leaf of value v whose path asks m columns is then worth v · Π o over the known ones · Π z
over the others, with o = 1 where the row keeps to the path and else 0, and z the share of training rows that keep to
it. Its Shapley values are integrals of the multilinear extension of that product (Owen, "Multilinear extensions of
games", Management Science 18, 1972),

    φ_j = v · (o_j − z_j) · ∫ Π_{k ≠ j} (o_k t + z_k (1 − t)) dt  over t from 0 to 1,

of a polynomial of degree m − 1: Gauss-Legendre quadrature with half as many points as columns is exact, and needs no
recursion. All leaves with equally many columns are computed at once.

Linear models: the columns are taken as independent of each other and the training means stand for what is not known, so
a column's part is its weight times its distance from its mean.

NumPy alone: this module is what the service loads.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.encode import Matrix
from mlops.errors import BundleError
from mlops.features import Floats

DOCUMENT, TREES = "explainer.json", "trees.npy"
FILES = (DOCUMENT, TREES)
NODE = np.dtype(
    {
        "names": ["feature", "threshold", "left", "right", "missing_left", "value", "cover"],
        "formats": ["<i4", "<f4", "<i4", "<i4", "?", "<f4", "<f4"],
    }
)
"""A row of trees.npy: a node, as in `mlops.model.trees.Trees`, but left and right are rows of trees.npy, and a value
goes left when it is at most the threshold."""
LEAVES_AT_ONCE = 16_384
LEAST_SHARE = 1e-12
"""Of training rows that go on to a node: paths that none of them took must not divide by zero."""

Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Linear:
    """score = Σ weight · (x, missing replaced by fill, minus center) + Σ missing weight · (x is missing) + intercept.

    fill, center, missing (share of training rows): shape (width,); weight: (2 · width,), the missing weights last.
    """

    fill: Floats
    center: Floats
    missing: Floats
    weight: Floats
    intercept: float

    @property
    def width(self) -> int:
        """Number of matrix columns."""
        return len(self.fill)

    def contributions(self, matrix: Matrix) -> tuple[float, Floats]:
        """Encoded rows → (the mean raw score of training rows, what each column adds to it, shape (rows, width))."""
        values, gaps = np.split(self.weight, 2)
        gone = np.isnan(matrix)
        known = np.where(gone, self.fill, matrix)
        base = self.intercept + float(gaps @ self.missing)
        return base, values * (known - self.center) + gaps * (gone - self.missing)


@dataclass(frozen=True)
class _Leaves:
    """Leaves whose paths ask equally many columns, m of them; arrays of shape (m, leaves) but for value: (leaves,).

    A row keeps to the path in a column when low < x ≤ high, or when x is missing and `missing` says so; share is z.
    """

    value: Floats
    column: Ints
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    missing: NDArray[np.bool_]
    share: Floats

    def add_to(self, sums: Floats, row: NDArray[np.float32]) -> None:
        """Add the leaves' Shapley values for one matrix row to sums, both of shape (width,)."""
        x = row[self.column]
        kept = (x > self.low) & (x <= self.high) | (np.isnan(x) & self.missing)
        integral = np.zeros(self.share.shape)
        for t, weight in _quadrature(len(self.share)):
            factors = self.share * (1 - t) + kept * t
            integral += weight * factors.prod(axis=0) / factors
        parts = integral * (kept - self.share) * self.value
        sums += np.bincount(self.column.ravel(), parts.ravel(), minlength=len(sums))


@cache
def _quadrature(columns: int) -> tuple[tuple[float, float], ...]:
    """Points in (0, 1) and their weights, which integrate polynomials of degree columns − 1 exactly."""
    points, weights = np.polynomial.legendre.leggauss((columns + 1) // 2)
    return tuple(zip(((points + 1) / 2).tolist(), (weights / 2).tolist(), strict=True))


class Ensemble:
    """Trees. `base` is the raw score that is expected where no column is known."""

    def __init__(self, nodes: NDArray[Any], base: float, width: int) -> None:
        self.width = width
        self.base = base
        self._groups: list[_Leaves] = []
        parent = _parents(nodes, width)
        leaves = np.flatnonzero(nodes["feature"] < 0)
        for start in range(0, len(leaves), LEAVES_AT_ONCE):
            some = leaves[start : start + LEAVES_AT_ONCE]
            alone = some[parent[some] < 0]
            self.base += float(nodes["value"][alone].sum(dtype=np.float64))
            for group in _grouped(nodes, parent, some):
                self.base += float(group.value @ group.share.prod(axis=0))
                self._groups.append(group)

    def contributions(self, matrix: Matrix) -> tuple[float, Floats]:
        """Encoded rows → (the expected raw score, what each column adds to it, shape (rows, width))."""
        sums = np.zeros((len(matrix), self.width))
        for row, parts in zip(matrix, sums, strict=True):
            for group in self._groups:
                group.add_to(parts, row)
        return self.base, sums


Explainer = Linear | Ensemble


def _parents(nodes: NDArray[Any], width: int) -> Ints:
    """Row of trees.npy → the row of its parent, −1 for roots. Raises ValueError for what cannot be trees."""
    inner = np.flatnonzero(nodes["feature"] >= 0)
    children = np.concatenate([nodes["left"][inner], nodes["right"][inner]])
    twice = np.concatenate([inner, inner])
    if np.any(children <= twice) or np.any(children >= len(nodes)) or len(np.unique(children)) < len(children):
        raise ValueError("nodes that are no trees")
    if np.any(nodes["feature"] >= width):
        raise ValueError(f"splits on more than {width} columns")
    parent = np.full(len(nodes), -1, dtype=np.intp)
    parent[children] = twice
    return parent


def _splits(nodes: NDArray[Any], parent: Ints, leaves: Ints) -> tuple[Ints, Ints, Ints]:
    """All splits above these leaves: (index of the leaf, node that splits, its child towards the leaf)."""
    which, below = np.arange(len(leaves)), leaves
    found = []
    while len(below):
        above = parent[below]
        inside = above >= 0
        which, below, above = which[inside], below[inside], above[inside]
        found.append((which, above, below))
        below = above
    which, above, below = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((nodes["feature"][above], which))
    return which[order], above[order], below[order]


def _grouped(nodes: NDArray[Any], parent: Ints, leaves: Ints) -> Iterator[_Leaves]:
    """These leaves by the number of columns on their paths, all splits on one column merged into one interval."""
    which, above, below = _splits(nodes, parent, leaves)
    column = nodes["feature"][above]
    starts = np.flatnonzero(np.diff(which, prepend=-1) | np.diff(column, prepend=-1))
    if not len(starts):
        return
    left = nodes["left"][above] == below
    threshold = nodes["threshold"][above]
    high = np.minimum.reduceat(np.where(left, threshold, np.float32(np.inf)), starts)
    low = np.maximum.reduceat(np.where(left, np.float32(-np.inf), threshold), starts)
    missing = np.logical_and.reduceat(nodes["missing_left"][above] == left, starts)
    cover = nodes["cover"].astype(np.float64)
    share = np.where(cover[below] > 0, cover[below], LEAST_SHARE) / np.where(cover[above] > 0, cover[above], 1.0)
    share = np.multiply.reduceat(share, starts)
    owner, asked = which[starts], column[starts].astype(np.intp)
    many = np.bincount(owner, minlength=len(leaves))
    for m in np.unique(many[many > 0]):
        own = many[owner] == m

        def shaped(values: NDArray[Any], own: NDArray[np.bool_] = own, m: int = m) -> NDArray[Any]:
            return np.ascontiguousarray(values[own].reshape(-1, m).T)

        value = nodes["value"][leaves[many == m]].astype(np.float64)
        yield _Leaves(value, shaped(asked), shaped(low), shaped(high), shaped(missing), shaped(share))


def load(files: Mapping[str, bytes]) -> Explainer:
    """The explainer of a bundle, from its files FILES.

    Raises:
        BundleError: they are not there, or hold something else.
    """
    if DOCUMENT not in files:
        raise BundleError(f"this model was made without {DOCUMENT}, which explanations need; make it with `dvc repro`")
    try:
        document = json.loads(files[DOCUMENT])
        if document["kind"] == "linear":
            return _linear(document)
        nodes = np.load(io.BytesIO(files[TREES]), allow_pickle=False)
        if nodes.dtype != NODE:
            raise ValueError(f"{TREES} holds something else")
        return Ensemble(nodes, float(document["base"]), int(document["width"]))
    except (LookupError, TypeError, ValueError, EOFError) as error:
        raise BundleError(f"{DOCUMENT} is not an explainer ({error!r}); make it again with `dvc repro`") from error


def _linear(document: Mapping[str, Any]) -> Linear:
    arrays = {name: np.array(document[name], dtype=np.float64) for name in ("fill", "center", "missing", "weight")}
    width = len(arrays["fill"])
    if [a.shape for a in arrays.values()] != [(width,), (width,), (width,), (2 * width,)]:
        raise ValueError("parts of a linear model that do not belong together")
    return Linear(**arrays, intercept=float(document["intercept"]))
