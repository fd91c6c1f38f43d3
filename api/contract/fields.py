"""One column of the signature: which values it takes, and what is said about those that it does not."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from mlops.features import FLOAT32_MAX, NAN, Scalar

EPOCH = date(1970, 1, 1).toordinal()
MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)? ?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
SECONDS_A_DAY = 86400
TOO_LARGE = FLOAT32_MAX + 2.0**103
"""The smallest number that float32 rounds to infinity."""
SHOWN = 60
"""Characters of a refused value that its message repeats."""


class Wrong(Exception):  # noqa: N818 - it carries a problem to where its place is known
    """A value that a field does not take: a short word for programs, and what is said to people."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


def shown(value: object) -> str:
    """A refused value as a message repeats it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


@dataclass(frozen=True)
class Field:
    """A raw column that the model reads. whole: training saw only whole numbers; levels: those training knew."""

    name: str
    kind: str
    nullable: bool
    whole: bool = False
    format: str | None = None
    levels: frozenset[str] | None = None
    low: float | None = None
    high: float | None = None
    example: Any = None

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Field:
        """From an entry of the signature's `inputs`."""
        levels = described.get("levels")
        return cls(
            described["name"],
            described["kind"],
            bool(described["nullable"]),
            bool(described.get("whole", False)),
            described.get("format"),
            None if levels is None else frozenset(levels),
            described.get("min"),
            described.get("max"),
            described.get("example"),
        )

    @property
    def wanted(self) -> str:
        """What a client must send, in words."""
        words = {
            "number": "a whole number" if self.whole else "a number",
            "boolean": "true or false",
            "category": "a text",
            "text": "a text",
            "date": "a date such as 2025-06-30",
        }[self.kind]
        return f"{words} or null" if self.nullable else words

    def value(self, given: object) -> Scalar:
        """A value of JSON as the encoder reads it: float (NaN where missing) or text (None where missing).

        Raises:
            Wrong: the field does not take it.
        """
        if given is None:
            if not self.nullable:
                raise Wrong("null", f"is null, but training never saw it missing; {self.wanted} is needed")
            return None if self.kind in ("category", "text") else NAN
        if self.kind == "number":
            return self._number(given)
        if self.kind == "boolean":
            if not isinstance(given, bool):
                raise Wrong("type", f"is {shown(given)}; {self.wanted} is needed")
            return float(given)
        if not isinstance(given, str):
            raise Wrong("type", f"is {shown(given)}; {self.wanted} is needed")
        return self.days(given) if self.kind == "date" else given

    def _number(self, given: object) -> float:
        if isinstance(given, bool) or not isinstance(given, (int, float)):
            raise Wrong("type", f"is {shown(given)}; {self.wanted} is needed")
        if isinstance(given, float) and not math.isfinite(given):
            raise Wrong("not_finite", f"is {given}; {self.wanted} is needed")
        if not -TOO_LARGE < given < TOO_LARGE:
            raise Wrong("range", f"is beyond ±{FLOAT32_MAX:.3g}, the largest that the model reads")
        if self.whole and given % 1:
            raise Wrong("whole", f"is {shown(given)}; training saw whole numbers only: {self.wanted} is needed")
        return float(given)

    def days(self, text: str) -> float:
        """A date as days since 1970-01-01 (UTC), with the fraction of a day where it has a time.

        Raises:
            Wrong: it is not one.
        """
        try:
            if self.format is not None:
                try:
                    return _days(datetime.strptime(text, self.format))
                except ValueError:
                    pass  # ISO dates are always taken, whatever the table's own format
            if len(text) == 10 and text[4] == text[7] == "-":
                return float(date.fromisoformat(text).toordinal() - EPOCH)
            if MOMENT.fullmatch(text):
                return _days(datetime.fromisoformat(text.replace(",", ".").replace(" +", "+").replace(" -", "-")))
        except (ValueError, OverflowError) as error:
            raise Wrong("date", f"is {shown(text)}, which is no date ({error}); {self.wanted} is needed") from None
        raise Wrong("date", f"is {shown(text)}; {self.wanted} is needed")


def _days(moment: datetime) -> float:
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second  # fractions are cut, as training cuts them
    return moment.toordinal() - EPOCH + seconds / SECONDS_A_DAY
