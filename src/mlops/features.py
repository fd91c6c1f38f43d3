"""One definition of every feature, for training, batch and service: from a row or from whole columns.

Each operation stands once with its two forms, on one row's scalars and on a column's arrays; a property test proves
that they agree bit for bit. Only operations that give the same bits in Python and in NumPy are used (no exp, no log).

Values of a column:
    numbers, booleans, dates    float64 array, NaN where missing; a date is its days since 1970-01-01
    categories, texts           `Coded`: a code per row and the distinct texts
Values of a row: float (NaN where missing) or str (None where missing).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops.errors import SchemaError

if TYPE_CHECKING:  # the service, which never sees a schema, need not import YAML
    from mlops.schema import Schema

FLOAT32_MAX = float(np.finfo(np.float32).max)
NAN = float("nan")

Floats = NDArray[np.float64]


class Coded(NamedTuple):
    """A column of texts: `levels[codes[i]]` is row i's text, code -1 is missing. codes: int32, one per row."""

    codes: NDArray[np.int32]
    levels: tuple[str, ...]

    def lookup(self, values: Sequence[float], missing: float = NAN) -> Floats:
        """One number per row, given one per level."""
        table = np.append(np.asarray(values, dtype=np.float64), missing)
        return table[self.codes]


Values = Floats | Coded
Scalar = float | str | None


@dataclass(frozen=True)
class Input:
    """A raw column that features are made of.

    `nullable`: training saw missing values; `format`: how a date is written.
    """

    name: str
    kind: str
    nullable: bool = True
    format: str | None = None


@dataclass(frozen=True)
class Feature:
    """One feature: an operation on raw columns. `kind` is number or category."""

    name: str
    op: str
    inputs: tuple[str, ...]
    kind: str = "number"


def _ratio(a: float, b: float) -> float:
    return _in_range(a / b) if b else NAN


def _ratios(a: Floats, b: Floats) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        return _all_in_range(np.divide(a, b, out=np.full(len(a), NAN), where=b != 0))


def _in_range(x: float) -> float:
    return x if -FLOAT32_MAX <= x <= FLOAT32_MAX else NAN


def _all_in_range(x: Floats) -> Floats:
    return np.where(np.abs(x) <= FLOAT32_MAX, x, NAN)


def _difference(a: float, b: float) -> float:
    return _in_range(a - b)


def _differences(a: Floats, b: Floats) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        return _all_in_range(a - b)


def _product(a: float, b: float) -> float:
    return _in_range(a * b)


def _products(a: Floats, b: Floats) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        return _all_in_range(a * b)


def _month(days: float) -> float:
    if math.isnan(days):
        return NAN
    # Day numbers to months by the proleptic Gregorian calendar, counted from 1 March (H. Hinnant, "chrono-compatible
    # low-level date algorithms"): unlike datetime it has no first and last year, so any finite number works.
    day_of_era = (math.floor(days) + 719468) % 146097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * day_of_year + 2) // 153
    return float(from_march + 3 if from_march < 10 else from_march - 9)


def _months(days: Floats) -> Floats:
    known = np.isfinite(days)
    whole = np.floor(np.where(known, days, 0)).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return np.where(known, whole % 12 + 1, NAN)


def _weekday(days: float) -> float:
    return NAN if math.isnan(days) else float((math.floor(days) + 3) % 7)


def _weekdays(days: Floats) -> Floats:
    weekday: Floats = np.mod(np.floor(days) + 3, 7)
    return weekday


def _of_text(measure: Callable[[str], float]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Row and column form of a measure of texts: a column measures each distinct text once."""

    def row(text: str | None) -> float:
        return NAN if text is None else measure(text)

    def column(texts: Coded) -> Floats:
        return texts.lookup([measure(t) for t in texts.levels])

    return row, column


@cache
def _analyzer() -> Any:
    # Imported when the first comment is read: a table without texts never pays for it.
    from vader import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def sentiment(text: str) -> float:
    """How glad a text is, −1 to 1: VADER's compound score (Hutto & Gilbert, ICWSM 2014). English."""
    return float(_analyzer().polarity_scores(text)["compound"])


def _same(value: Any) -> Any:
    return value


OPS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "value": (_same, _same),
    "ratio": (_ratio, _ratios),
    "difference": (_difference, _differences),
    "product": (_product, _products),
    "days": (_difference, _differences),
    "month": (_month, _months),
    "weekday": (_weekday, _weekdays),
    "length": _of_text(lambda text: float(len(text))),
    "words": _of_text(lambda text: float(len(text.split()))),
    "sentiment": _of_text(sentiment),
}
"""Operation → (form for a row, form for columns)."""


@dataclass(frozen=True)
class Plan:
    """Which raw columns are read and which features are made of them, in order."""

    inputs: tuple[Input, ...]
    features: tuple[Feature, ...]

    def columns(self, raw: Mapping[str, Values]) -> dict[str, Values]:
        """All features of a table, given its raw columns; each has as many rows as the raw columns."""
        return {f.name: OPS[f.op][1](*(raw[i] for i in f.inputs)) for f in self.features}

    def row(self, raw: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """All features of one row, given its raw values."""
        return {f.name: OPS[f.op][0](*(raw[i] for i in f.inputs)) for f in self.features}

    def to_json(self) -> dict[str, Any]:
        """As plain lists and dictionaries; `from_json` reads it back."""
        return {"inputs": [asdict(i) for i in self.inputs], "features": [asdict(f) for f in self.features]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Plan:
        """The plan that `to_json` wrote."""
        features = tuple(Feature(f["name"], f["op"], tuple(f["inputs"]), f["kind"]) for f in document["features"])
        return cls(tuple(Input(**i) for i in document["inputs"]), features)


def plan(schema: Schema, nullable: Mapping[str, bool], *, with_sentiment: bool) -> Plan:
    """The features that a schema asks for.

    A number, boolean or category is a feature itself; a date becomes the days until the observation (or since 1970
    where rows have no time), its month and weekday; a text its length, words and, if asked, sentiment.

    Args:
        schema: the table's columns and derived features.
        nullable: column → whether training rows miss it anywhere.
        with_sentiment: score texts.
    """
    time = schema.role("time")
    made: list[Feature] = []
    for c in schema.features:
        if c.kind in ("number", "boolean"):
            made.append(Feature(c.name, "value", (c.name,)))
        elif c.kind == "category":
            made.append(Feature(c.name, "value", (c.name,), "category"))
        elif c.kind == "date":
            made.append(Feature(f"{c.name}_days", *(("days", (time.name, c.name)) if time else ("value", (c.name,)))))
            made += [Feature(f"{c.name}_{op}", op, (c.name,)) for op in ("month", "weekday")]
        else:
            ops = ("length", "words", "sentiment") if with_sentiment else ("length", "words")
            made += [Feature(f"{c.name}_{op}", op, (c.name,)) for op in ops]
    made += [Feature(d.name, d.op, d.inputs) for d in schema.derived]
    _names_differ(made)
    used = {name for f in made for name in f.inputs}
    inputs = tuple(
        Input(c.name, "date" if c.kind == "time" else c.kind, bool(nullable.get(c.name, True)), c.format)
        for c in schema.columns
        if c.name in used
    )
    return Plan(inputs, tuple(made))


def _names_differ(made: Sequence[Feature]) -> None:
    seen: set[str] = set()
    for f in made:
        if f.name in seen:
            raise SchemaError(
                f"data/schema.yaml: two features would be called {f.name!r}; set one of its columns"
                f" ({', '.join(f.inputs)}) to kind: ignore, or rename it"
            )
        seen.add(f.name)
