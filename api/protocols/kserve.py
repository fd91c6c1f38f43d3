"""KServe's first protocol, which TensorFlow Serving's is the model of: `POST /v1/models/NAME:predict`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from api.contract.fields import shown
from api.door.messages import Answer, Refused, Request, Route
from api.models import Serving
from api.protocols import document
from api.protocols.document import malformed, named
from api.protocols.frames import rows
from api.protocols.rows import OUTPUTS, predictions, score
from api.routes.body import json_type

if TYPE_CHECKING:
    from api.service import Service


def alive(service: Service, request: Request) -> Answer:
    """What KServe's client asks to see whether the server lives."""
    return Answer(200, b'{"status":"alive"}')


def models(service: Service, request: Request) -> Answer:
    """The name of the model that serves."""
    return Answer(200, msgspec.json.encode({"models": [service.require().main.model]}))


def model(service: Service, request: Request) -> Answer:
    """Whether the model serves; 503 while it does not."""
    serving = _named(service, request)
    return Answer(200, msgspec.json.encode({"name": serving.main.model, "ready": True}))


def predict(service: Service, request: Request) -> Answer:
    """Predictions for `instances`: objects, or lists of values in the order of the signature."""
    serving = _named(service, request)
    json_type(request)
    body = document.read(request.body)
    instances = body.get("instances") if isinstance(body, dict) else None
    if not isinstance(instances, list):
        raise malformed(f'the body is {shown(body)}; {{"instances": […]}} is needed, one object or list per row')
    table = rows(serving.main.contract, instances, extra=False)
    return predictions(score(service, serving, table, request, "kserve_v1"), OUTPUTS[0], request)


def _named(service: Service, request: Request) -> Serving:
    serving = service.require()
    name = request.path_params["model"]
    if name != serving.main.model:
        raise Refused(404, "unknown_model", f"model {named(name)!r} is none here; {serving.main.model} serves")
    return serving


ROUTES = (
    Route("GET", "/", alive, "alive", open=True),
    Route("GET", "/v1/models", models, "v1_models"),
    Route("GET", "/v1/models/{model}", model, "v1_model"),
    Route("POST", "/v1/models/{model}:predict", predict, "v1_predict"),
)
