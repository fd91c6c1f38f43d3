"""Which rows two versions are compared on, and both probabilities of each: rows that neither of them learnt from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops import columns
from mlops.errors import MlopsError
from mlops.features import Coded, Floats, Plan
from mlops.report.ranked import Customers, Outcomes
from mlops.report.side import Side

SAME = "same test rows"
NEITHER = "rows that neither trained on"
ONE = "test rows of one version"
BASE_RATE = "base rate"
FEWEST = 30
"""Customers of each outcome. With fewer, the bootstrap takes chance for a difference more often than it says, and with
one its interval has no width at all (docs/gate.md has the numbers).
"""

Flags = NDArray[np.bool_]


class CannotPairError(Exception):
    """Why two versions cannot be compared in one way; another way may be open."""


@dataclass(frozen=True)
class Pair:
    """Rows with outcome and both probabilities; arrays of shape (rows,).

    Args:
        basis: which rows they are, in one of the four ways above; words: the same in a sentence.
        y: outcomes, 0 or 1.
        p: probabilities of the candidate and of the baseline.
        customers: number of each row's customer, 0 … n−1.
        groups: column → the group of each row.
    """

    basis: str
    words: str
    y: Outcomes
    p: tuple[Floats, Floats]
    customers: Customers
    groups: Mapping[str, Coded]

    @property
    def counted(self) -> int:
        """How many customers there are."""
        return int(self.customers.max()) + 1


def apart(y: Outcomes, customers: Customers) -> tuple[int, int]:
    """How many customers have a row that churned, and how many one that stayed."""
    churned, stayed = (len(np.unique(customers[y == outcome])) for outcome in (1, 0))
    return churned, stayed


def base_rate(candidate: Side, min_rows: int) -> Pair:
    """A first version's test rows, beside the churn rate that training saw as everybody's probability.

    Raises:
        CannotPairError: there are too few test rows, or customers.
    """
    scored = _scored(candidate)
    trained = candidate.bundle.manifest.get("trained_on", {})
    y = _outcomes(scored)
    rate = trained["churned"] / trained["rows"] if trained.get("rows") else float(y.mean())
    words = f"the churn rate of the training rows, {rate:.2%}, as everybody's probability"
    p = _floats(scored, "p"), np.full(len(y), rate)
    return _enough(_made(scored, (BASE_RATE, words), p), min_rows)


def pair(candidate: Side, baseline: Side, min_rows: int) -> Pair:
    """The rows that both are measured on; the first way that there is.

    Same test rows; else test rows of one that the other did not learn from, scored by it; else test rows that both
    have; else, for a model of which nobody knows what it learnt from, test rows of the other.

    Raises:
        CannotPairError: why in none of these ways.
    """
    reasons: list[str] = []
    for way in _ways(candidate, baseline):
        try:
            return _enough(way(), min_rows)
        except (CannotPairError, MlopsError) as error:
            reasons.append(str(error))
    raise CannotPairError("; ".join(dict.fromkeys(reasons)))


def _ways(candidate: Side, baseline: Side) -> Iterator[Callable[[], Pair]]:
    if candidate.predictions is None:
        yield lambda: _turned(_unlearnt(baseline, candidate, known=False))
    elif baseline.predictions is None:
        yield lambda: _unlearnt(candidate, baseline, known=False)
    elif _same_rows(candidate.predictions, baseline.predictions):
        yield lambda: _common(candidate, baseline)
    else:
        yield lambda: _unlearnt(candidate, baseline)
        yield lambda: _turned(_unlearnt(baseline, candidate))
        yield lambda: _common(candidate, baseline)
        yield lambda: _unlearnt(candidate, baseline, known=False)
        yield lambda: _turned(_unlearnt(baseline, candidate, known=False))


def _scored(side: Side) -> pa.Table:
    if side.predictions is None:
        raise CannotPairError(f"{side.name} has no scored test rows (data/predictions)")
    return side.predictions


def _same_rows(mine: pa.Table, other: pa.Table) -> bool:
    return mine.num_rows == other.num_rows and not _places(mine.column("key"), other.column("key")).null_count


def _places(keys: pa.ChunkedArray, among: pa.ChunkedArray) -> pa.ChunkedArray:
    """Where each key is among others; null where it is not."""
    return pc.index_in(keys, value_set=among.combine_chunks())


def _common(candidate: Side, baseline: Side) -> Pair:
    """Test rows that both have, as both scored them."""
    mine, other = _scored(candidate), _scored(baseline)
    at = _places(mine.column("key"), other.column("key"))
    found = mine.filter(pc.is_valid(at))
    p = _floats(other, "p")[_integers(pc.drop_null(at))]
    differ = int(np.count_nonzero(_outcomes(found) != _outcomes(other)[_integers(pc.drop_null(at))]))
    same = mine.num_rows == other.num_rows == found.num_rows
    words = f"{found.num_rows:,} test rows that both have"
    if differ:
        words += f"; the outcome of {differ:,} of them differs, {candidate.name}'s counts"
    return _made(found, (SAME if same else NEITHER, words), (_floats(found, "p"), p))


def _unlearnt(owner: Side, other: Side, *, known: bool = True) -> Pair:
    """Test rows of the owner that the other did not learn from, which the other scores. The owner's p comes first.

    known: False where nobody may know what the other learnt from.
    """
    _reads_the_same(other, owner)
    scored, table = _scored(owner), owner.features()
    at = _places(scored.column("key"), table.column("__key"))
    if at.null_count:
        raise CannotPairError(f"data/predictions and data/features of {owner.name} hold other rows; `dvc repro`")
    basis, fresh = NEITHER, np.ones(scored.num_rows, dtype=np.bool_)
    try:
        fresh &= ~_learnt(scored, other.trained())
    except MlopsError:
        if known:
            raise
        basis = ONE
    kept = pa.array(fresh)
    words = f"{int(fresh.sum()):,} test rows of {owner.name}, scored by {other.name}"
    words += " too" if basis == NEITHER else ", of which nobody knows what it trained on"
    found = scored.filter(kept)
    p = _score(other, table.take(pc.cast(at.filter(kept), pa.int64())))
    return _made(found, (basis, words), (_floats(found, "p"), p))


def _learnt(scored: pa.Table, trained: pa.Table) -> Flags:
    """Which rows are themselves, or by their customer, among those that were learnt from."""
    found = np.zeros(scored.num_rows, dtype=np.bool_)
    for name in ("key", "customer"):
        held = pc.is_in(scored.column(name), value_set=trained.column(name).combine_chunks())
        found |= np.asarray(held.to_numpy())
    return found


def _reads_the_same(reader: Side, owner: Side) -> None:
    """Raise unless the owner's features hold all that the reader's model reads, made in the same way."""
    reads, held = reader.bundle.encoder.plan, owner.bundle.encoder.plan
    features = {f.name: f for f in held.features}
    kinds = _kinds(held)
    for feature in reads.features:
        if feature.name not in features:
            raise CannotPairError(f"{reader.name} reads {feature.name}, which {owner.name} does not have")
        mine = {name: _kinds(reads)[name] for name in feature.inputs}
        if feature != features[feature.name] or any(kinds.get(name) != kind for name, kind in mine.items()):
            raise CannotPairError(f"{reader.name} and {owner.name} make {feature.name} in different ways")


def _kinds(plan: Plan) -> dict[str, tuple[str, str | None]]:
    return {column.name: (column.kind, column.format) for column in plan.inputs}


def _score(reader: Side, table: pa.Table) -> Floats:
    """Probabilities of feature rows, with six decimals as evaluation writes them."""
    model = reader.bundle
    missing = [f.name for f in model.encoder.plan.features if f.name not in table.column_names]
    if missing:
        raise CannotPairError(f"data/features lacks {missing[0]}, which {reader.name} reads")
    if not table.num_rows:
        return np.empty(0)
    matrix = model.encoder.matrix(columns.Stored(table, model.encoder.plan))
    return np.round(model.calibrator.many(model.raw_scores(matrix)), 6)


def _turned(found: Pair) -> Pair:
    """The same with the candidate second."""
    return replace(found, p=(found.p[1], found.p[0]))


def _made(table: pa.Table, told: tuple[str, str], p: tuple[Floats, Floats]) -> Pair:
    names = [name for name in table.column_names if name.startswith("slice.")]
    groups = {name.removeprefix("slice."): columns.coded(table.column(name)) for name in names}
    customers = columns.coded(table.column("customer")).codes.astype(np.intp)
    return Pair(*told, _outcomes(table), p, customers, groups)


def _enough(found: Pair, min_rows: int) -> Pair:
    rows, churned = len(found.y), int(found.y.sum())
    if rows < min_rows:
        what = found.words if found.basis != BASE_RATE else f"{rows:,} test rows"
        raise CannotPairError(f"{what}: gate.min_rows of policy.yaml is {min_rows:,}")
    if not 0 < churned < rows:
        raise CannotPairError(f"all {rows:,} rows have the same outcome: no metric tells them apart")
    left, stayed = apart(found.y, found.customers)
    if min(left, stayed) < FEWEST:
        raise CannotPairError(
            f"{rows:,} test rows of {left:,} customers who churned and {stayed:,} who stayed: at least {FEWEST} of each"
            " are needed to tell a difference from chance"
        )
    return found


def _outcomes(table: pa.Table) -> Outcomes:
    return np.asarray(table.column("y").to_numpy(), dtype=np.int8)


def _floats(table: pa.Table, name: str) -> Floats:
    return columns.floats(table.column(name))


def _integers(indices: pa.ChunkedArray) -> NDArray[np.intp]:
    return np.asarray(indices.to_numpy(), dtype=np.intp)
