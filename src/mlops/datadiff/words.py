"""What differs between two versions of the data, as people read it: lines without markup, and cells of a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlops.datadiff.result import Facts
from mlops.errors import one_line

LONGEST = 40
MOST = 8
"""Things listed in one line."""
Both = Mapping[str, Any]


def lines(facts: Facts) -> Iterator[str]:
    """Rows, labels, schema and sides: a line each, only where there is something to say."""
    yield from facts["notes"]
    if facts["unavailable"]:
        yield f"rows: not compared: {facts['unavailable']}"
    elif facts["rows"] is None:
        yield f"rows: the same table, {facts['after']['digest'][:8]}"
    else:
        yield f"rows: {_rows(facts['rows'])}"
    if facts["outcome"]:
        yield f"target {_outcome(facts['outcome'])}"
    if facts["schema"]:
        yield f"schema: {_listed([_schema(entry) for entry in facts['schema']], '; ')}"
    if facts["sides"]:
        yield f"split: {_sides(facts['sides'])}"


def _rows(rows: Facts) -> str:
    key = " and ".join(plain(name) for name in rows["key"])
    parts = [f"{rows[word]:,} {word}" for word in ("added", "removed", "changed") if rows[word]]
    text = f"{rows['before']:,} → {rows['after']:,}; by {key or 'content'} {', '.join(parts) or 'all the same'}"
    loose, copies = rows["by_content"], rows["copies"]
    if key and any(loose.values()):
        text += f"; {arrow(loose, count)} compared by content, their key is not theirs alone"
    return text + (f"; {arrow(copies, count)} are copies of another" if any(copies.values()) else "")


def _outcome(outcome: Facts) -> str:
    names = [plain(name) for name in outcome["column"].values()]
    text = f"{names[0] if names[0] == names[1] else ' → '.join(names)}: {arrow(outcome['positive_share'], share)} churn"
    if outcome["to_positive"] is None:
        return text
    turned = outcome["to_positive"] + outcome["to_negative"]
    ways = f" ({outcome['to_positive']:,} to churn, {outcome['to_negative']:,} away)" if turned else ""
    text += f", {turned:,} label{'s' * (turned != 1)} flipped{ways}"
    return text + "".join(f", {outcome[word]:,} {word}" for word in ("labelled", "unlabelled") if outcome[word])


def _schema(entry: Facts) -> str:
    name, change = plain(entry["column"]), entry["change"]
    if change == "added":
        return f"{name} added ({entry['after']})"
    if change == "removed":
        return f"{name} removed"
    return f"{name}: {change} {_value(entry['before'])} → {_value(entry['after'])}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{_listed([plain(v) for v in value], ', ')}]"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else plain(value)


def _sides(sides: Facts) -> str:
    if sides["unavailable"]:
        return f"not compared: {sides['unavailable']}"
    moved = ", ".join(f"{rows:,} {way}" for way, rows in sides["moved"].items()) or "none"
    sizes = ", ".join(
        f"{name} {arrow({side: sides[side].get(name, 0) for side in ('before', 'after')}, count)}"
        for name in {**sides["before"], **sides["after"]}
    )
    return f"{sizes}; rows that changed sides: {moved}"


def columns(facts: Facts, most: int) -> Iterator[str]:
    """A line for each column that changed, the largest change first; at most so many, then how many more."""
    told = changed(facts)
    for column in told[:most]:
        drifted, values, missing, rows = cells(column)
        parts = [drifted, values, f"missing {missing}" if missing else "", f"{rows} values changed" if rows else ""]
        yield f"{plain(column['name'])}: {', '.join(filter(None, parts))}"
    if len(told) > most:
        yield f"and {len(told) - most} more columns that changed"


def changed(facts: Facts) -> list[Facts]:
    """Columns of which there is something to say."""
    return [column for column in facts["columns"] if any(cells(column))]


def cells(column: Facts) -> tuple[str, str, str, str]:
    """PSI and its reading, what became of the values, of the missing share, and rows with another value; or empty."""
    missing = column["missing"]
    gaps = arrow(missing, share)
    return (
        _drift(column["drift"]),
        _spread(column["spread"], column["kind"]) or _levels(column["levels"]),
        gaps if "→" in gaps else "",
        f"{column['changed']:,}" if column["changed"] else "",
    )


def _drift(drift: Facts | None) -> str:
    if drift is None or (drift["score"] < 0.001 and drift["reading"] == "stable"):
        return ""
    return f"PSI {drift['score']:.3f} {'by chance' if drift['reading'] == 'chance' else drift['reading']}"


def _spread(spread: Both | None, kind: str) -> str:
    if spread is None or spread["before"] == spread["after"]:
        return ""
    dates = all(side["mean"] is None for side in spread.values())
    ends = [f"{_end(side['low'])} to {_end(side['high'])}" for side in spread.values()]
    if dates:
        return " → ".join(ends)
    mean = arrow({name: side["mean"] for name, side in spread.items()}, number)
    told = f"{'length' if kind == 'text' else 'mean'} {mean}" if "→" in mean else ""
    return told or ("" if ends[0] == ends[1] else f"range {ends[0]} → {ends[1]}")


def _end(value: Any) -> str:
    return number(value) if value is None or isinstance(value, float) else plain(value)


def _levels(levels: Facts | None) -> str:
    if levels is None:
        return ""
    parts = []
    for word in ("new", "vanished"):
        seen = levels[word]
        if seen["count"]:
            names = [plain(name) for name in seen["names"][:3]]
            named = f": {', '.join(names)}{', …' if seen['count'] > len(names) else ''}" if names else ""
            parts.append(f"{seen['count']:,} {word} in {seen['rows']:,} rows{named}")
    return "; ".join(parts)


def arrow(both: Both, shown: Any) -> str:
    """A value, or both where they look different."""
    was, now = (shown(both[side]) for side in ("before", "after"))
    return was if was == now else f"{was} → {now}"


def count(value: int) -> str:
    """A number of things."""
    return f"{value:,}"


def share(value: float | None) -> str:
    """A share in per cent."""
    return "–" if value is None else f"{100 * value:.1f} %"


def number(value: float | None) -> str:
    """Four figures that matter."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def plain(text: object) -> str:
    """A name out of somebody's table: one line, printable, not long."""
    line = "".join(sign if sign.isprintable() else "·" for sign in one_line(text))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _listed(parts: Sequence[str], between: str) -> str:
    more = f"{between}{len(parts) - MOST} more" if len(parts) > MOST else ""
    return between.join(parts[:MOST]) + more
