"""Why a row's score is what it is: what each feature adds to it, largest first, and in words that an analyst reads.

The numbers are Shapley values (`mlops.contributions`) of matrix columns, those of one feature added up: base + all of
them is the raw score. A correlated feature's part is shared by rules, not by causes: "raises" says what the model does
with a value, never what would happen if somebody changed it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mlops.bundle import Bundle, Calibrator
from mlops.encode import Block, Number, OneHot
from mlops.features import Feature, Input, Scalar

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NEUTRAL = 0.05
"""VADER's own bound: a compound score nearer to 0 is neither glad nor angry."""
MOST_DAYS = 3_000_000
"""Dates further from 1970 are shown as numbers of days."""
HARDLY = {"log_odds": 0.005, "probability": 0.0005}
"""Contributions nearer to 0 would be written as 0.00 and as 0.0 points."""

Shown = float | int | str | bool | None


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one feature adds to the raw score.

    value: as a person writes it: a whole number without decimals, a date as YYYY-MM-DD, None where there is none.
    direction: raises, lowers or none. words: one sentence without a full stop.
    """

    feature: str
    value: Shown
    contribution: float
    direction: str
    words: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """base + the contributions = raw, within 1e-5; all are log-odds, or probabilities where `score` says so (forests).

    base: the raw score to be expected of a training row. probability: calibrated. prediction: whether the probability,
    with six decimals, reaches the threshold. contributions: one per feature, largest absolute first.
    """

    score: str
    base: float
    raw: float
    probability: float
    threshold: float
    prediction: bool
    contributions: tuple[Contribution, ...]


def explain_row(bundle: Bundle, raw: Mapping[str, Scalar]) -> Explanation:
    """Explain one row's raw values.

    Raises:
        BundleError: the bundle was made without an explainer.
        DataError: a number is too large for the model.
    """
    matrix, score, probability = bundle.row(raw)
    encoder = bundle.encoder
    base, columns = bundle.explainer().contributions(matrix)
    parts = np.add.reduceat(columns[0], encoder.starts).tolist()
    values = encoder.plan.row(raw)
    features = {f.name: f for f in encoder.plan.features}
    inputs = {i.name: i for i in encoder.plan.inputs}
    made = []
    for block, part in zip(encoder.blocks, parts, strict=True):
        feature = features[block.feature]
        shown = _shown(feature, inputs[feature.inputs[0]], values[feature.name])
        words = _subject(feature, block, shown, raw) + _effect(part, bundle.calibrator)
        made.append(Contribution(feature.name, shown, part, _direction(part), words))
    made.sort(key=lambda c: -abs(c.contribution))
    prediction = round(probability, 6) >= bundle.threshold
    return Explanation(bundle.calibrator.score, base, score, probability, bundle.threshold, prediction, tuple(made))


def _direction(part: float) -> str:
    return "raises" if part > 0 else "lowers" if part < 0 else "none"


def _shown(feature: Feature, column: Input, value: Scalar) -> Shown:
    """A feature's value as a person writes it."""
    if value is None or isinstance(value, str):
        return value
    if math.isnan(value):
        return None
    if feature.op == "value" and column.kind == "boolean":
        return bool(value)
    if feature.op == "value" and column.kind == "date" and abs(value) < MOST_DAYS:
        return str(np.datetime64(math.floor(value), "D"))
    number = float(f"{value:.7g}")  # no more digits than float32 has
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _subject(feature: Feature, block: Block, shown: Shown, raw: Mapping[str, Scalar]) -> str:
    """The beginning of the sentence: what the feature is and which value it has."""
    label = _label(feature)
    if shown is None:
        if len(feature.inputs) > 1 and not any(_missing(raw[name]) for name in feature.inputs):
            return f"{label} cannot be computed: "
        return f"{label} is missing: "
    return f"{label} = {_written(feature, block, shown)} "


def _missing(value: Scalar) -> bool:
    return value is None or value != value


def _label(feature: Feature) -> str:
    """A feature's name for people."""
    name, *others = feature.inputs
    if feature.op == "value":
        return name
    if feature.op in ("month", "weekday", "length", "sentiment"):
        return f"{feature.op} of {name}"
    if feature.op == "words":
        return f"number of words in {name}"
    if feature.op == "days":
        since = f"days since {others[0]}"
        return since if feature.name == f"{others[0]}_days" else f"{feature.name} (days from {others[0]} to {name})"
    sign = {"ratio": "/", "difference": "-", "product": "×"}[feature.op]
    return f"{feature.name} ({name} {sign} {others[0]})"


def _written(feature: Feature, block: Block, shown: Shown) -> str:
    """A value inside a sentence."""
    if isinstance(shown, bool):
        return "true" if shown else "false"
    if isinstance(shown, str):
        if isinstance(block, Number):  # a date
            return shown
        unseen = "rare or not seen in training" if isinstance(block, OneHot) else "not seen in training"
        return f'"{shown}"' if shown in block.levels else f'"{shown}" ({unseen})'
    assert shown is not None
    if feature.op == "month":
        return MONTHS[int(shown) - 1]
    if feature.op == "weekday":
        return WEEKDAYS[int(shown)]
    if feature.op == "length":
        return f"{shown} character" if shown == 1 else f"{shown} characters"
    if feature.op == "sentiment":
        return f"{shown:.2f} ({'positive' if shown >= NEUTRAL else 'negative' if shown <= -NEUTRAL else 'neutral'})"
    if feature.op == "value":
        return str(shown)
    return str(round(shown, 2) if abs(shown) >= 1 else float(f"{shown:.3g}") or 0)


def _effect(part: float, calibrator: Calibrator) -> str:
    """The end of the sentence: what the feature does to the score. Odds are those of the calibrated probability."""
    log_odds = calibrator.score == "log_odds"
    what = "the churn score" if log_odds else "the churn probability before calibration"
    if abs(part) < HARDLY[calibrator.score]:
        return f"{'hardly changes' if part else 'does not change'} {what}"
    if not log_odds:
        return f"{_direction(part)} {what} by {100 * abs(part):.1f} points"
    odds = math.exp(min(max(calibrator.slope * part, -700.0), 700.0))
    size = f"{abs(part):.2f}" if abs(part) < 1000 else f"{abs(part):.3g}"
    times = f"{odds:.2f}" if 0.1 <= odds < 10 else f"{odds:,.0f}" if 10 <= odds < 1e6 else f"{odds:.2g}"
    return f"{_direction(part)} {what} by {size} (odds × {times})"
