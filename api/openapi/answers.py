"""What the service answers, as JSON schema."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _optional(schema: Schema, **properties: Schema) -> Schema:
    return {**schema, "properties": {**schema["properties"], **properties}}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _null(schema: Schema) -> Schema:
    return {**schema, "nullable": True}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
WHOLE: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
ANY: Schema = {"type": "object"}
_BY = {"model": TEXT, "version": TEXT, "variant": TEXT, "commit": _null(TEXT)}

PREDICTION = _object(
    customer_id=_null(TEXT),
    churn_probability=SHARE,
    prediction=FLAG | {"description": "churn_probability is at least the model's threshold"},
    confidence=SHARE | {"description": "probability that the prediction is right"},
    **_BY,
)
ONE = _object(**PREDICTION["properties"], request_id=TEXT)
EXPLANATION = _object(
    customer_id=_null(TEXT),
    churn_probability=SHARE,
    prediction=FLAG,
    threshold=SHARE,
    raw_score=NUMBER | {"description": "base + all contributions"},
    scale={"type": "string", "enum": ["log_odds", "probability"]},
    base=NUMBER,
    contributions=_list(_object(feature=TEXT, value={"nullable": True}, contribution=NUMBER, words=TEXT)),
    **_BY,
)

SCHEMAS: Schema = {
    "Predicted": {
        "anyOf": [
            _optional(ONE, unknown_levels=_list(TEXT)),
            _optional(
                _object(predictions=_list(PREDICTION), request_id=TEXT),
                unknown_levels={"type": "object", "additionalProperties": WHOLE},
            ),
        ]
    },
    "Explained": {
        "anyOf": [
            _object(**EXPLANATION["properties"], request_id=TEXT),
            _object(explanations=_list(EXPLANATION), request_id=TEXT),
        ]
    },
    "Feedback": {
        "type": "object",
        "properties": {
            "churned": FLAG,
            "request_id": _null({"type": "string", "minLength": 1, "maxLength": 256}),
            "customer_id": {"$ref": "#/components/schemas/CustomerId"},
            "row": _null(WHOLE | {"description": "which record of a request with several"}),
            "observed_at": _null({"type": "string", "format": "date-time"}),
        },
        "required": ["churned"],
        "additionalProperties": False,
        "description": "request_id or customer_id is needed",
        "example": {"churned": True, "customer_id": "C-1001", "observed_at": "2026-03-15T14:00:00Z"},
    },
    "Stored": _object(
        result={"type": "string", "enum": ["new", "same", "changed"]},
        matched=WHOLE | {"description": "logged predictions that it belongs to"},
        request_id=TEXT,
    ),
    "Model": _object(
        name=TEXT,
        version=TEXT,
        variant=TEXT,
        weight=SHARE,
        commit=_null(TEXT),
        promoted=FLAG,
        threshold=SHARE,
        metrics=_null(ANY),
        lineage=ANY,
        signature=ANY,
        variants=ANY,
        request_id=TEXT,
    ),
    "Health": _object(
        status={"type": "string", "enum": ["ok", "degraded"]},
        model_loaded=FLAG,
        models=_list(ANY),
        refused=_list(_object(stage=TEXT, version=_null(TEXT), kind=TEXT, reason=TEXT, since=TEXT)),
        prediction_log=ANY,
        crashes=_list(ANY),
        uptime_seconds=NUMBER,
        request_id=TEXT,
    ),
    "Ready": _object(ready=FLAG, version=_null(TEXT), request_id=TEXT),
    "Refusal": _object(
        detail=_list(
            _object(
                loc=_list({"oneOf": [TEXT, {"type": "integer"}]}),
                msg=TEXT,
                type=TEXT,
            )
        ),
        request_id=TEXT,
    ),
}

_MEANINGS = {
    400: "Not JSON, not UTF-8, nested too deeply, or damaged on the way",
    401: "No valid API key",
    404: "No such path",
    405: "The path answers another method",
    408: "The body did not arrive in time",
    413: "Too large: bytes or records",
    415: "Another content type or encoding",
    422: "A column is missing, unknown or of the wrong type; every problem names its place",
    429: "More requests a minute than the key may make; Retry-After says when",
    501: "This version carries no explainer",
    503: "No model serves, or too many requests are in flight; Retry-After says when",
    504: "Too large to be answered in time",
}


def _refusal(meaning: str) -> Schema:
    ref = {"$ref": "#/components/schemas/Refusal"}
    return {"description": meaning, "content": {"application/json": {"schema": ref}}}


RESPONSES: Schema = {f"Refused{status}": _refusal(meaning) for status, meaning in _MEANINGS.items()}


def ok(schema: str) -> Schema:
    """A 200 with a body."""
    ref = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": "Done", "content": {"application/json": {"schema": ref}}}


def refusals(*statuses: int, keyed: bool) -> Schema:
    """The refusals of a route: those named, and those that every route has."""
    every = {*statuses, 405, 408, 429, 503, *((401,) if keyed else ())}
    return {str(s): {"$ref": f"#/components/responses/Refused{s}"} for s in sorted(every)}


def not_ready() -> Schema:
    """A 503 that says so in the form of the 200."""
    ref = {"$ref": "#/components/schemas/Ready"}
    return {"503": {"description": "No model serves", "content": {"application/json": {"schema": ref}}}}
