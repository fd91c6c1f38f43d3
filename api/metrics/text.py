"""Prometheus' text format 0.0.4."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate

from api.metrics.families import FAMILIES, Family, Labels
from api.metrics.index import Key
from api.metrics.totals import Totals


def exposition(totals: Totals) -> bytes:
    """Families in the order of their table, series in that of their labels; families without series are left out."""
    keys: dict[str, dict[Labels, Key]] = {name: {} for name in FAMILIES}
    for key in totals.values:
        shown = keys[key.family].setdefault(key.labels, key)
        if totals.since.get(key, 0.0) > totals.since.get(shown, 0.0):
            keys[key.family][key.labels] = key
    lines: list[str] = []
    for name, series in keys.items():
        if series:
            family = FAMILIES[name]
            lines += (f"# HELP {name} {_escaped(family.help)}", f"# TYPE {name} {family.kind}")
            for labels in sorted(series):
                lines += _samples(family, series[labels], totals.values[series[labels]])
    return ("\n".join(lines) + "\n").encode("utf-8", errors="replace")


def _samples(family: Family, key: Key, values: Sequence[float]) -> Iterator[str]:
    pairs = ",".join(f'{n}="{_escaped(v, quotes=True)}"' for n, v in zip(family.labels, key.labels, strict=True))
    braced = f"{{{pairs}}}" if pairs else ""
    if key.edges is None:
        yield f"{family.name}{braced} {number(values[0])}"
        return
    start = f"{family.name}_bucket{{{pairs}{',' if pairs else ''}le="
    counts = list(accumulate(values[:-1]))
    for edge, count in zip((*key.edges, math.inf), counts, strict=True):
        yield f'{start}"{edge_text(edge)}"}} {number(count)}'
    yield f"{family.name}_sum{braced} {number(values[-1])}"
    yield f"{family.name}_count{braced} {number(counts[-1])}"


def _escaped(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def number(value: float) -> str:
    """A value as Prometheus reads it, whole numbers without a point."""
    if math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def edge_text(edge: float) -> str:
    """The label `le`, spelled as Go spells a number with a point: Prometheus 3 makes all others that, 2 does not."""
    text = repr(edge)
    if not 1e6 <= abs(edge) < 1e16:
        return "+Inf" if edge == math.inf else text
    sign, digits = ("-", text[1:]) if edge < 0 else ("", text)
    whole, _, part = digits.partition(".")
    shown = (whole + part).rstrip("0")
    return f"{sign}{shown[0]}{'.' if shown[1:] else ''}{shown[1:]}e+{len(whole) - 1:02d}"
