"""The Open Inference Protocol, version 2: metadata, health and inference, as Triton, KServe and MLServer speak it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from api.door.messages import JSON, Answer, Headers, Refused, Request, Route
from api.models import Serving, Variant
from api.protocols import columns, inference
from api.protocols.document import named
from api.protocols.inference import HEADER, Tensor
from api.protocols.rows import score
from api.routes.scoring import Scored
from mlops import __version__

if TYPE_CHECKING:
    from api.service import Service

OUTPUTS = {"churn_probability": "FP64", "prediction": "BOOL", "variant": "BYTES", "version": "BYTES"}
RAW = b"application/octet-stream"
READ = ("", "application/json", "application/octet-stream")
"""Content types of inference requests; tritonclient names none."""
MODEL = "/v2/models/{model}"
VERSION = MODEL + "/versions/{version}"


def server(service: Service, request: Request) -> Answer:
    """Name and version of this server, and which extensions of the protocol it speaks."""
    return _json({"name": "mlops", "version": __version__, "extensions": ["binary_tensor_data", "model_list"]})


def live(service: Service, request: Request) -> Answer:
    """The process answers."""
    return _json({"live": True})


def ready(service: Service, request: Request) -> Answer:
    """Whether a model serves; 503 while none does."""
    service.require()
    return _json({"ready": True})


def models(service: Service, request: Request) -> Answer:
    """The name of the model that serves: an extension of KServe's."""
    return _json({"models": [service.require().main.model]})


def model_ready(service: Service, request: Request) -> Answer:
    """Whether the model, or its version, is loaded."""
    return _json({"name": _named(service, request).main.model, "ready": True})


def model(service: Service, request: Request) -> Answer:
    """What the model takes and gives, as tensors. Rows are the first dimension."""
    serving = _named(service, request)
    return _json(
        {
            "name": serving.main.model,
            "versions": list(dict.fromkeys(v.version for v in _answering(serving))),
            "platform": "onnxruntime_onnx",
            "inputs": [
                {"name": field.name, "datatype": columns.datatype(field), "shape": [-1, 1]}
                for field in serving.main.contract.fields
            ],
            "outputs": [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in OUTPUTS.items()],
        }
    )


def infer(service: Service, request: Request) -> Answer:
    """Score the rows that tensors hold; customers are routed between variants unless the path names a version."""
    kind = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if kind not in READ:
        raise Refused(415, "content_type", f"Content-Type {named(kind)!r} is not read; send application/json")
    serving = _named(service, request)
    header = request.header(HEADER)
    asked, tensors = inference.read(request.body, header, OUTPUTS)
    table = columns.table(serving.main.contract, tensors)
    scored = score(service, serving, table, request, "open_inference")
    answer = {
        "model_name": serving.main.model,
        "model_version": serving.main.version,
        "id": request.id if asked.id is None else asked.id,
        "parameters": _parameters(serving, scored, request),
    }
    written = inference.write(answer, _outputs(scored), asked)
    if written.json_length is None:
        return Answer(200, written.body)
    headers: Headers = ((HEADER, str(written.json_length).encode("ascii")),)
    return Answer(200, written.body, RAW, headers)


def _named(service: Service, request: Request) -> Serving:
    """What serves under the path's name. A version in the path stands alone: every row goes to its variant.

    Raises:
        Refused: 404, no such model or version is loaded; 503, none is.
    """
    serving = service.require()
    name, version = request.path_params["model"], request.path_params.get("version")
    if name != serving.main.model:
        raise Refused(404, "unknown_model", f"model {named(name)!r} is none here; {serving.main.model} serves")
    if version is None:
        return serving
    variant = next((v for v in _answering(serving) if v.version == version), None)
    if variant is None:
        loaded = ", ".join(v.version for v in _answering(serving))
        raise Refused(404, "unknown_version", f"version {named(version)!r} of {name} is not loaded; loaded: {loaded}")
    return Serving(variant, {variant.name: variant}, {}, serving.shadow)


def _answering(serving: Serving) -> list[Variant]:
    """The variants that answer, the stage's own first."""
    return [serving.main, *(v for v in serving.variants.values() if v is not serving.main)]


def _parameters(serving: Serving, scored: Scored, request: Request) -> dict[str, str]:
    """Facts of the whole answer; values may only be texts, numbers and booleans."""
    names = sorted({variant.name for variant in scored.variants})
    facts = {"request_id": request.id, "variant": ",".join(names)}
    if serving.main.commit is not None:
        facts["commit"] = serving.main.commit
    return facts


def _outputs(scored: Scored) -> dict[str, Tensor]:
    values = {
        "churn_probability": scored.probabilities,
        "prediction": scored.predictions,
        "variant": [variant.name for variant in scored.variants],
        "version": [variant.version for variant in scored.variants],
    }
    return {name: Tensor(name, OUTPUTS[name], (scored.n,), made) for name, made in values.items()}


def _json(body: dict[str, object]) -> Answer:
    return Answer(200, msgspec.json.encode(body), JSON)


ROUTES = (
    Route("GET", "/v2", server, "v2_server"),
    Route("GET", "/v2/", server, "v2_server"),
    Route("GET", "/v2/health/live", live, "v2_live", open=True),
    Route("GET", "/v2/health/ready", ready, "v2_ready", open=True),
    Route("GET", "/v2/models", models, "v2_models"),
    Route("GET", MODEL, model, "v2_model"),
    Route("GET", VERSION, model, "v2_model"),
    Route("GET", MODEL + "/ready", model_ready, "v2_model_ready"),
    Route("GET", VERSION + "/ready", model_ready, "v2_model_ready"),
    Route("POST", MODEL + "/infer", infer, "v2_infer"),
    Route("POST", VERSION + "/infer", infer, "v2_infer"),
)
