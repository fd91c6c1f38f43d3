"""The service's own OpenAPI document (3.0.3: what Swagger UI and most generators read)."""

from __future__ import annotations

from typing import Any

from api.contract import Contract
from api.openapi import answers, values
from api.service import Service

Schema = dict[str, Any]
BARE = {"type": "object", "description": "No model serves yet: its columns are not known"}


def openapi(service: Service) -> Schema:
    """As JSON's dictionaries. Without a model, the records' columns are left open."""
    serving = service.models.current
    contract = serving.main.contract if serving else None
    name = serving.main.model if serving else "churn"
    keys = bool(service.settings.api_keys.names)
    document: Schema = {
        "openapi": "3.0.3",
        "info": {
            "title": f"{name}: predictions",
            "version": serving.main.version if serving else "none",
            "description": "A Git tag alone decides which model answers; every answer names its version and commit.",
        },
        "paths": _paths(keyed=keys),
        "components": {"schemas": _schemas(contract), "responses": answers.RESPONSES},
    }
    if keys:
        document["components"]["securitySchemes"] = {
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        document["security"] = [{"key": []}, {"bearer": []}]
    return document


def _schemas(contract: Contract | None) -> Schema:
    record = BARE if contract is None else values.record(contract)
    features = {"type": "array", "items": {}} if contract is None else values.features(contract)
    return {"Record": record, "Features": features, "CustomerId": values.CUSTOMER_ID, **answers.SCHEMAS}


def _paths(*, keyed: bool) -> Schema:
    refused = answers.refusals(400, 413, 415, 422, keyed=keyed)
    predict = _operation(
        "predict", "Score customers", "One record, records, or features in the signature's order.", _body("Record")
    )
    explain = _operation(
        "explain",
        "Explain scores",
        "Contributions of each feature that add up to the raw score, largest first. The same bodies as /predict.",
        _body("Record"),
    )
    feedback = _operation(
        "feedback", "Report an outcome", "Idempotent: the same outcome twice is stored once.", _only("Feedback")
    )
    return {
        "/predict": {"post": predict | _answers("Predicted", refused)},
        "/explain": {"post": explain | _answers("Explained", refused | answers.refusals(501, 504, keyed=False))},
        "/feedback": {"post": feedback | _answers("Stored", refused)},
        "/model": {"get": _get("What serves", "Model", answers.refusals(keyed=keyed))},
        "/health": {"get": _get("Whether the process lives, and what it lacks", "Health", {}) | {"security": []}},
        "/ready": {"get": _get("Whether a model serves", "Ready", answers.not_ready()) | {"security": []}},
        "/metrics": {"get": _metrics() | {"security": []}},
    }


def _operation(name: str, summary: str, description: str, body: Schema) -> Schema:
    return {"operationId": name, "summary": summary, "description": description, "requestBody": body}


def _answers(schema: str, refused: Schema) -> Schema:
    return {"responses": {"200": answers.ok(schema), **refused}}


def _body(one: str) -> Schema:
    """A record, or many of them in either form."""
    ref = {"$ref": f"#/components/schemas/{one}"}
    listed = {"$ref": "#/components/schemas/Features"}
    ids = {"type": "array", "items": {"$ref": "#/components/schemas/CustomerId"}}
    forms = [
        ref,
        _closed({"records": {"type": "array", "items": ref, "minItems": 1}}, "records"),
        _closed({"features": listed, "customer_id": {"$ref": "#/components/schemas/CustomerId"}}, "features"),
        _closed({"features": {"type": "array", "items": listed, "minItems": 1}, "customer_ids": ids}, "features"),
    ]
    return {"required": True, "content": {"application/json": {"schema": {"anyOf": forms}}}}


def _closed(properties: Schema, required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": [required], "additionalProperties": False}


def _only(schema: str) -> Schema:
    ref = {"$ref": f"#/components/schemas/{schema}"}
    return {"required": True, "content": {"application/json": {"schema": ref}}}


def _get(summary: str, schema: str, refused: Schema) -> Schema:
    return {"summary": summary, "operationId": schema.lower(), **_answers(schema, refused)}


def _metrics() -> Schema:
    said = {"description": "All workers together", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {"summary": "Prometheus metrics", "operationId": "metrics", "responses": {"200": said}}
