"""POST /feedback: what became of a customer. The same outcome twice is stored once."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from api.contract.record import LONGEST_ID
from api.door.messages import Answer, Invalid, Problem, Refused, Request, Route
from api.predictions import LogError, LogUnavailable, Outcome
from api.routes.body import document, json_type
from api.service import Service

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)]


class Feedback(msgspec.Struct, forbid_unknown_fields=True):
    """An outcome. row: which record of a request with several; observed_at: when it was known, ISO 8601."""

    churned: bool
    request_id: Id | None = None
    customer_id: Id | int | None = None
    row: Annotated[int, msgspec.Meta(ge=0)] | None = None
    observed_at: str | None = None


def feedback(service: Service, request: Request) -> Answer:
    """Store an outcome for a request id or a customer; says whether it is new and how many predictions it meets."""
    json_type(request)
    try:
        given = msgspec.convert(document(request), Feedback)
    except msgspec.ValidationError as error:
        raise Invalid((_problem(str(error)),)) from None
    if given.request_id is None and given.customer_id is None:
        raise Invalid((Problem(("request_id",), "is missing; request_id or customer_id is needed", "missing"),))
    customer = None if given.customer_id is None else str(given.customer_id)
    try:
        outcome = Outcome(given.request_id, given.row, customer, given.churned, given.observed_at)
    except LogError as error:
        field = "row" if "row" in str(error) else "observed_at"
        raise Invalid((Problem((field,), str(error), "range" if field == "row" else "date"),)) from None
    try:
        stored = service.log.feedback(outcome)
    except LogUnavailable as error:
        raise Refused(503, "log_unavailable", str(error), headers=((b"retry-after", b"5"),)) from None
    said = "churned" if given.churned else "stayed"
    service.meters.counter("churn_feedback_total", outcome=said, result=stored.result).add(1)
    facts = {"result": stored.result, "matched": stored.matched, "request_id": request.id}
    return Answer(200, msgspec.json.encode(facts))


def _problem(message: str) -> Problem:
    """msgspec's sentence, with the field that it names in its place and a type of ours."""
    said, _, where = message.partition(" - at `$.")
    member = re.search(r"(missing required|unknown) field `(.*)`", said)
    if member:
        return Problem((member[2],), said, "missing" if member[1].startswith("missing") else "extra")
    loc = tuple(part for part in where.rstrip("`").split(".") if part)
    return Problem(loc, said, "type")


ROUTES = (Route("POST", "/feedback", feedback, "feedback", heavy=True),)
