"""The target of both tables: its share, and the rows whose outcome turned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlops.datadiff.matching import Matching
from mlops.datadiff.raw import Raw
from mlops.datadiff.result import Both, Outcome
from mlops.rows.identity import UNLABELLED, labels

Labels = NDArray[np.int8]


def outcome(was: Raw, now: Raw, matching: Matching, by_key: bool) -> Outcome | None:
    """What became of the target, by what each commit's own schema says of it; None where one has none."""
    sides = [(raw.schema, raw) for raw in (was, now)]
    targets = [schema.target.name for schema, _ in sides if schema]
    found = [labels(raw.column(s.target.name), s) for s, raw in sides if s and s.target.name in raw.types]
    if len(found) < 2:
        return None
    shares = Both(*(_share(side) for side in found))
    b, a = found[0][matching.before], found[1][matching.after]

    def rows(before: int, after: int) -> int | None:
        return int(np.count_nonzero((b == before) & (a == after))) if by_key else None

    gained, lost = int(np.count_nonzero((b == UNLABELLED) & (a >= 0))), int(np.count_nonzero((b >= 0) & (a < 0)))
    return Outcome(
        column=Both(*targets),
        positive_share=shares,
        to_positive=rows(0, 1),
        to_negative=rows(1, 0),
        labelled=gained if by_key else None,
        unlabelled=lost if by_key else None,
    )


def _share(y: Labels) -> float | None:
    known = y[y != UNLABELLED]
    return float(known.mean()) if len(known) else None
