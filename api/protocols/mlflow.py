"""MLflow's scoring protocol: what `mlflow models serve` answers, so that its clients and platforms work unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from api.contract import Contract, Table
from api.contract.fields import shown
from api.door.messages import Answer, Refused, Request, Route
from api.protocols import frames
from api.protocols.document import malformed, named
from api.protocols.rows import OUTPUTS, predictions, score

if TYPE_CHECKING:
    from api.service import Service

VERSION = "3.17.2"
"""The MLflow whose scoring protocol is spoken and whose client the tests use."""
JSON_TYPE, CSV_TYPE, PARQUET_TYPE = "application/json", "text/csv", "application/vnd.apache.parquet"


def ping(service: Service, request: Request) -> Answer:
    """Whether a model is loaded: 200 or 404, as MLflow has it."""
    if service.models.current is None:
        raise Refused(404, "not_ready", "no model is loaded")
    return Answer(200, b"\n")


def version(service: Service, request: Request) -> Answer:
    """The version of MLflow whose protocol this is, as bare text."""
    return Answer(200, VERSION.encode("ascii"))


def invocations(service: Service, request: Request) -> Answer:
    """Predictions for a table of any of the protocol's forms."""
    kind = _content_type(request.header(b"content-type"))
    serving = service.require()
    table, params = _read(service, serving.main.contract, kind, request.body)
    output = params.get("output", OUTPUTS[0])
    if output not in OUTPUTS:
        raise malformed(f"params.output is {shown(output)}; one of {', '.join(OUTPUTS)} is needed")
    return predictions(score(service, serving, table, request, "mlflow"), output, request)


def _read(service: Service, contract: Contract, kind: str, body: bytes) -> tuple[Table, Mapping[str, Any]]:
    if kind == JSON_TYPE:
        return frames.from_json(contract, body)
    if kind == CSV_TYPE:
        return frames.from_csv(contract, body), {}
    settings = service.settings
    return frames.from_parquet(contract, body, settings.max_rows, settings.max_body_bytes), {}


def _content_type(header: str | None) -> str:
    """The content type without its charset.

    Raises:
        Refused: 415, none, another, or one with another parameter than charset=utf-8.
    """
    kind, _, parameter = (header or "").lower().partition(";")
    known = (JSON_TYPE, CSV_TYPE, PARQUET_TYPE)
    if kind.strip() in known and parameter.replace(" ", "").replace('"', "") in ("", "charset=utf-8"):
        return kind.strip()
    given = f"Content-Type {named(header)!r} is not read" if header else "Content-Type is missing"
    raise Refused(
        415, "content_type", f"{given}; send one of {', '.join(known)}, without parameters or as charset=utf-8"
    )


ROUTES = (
    Route("GET", "/ping", ping, "ping", open=True),
    Route("GET", "/version", version, "version", open=True),
    Route("POST", "/invocations", invocations, "invocations"),
)
