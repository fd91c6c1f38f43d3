"""How each protocol says that a request is refused. Their clients read nothing else."""

from __future__ import annotations

import msgspec

from api.door.messages import JSON, Answer, Refused

TEXT = b"text/plain; charset=utf-8"
MLFLOW_CODES = {
    401: "UNAUTHENTICATED",
    404: "RESOURCE_DOES_NOT_EXIST",
    422: "INVALID_PARAMETER_VALUE",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}
"""Names of MLflow's for a status; every other is BAD_REQUEST."""


def error(refused: Refused) -> Answer:
    """`{"error": message}`, as the Open Inference Protocol and KServe have it; values that do not fit are a 400."""
    return _answer(refused, {"error": refused.message})


def mlflow(refused: Refused) -> Answer:
    """`{"error_code", "message"}`, as MLflow has it; a content type that is not read is told in plain text."""
    if refused.status == 415:
        return Answer(415, refused.message.encode("utf-8"), TEXT, refused.headers)
    code = MLFLOW_CODES.get(refused.status, "BAD_REQUEST")
    return _answer(refused, {"error_code": code, "message": refused.message})


def _answer(refused: Refused, body: dict[str, str]) -> Answer:
    status = 400 if refused.status == 422 else refused.status
    return Answer(status, msgspec.json.encode(body), JSON, refused.headers)


def refusal(path: str, refused: Refused) -> Answer | None:
    """The refusal of a request to a protocol's path, in its form; None for all other paths."""
    if path in ("/invocations", "/ping", "/version"):
        return mlflow(refused)
    return error(refused) if path.startswith(("/v1/", "/v2/")) or path == "/v2" else None
