"""POST /predict: one record, `{"records": […]}`, or `{"features": […]}` in the signature's order.

The one record is the hot path: it is read, scored, counted and answered without passing through anything that is made
for many rows. Whatever it does not take goes the slow way, which finds the words for what is wrong.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np

from api.contract import Table
from api.contract.record import RECORDS, Unfit
from api.door.messages import Answer, Invalid, Problem, Refused, Request, Route
from api.models import Serving, Variant
from api.routes.body import document, json_type
from api.routes.scoring import DECIMALS, Scored, count_unknown, rounded, score_table
from api.service import Service
from mlops.errors import DataError

FEATURES, CUSTOMER, CUSTOMERS = "features", "customer_id", "customer_ids"
SOURCE = "predict"
_text = msgspec.json.Encoder().encode


class Prediction(msgspec.Struct, gc=False):
    """One of many, with the members and in the order that `_prediction` writes for a single one."""

    customer_id: str | None
    churn_probability: float
    prediction: bool
    confidence: float
    model: str
    version: str
    variant: str
    commit: str | None


def predict(service: Service, request: Request) -> Answer:
    """Score one record or many."""
    serving = service.require()
    json_type(request)
    try:
        row, customer, inputs = serving.main.contract.record.read(request.body)
        variant = serving.route(customer)
        matrix, raw, p = variant.bundle.row(row)
    except (Unfit, DataError):
        return _many(service, serving, request)
    p = round(p, DECIMALS)
    churn = p >= variant.bundle.threshold
    tally = service.tally(variant)
    (tally.churn if churn else tally.stay).add(1)
    service.distributions.put(variant, matrix, (p,))
    now, by = time.time(), (variant.name, variant.version, variant.commit)
    service.log.put((now, request.id, 0, customer, *by, SOURCE, raw, p, churn, inputs))
    if serving.shadow is not None:
        service.shadow.put_row(serving.shadow, row, customer, request.id, inputs)
    shown = "null" if customer is None else _text(customer).decode()
    answer = _prediction(shown, p, churn, variant)
    unknown = variant.contract.unknown(row)
    warned = _warned(service, variant, unknown) if unknown else ""
    return Answer(200, f'{{{answer}{warned},"request_id":"{request.id}"}}'.encode())


def _prediction(customer: str, p: float, churn: bool, variant: Variant) -> str:
    """The members of one prediction. confidence: the probability that the prediction is right."""
    sure = round(p if churn else 1 - p, DECIMALS)
    return (
        f'"customer_id":{customer},"churn_probability":{p},"prediction":{"true" if churn else "false"},'
        f'"confidence":{sure},{variant.stamp}'
    )


def _warned(service: Service, variant: Variant, unknown: list[str]) -> str:
    for feature in unknown:
        count_unknown(service, variant, feature)
    return f',"unknown_levels":{_text(unknown).decode()}'


def _many(service: Service, serving: Serving, request: Request) -> Answer:
    """Every form, with words for what is wrong. One record answers as one, lists as `predictions`."""
    table, single = read(serving, request, service.settings.max_rows)
    scored = score_table(service, serving, table, request, SOURCE)
    if single:
        customer = table.customers[0]
        shown = "null" if customer is None else _text(customer).decode()
        one = _prediction(shown, scored.probabilities[0], scored.predictions[0], scored.variants[0])
        warned = f',"unknown_levels":{_text(list(scored.unknown)).decode()}' if scored.unknown else ""
        return Answer(200, f'{{{one}{warned},"request_id":"{request.id}"}}'.encode())
    warned = f',"unknown_levels":{_text(scored.unknown).decode()}' if scored.unknown else ""
    return Answer(
        200, b'{"predictions":%b%b}' % (_listed(table, scored), f'{warned},"request_id":"{request.id}"'.encode())
    )


def _listed(table: Table, scored: Scored) -> bytes:
    p = np.array(scored.probabilities)
    sure = rounded(np.where(scored.predictions, p, 1 - p)).tolist()
    facts = scored.by("model", "version", "name", "commit")
    return _text(list(map(Prediction, table.customers, scored.probabilities, scored.predictions, sure, *facts)))


def read(serving: Serving, request: Request, most: int) -> tuple[Table, bool]:
    """The rows of a body in any of the three forms, at most so many, and whether it was a single one.

    Raises:
        Invalid, Refused: it is none of them; each problem names its place.
    """
    contract = serving.main.contract
    table = contract.from_body(request.body, most)
    if table is not None:
        return table, False
    body = document(request)
    if not isinstance(body, dict):
        raise Invalid((Problem((), 'an object is needed: a record, {"records": […]} or {"features": […]}', "type"),))
    form = next((f for f in (RECORDS, FEATURES) if f in body and f not in contract.known), None)
    if form is None:
        return contract.from_records([body], at=None), True
    others = [key for key in body if key not in (form, *((CUSTOMER, CUSTOMERS) if form == FEATURES else ()))]
    if others:
        raise Invalid((Problem((others[0],), f"does not belong beside {form}", "extra"),))
    rows = body[form]
    if not isinstance(rows, list):
        raise Invalid((Problem((form,), "a list is needed", "type"),))
    if len(rows) > most:
        raise Refused(413, "rows", f"{len(rows)} records are more than {most}; send fewer at once")
    if form == RECORDS:
        return contract.from_records(rows), False
    return _from_features(serving, body, rows)


def _from_features(serving: Serving, body: dict[str, Any], rows: list[Any]) -> tuple[Table, bool]:
    """`features`: a list of values, or a list of such lists; ids stand beside it."""
    contract = serving.main.contract
    single = not (rows and isinstance(rows[0], list))
    listed = [rows] if single else rows
    name, ids = (CUSTOMER, [body.get(CUSTOMER)]) if single else (CUSTOMERS, body.get(CUSTOMERS))
    if (CUSTOMERS if single else CUSTOMER) in body:
        other = CUSTOMERS if single else CUSTOMER
        raise Invalid((Problem((other,), f"{name} is what belongs beside this form of features", "extra"),))
    if ids is None:
        ids = [None] * len(listed)
    if not isinstance(ids, list) or len(ids) != len(listed):
        raise Invalid((Problem((name,), f"a list of {len(listed)} ids is needed, one for each row", "shape"),))
    table = contract.from_lists(listed, None, at=(FEATURES,))
    return contract.with_customers(table, ids, at=(name,)), single


ROUTES = (Route("POST", "/predict", predict, "predict"),)
