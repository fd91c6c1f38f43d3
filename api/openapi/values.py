"""Fields of the signature as JSON schema."""

from __future__ import annotations

from typing import Any

from api.contract import Contract
from api.contract.contract import CUSTOMER
from api.contract.fields import Field
from api.contract.record import LONGEST_ID

MOST_LEVELS = 12
Schema = dict[str, Any]


def field(given: Field) -> Schema:
    """One column. Levels and ranges are those of training: they inform, they do not restrict."""
    kinds: dict[str, Schema] = {
        "number": {"type": "integer" if given.whole else "number"},
        "boolean": {"type": "boolean"},
        "category": {"type": "string"},
        "text": {"type": "string"},
        "date": {"type": "string", "format": "date"},
    }
    schema = {**kinds[given.kind], "example": given.example}
    said = [*_seen(given), *(["null where it is missing"] if given.nullable else [])]
    if said:
        schema["description"] = "; ".join(said)
    if given.nullable:
        schema["nullable"] = True
    return schema


def _seen(given: Field) -> list[str]:
    if given.levels is not None:
        ordered = sorted(given.levels)
        more = f" and {len(ordered) - MOST_LEVELS} more" if len(ordered) > MOST_LEVELS else ""
        return [f"training knew {', '.join(ordered[:MOST_LEVELS])}{more}; any other counts as unknown"]
    if given.low is not None:
        return [f"in training from {given.low:g} to {given.high:g}"]
    return []


def record(contract: Contract) -> Schema:
    """One customer's record."""
    ids = {name: {"$ref": "#/components/schemas/CustomerId"} for name in contract.id_names}
    example = contract.example() | ({CUSTOMER: "C-1001"} if CUSTOMER in ids else {})
    return {
        "type": "object",
        "properties": {**ids, **{f.name: field(f) for f in contract.fields}},
        "required": list(contract.names),
        "additionalProperties": False,
        "example": example,
    }


def features(contract: Contract) -> Schema:
    """One customer's values in the signature's order."""
    return {
        "type": "array",
        "items": {},
        "minItems": len(contract.names),
        "maxItems": len(contract.names),
        "description": f"In this order: {', '.join(contract.names)}",
        "example": list(contract.example().values()),
    }


CUSTOMER_ID: Schema = {
    "oneOf": [{"type": "string", "maxLength": LONGEST_ID}, {"type": "integer"}],
    "nullable": True,
    "description": "Echoed, logged, and what decides which variant answers; no input of the model",
}
