"""POST /explain: why a customer's score is what it is, feature by feature."""

from __future__ import annotations

from typing import Any

import msgspec

from api.contract import Table
from api.door.messages import Answer, Problem, Refused, Request, Route
from api.models import Variant
from api.routes.body import json_type
from api.routes.predict import read
from api.routes.scoring import DECIMALS
from api.service import Service
from mlops.errors import BundleError
from mlops.explain import explain_row
from mlops.features import Coded, Scalar

MOST = 100
"""Records of one request: each takes milliseconds."""


def explain(service: Service, request: Request) -> Answer:
    """Contributions of each feature to the raw score, largest first; the same bodies as /predict."""
    serving = service.require()
    json_type(request)
    table, single = read(serving, request, MOST)
    told = [_explained(serving.route(table.customers[i]), table, i) for i in range(table.n)]
    body = told[0] if single else {"explanations": told}
    return Answer(200, msgspec.json.encode({**body, "request_id": request.id}))


def _explained(variant: Variant, table: Table, i: int) -> dict[str, Any]:
    row: dict[str, Scalar] = {name: _cell(column, i) for name, column in table.columns.items()}
    try:
        told = explain_row(variant.bundle, row)
    except BundleError as error:
        raise Refused(501, "no_explainer", str(error), (Problem((), str(error), "no_explainer"),)) from None
    contributions = [
        {"feature": c.feature, "value": c.value, "contribution": c.contribution, "words": c.words}
        for c in told.contributions
    ]
    return {
        "customer_id": table.customers[i],
        "churn_probability": round(told.probability, DECIMALS),
        "prediction": round(told.probability, DECIMALS) >= variant.bundle.threshold,
        "threshold": variant.bundle.threshold,
        "raw_score": told.raw,
        "scale": variant.bundle.calibrator.score,
        "base": told.base,
        "contributions": contributions,
        "model": variant.model,
        "version": variant.version,
        "variant": variant.name,
        "commit": variant.commit,
    }


def _cell(column: Any, i: int) -> Scalar:
    if isinstance(column, Coded):
        code = int(column.codes[i])
        return None if code < 0 else column.levels[code]
    return float(column[i])


ROUTES = (Route("POST", "/explain", explain, "explain", heavy=True),)
