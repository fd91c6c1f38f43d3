"""What stands beside a model: what clients send it (signature), what training rows looked like (profile)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlops.encode import Encoder, OneHot, TargetMean
from mlops.features import Coded, Feature, Floats, Input, Values

BINS = 10
MOST_LEVELS = 50


def signature(encoder: Encoder, features: Mapping[str, Values], id_column: str | None) -> dict[str, Any]:
    """The raw columns of a request: kind, whether it may be missing, levels or range seen in training, an example.

    Args:
        encoder: the fitted encoder.
        features: training rows, a column per feature.
        id_column: the column that says whose a row is, which clients may send along; None where the table has none.
    """
    itself = {f.inputs[0]: f for f in encoder.plan.features if f.op == "value"}
    levels = {b.feature: list(b.levels) for b in encoder.blocks if isinstance(b, (OneHot, TargetMean))}
    inputs = [_input(i, itself.get(i.name), features, levels) for i in encoder.plan.inputs]
    return {
        "id": id_column,
        "inputs": inputs,
        "output": {"name": "churn_probability", "kind": "number", "min": 0, "max": 1},
    }


def _input(
    column: Input, feature: Feature | None, features: Mapping[str, Values], levels: Mapping[str, list[str]]
) -> dict[str, Any]:
    described: dict[str, Any] = {"name": column.name, "kind": column.kind, "nullable": column.nullable}
    if column.kind == "date":
        return {**described, "format": column.format, "example": None if column.nullable else "2025-06-30"}
    if column.kind == "text":
        return {**described, "example": None if column.nullable else "All fine so far."}
    values = None if feature is None else features[feature.name]
    if isinstance(values, Coded):
        counts = np.bincount(values.codes[values.codes >= 0], minlength=len(values.levels))
        example = values.levels[int(np.argmax(counts))] if len(values.levels) else None
        return {**described, "levels": levels[column.name], "example": example}
    if values is None:  # a number that only derived features read
        return {**described, "example": None if column.nullable else 0}
    known = values[~np.isnan(values)]
    if column.kind == "boolean":
        return {**described, "example": bool(np.median(known) > 0.5) if len(known) else None}
    whole = bool(np.all(known == np.floor(known)))
    low, middle, high = (
        (_plain(q) for q in np.quantile(known, [0, 0.5, 1], method="lower")) if len(known) else (None,) * 3
    )
    return {**described, "whole": whole, "min": low, "max": high, "example": middle}


def _plain(value: float) -> float | int:
    """A number as people write it: 34 rather than 34.0, and no more digits than float32 has."""
    number = float(f"{value:.7g}")
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def profile(features: Mapping[str, Values]) -> dict[str, Any]:
    """How training rows were distributed, feature by feature.

    Numbers: edges of ten equally filled bins, the share of rows in each, the share missing. Categories: the share of
    each of the most frequent levels, of all others, and missing. What monitoring compares new rows with.
    """
    return {
        "rows": _rows(features),
        "features": {name: _level_shares(v) if isinstance(v, Coded) else bins(v) for name, v in features.items()},
    }


def _rows(features: Mapping[str, Values]) -> int:
    first = next(iter(features.values()))
    return len(first.codes if isinstance(first, Coded) else first)


def bins(values: Floats) -> dict[str, Any]:
    """Numbers in ten equally filled bins, as in `profile`."""
    known = values[~np.isnan(values)]
    if not len(known):
        return {"kind": "number", "edges": [], "shares": [], "missing": 1.0}
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)))
    inner = np.searchsorted(edges[1:-1], known, side="right")
    shares = np.bincount(inner, minlength=max(len(edges) - 1, 1)) / len(known)
    return {
        "kind": "number",
        "edges": [float(f"{e:.7g}") for e in edges],
        "shares": np.round(shares, 6).tolist(),
        "missing": round(1 - len(known) / len(values), 6),
    }


def _level_shares(column: Coded) -> dict[str, Any]:
    counts = np.bincount(column.codes + 1, minlength=len(column.levels) + 1)
    shares = counts / max(len(column.codes), 1)
    ranked = sorted(zip(column.levels, shares[1:].tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
    shown = {level: round(share, 6) for level, share in ranked[:MOST_LEVELS] if share > 0}
    others = sum(share for _, share in ranked[MOST_LEVELS:])
    return {"kind": "category", "shares": shown, "others": round(others, 6), "missing": round(float(shares[0]), 6)}
