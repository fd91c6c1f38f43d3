"""Numbers as the gate and the report write them, so that both say the same of the same number."""

from __future__ import annotations

import math

DECIMALS = 9
"""Of numbers in facts. What is written for people is rounded to these first, so that it does not matter who does it."""
UNKNOWN = "–"
NO_INTERVAL = "no interval"


def rounded(value: float) -> float | None:
    """A number for JSON; None for what is not finite."""
    return round(value, DECIMALS) if math.isfinite(value) else None


def number(value: float | None) -> str:
    """A metric: four decimals, without a sign for what is 0 by them."""
    return UNKNOWN if value is None or math.isnan(value) else f"{round(value, DECIMALS):z.4f}"


def signed(value: float | None) -> str:
    """A difference: with its sign, unless it is 0 by four decimals."""
    if value is None or math.isnan(value):
        return UNKNOWN
    text = f"{round(value, DECIMALS):+z.4f}"
    return text if float(text) else text[1:]


def moved(difference: float | None, low: float | None, high: float | None) -> str:
    """A difference and its interval; says so where there is none, as its limits are not known or infinite."""
    if difference is None or math.isnan(difference):
        return UNKNOWN
    ends = [end for end in (low, high) if end is not None and math.isfinite(end)]
    told = f"{signed(ends[0])}, {signed(ends[1])}" if len(ends) == 2 else NO_INTERVAL
    return f"{signed(difference)} [{told}]"


def interval(confidence: float) -> str:
    """What stands above differences that `moved` wrote."""
    return f"difference [{100 * confidence:.3g} % interval]"
