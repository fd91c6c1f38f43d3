"""What the protocols share: rows scored, and predictions as MLflow and KServe's first protocol answer them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from api.contract import Table
from api.door.messages import Answer, Refused, Request
from api.models import Serving
from api.routes.scoring import Scored, score_table

if TYPE_CHECKING:
    from api.service import Service

_encode = msgspec.json.Encoder().encode
OUTPUTS = ("record", "probability")
"""What an entry is: an object, or the probability alone."""


class Entry(msgspec.Struct, gc=False):
    """What is answered of one row. It says who answered: the rows of a request may differ."""

    churn_probability: float
    prediction: bool
    variant: str
    version: str
    commit: str | None


def score(service: Service, serving: Serving, table: Table, request: Request, source: str) -> Scored:
    """Scores of a table's rows. source: the protocol, for the prediction log.

    Raises:
        Refused: 413, too many rows; as Invalid, a value that the model cannot read.
    """
    most = service.settings.max_rows
    if table.n > most:
        raise Refused(413, "rows", f"{table.n} rows are more than {most}; send fewer at once")
    return score_table(service, serving, table, request, source)


def predictions(scored: Scored, output: str, request: Request) -> Answer:
    """`{"predictions": […], "request_id"}`."""
    entries: Sequence[object] = scored.probabilities
    if output == "record":
        entries = list(map(Entry, scored.probabilities, scored.predictions, *scored.by("name", "version", "commit")))
    return Answer(200, _encode({"predictions": entries, "request_id": request.id}))
