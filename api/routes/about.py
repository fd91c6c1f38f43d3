"""GET /model, /health, /ready, /metrics: what serves, whether it does, and how."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from api.door.messages import Answer, Request, Route
from api.models import Serving, Variant
from api.service import Service

EXPOSITION = b"text/plain; version=0.0.4; charset=utf-8"


def model(service: Service, request: Request) -> Answer:
    """Signature, metrics with intervals and lineage of every loaded version."""
    serving = service.require()
    variants = {v.name: _described(service, serving, v) for v in serving.every()}
    main = variants[serving.main.name]
    facts = {**main, "signature": serving.main.bundle.signature, "variants": variants, "request_id": request.id}
    return Answer(200, msgspec.json.encode(facts))


def _described(service: Service, serving: Serving, variant: Variant) -> dict[str, Any]:
    manifest = variant.bundle.manifest
    others = sum(w for name, w in serving.weights.items() if name in serving.variants and name != serving.main.name)
    weight = 1 - others if variant is serving.main else serving.weights.get(variant.name, 0.0)
    return {
        "name": variant.model,
        "version": variant.version,
        "variant": variant.name,
        "weight": 0.0 if variant is serving.shadow else round(weight, 9),
        "commit": variant.commit,
        "promoted": variant.promoted,
        "threshold": variant.bundle.threshold,
        "metrics": variant.release.get("metrics") or _workspace_metrics(service, variant),
        "lineage": {
            "kind": manifest["model"],
            "tag": variant.release.get("tag"),
            "origin": variant.release.get("origin"),
            "promoted_at": variant.release.get("promoted_at"),
            "promoted_by": variant.release.get("promoted_by"),
            "digests": {**variant.release["digests"], **manifest["files"]},
            "trained_on": manifest.get("trained_on"),
            "hyperparameters": manifest.get("hyperparameters"),
            "seed": manifest.get("seed"),
            "decision": manifest.get("decision"),
        },
    }


def _workspace_metrics(service: Service, variant: Variant) -> dict[str, Any] | None:
    """What `evaluate` measured last, for the model of the same workspace."""
    path = Path(service.settings.models).parent / "metrics" / "evaluate" / "intervals.json"
    if variant.promoted or not path.exists():
        return None
    try:
        metrics: dict[str, Any] = json.loads(path.read_bytes())["metrics"]
    except (OSError, ValueError, KeyError):
        return None
    return metrics


def health(service: Service, request: Request) -> Answer:
    """200 as long as the process lives. status: ok, or degraded (something wanted does not work)."""
    serving, failures = service.models.current, service.models.failures
    log = service.log
    degraded = bool(failures) or (log.enabled and not log.up) or any(log.lost.values())
    status = "degraded" if degraded or serving is None else "ok"
    facts = {
        "status": status,
        "model_loaded": serving is not None,
        "models": [
            {"variant": v.name, "version": v.version, "commit": v.commit, "promoted": v.promoted, "digest": v.digest}
            for v in (serving.every() if serving else [])
        ],
        "refused": [{**f.trouble._asdict(), "since": _moment(f.since)} for f in failures.values()],
        "prediction_log": {
            "enabled": log.enabled,
            "up": log.up,
            "waiting": log.pending,
            "written": log.written,
            "lost": dict(log.lost),
        },
        "crashes": [asdict(crash) for crash in log.crashes()],
        "uptime_seconds": round(time.time() - service.started, 3),
        "request_id": request.id,
    }
    return Answer(200, msgspec.json.encode(facts))


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def ready(service: Service, request: Request) -> Answer:
    """200 when a warmed-up model serves and the worker is not about to stop, else 503."""
    serving = service.models.current
    now = serving is not None and not service.stopping
    facts = {"ready": now, "version": serving.main.version if serving else None, "request_id": request.id}
    return Answer(200 if now else 503, msgspec.json.encode(facts), headers=() if now else ((b"retry-after", b"2"),))


def metrics(service: Service, request: Request) -> Answer:
    """All workers together, in Prometheus's text format."""
    service.refresh()
    return Answer(200, service.meters.exposition(), EXPOSITION)


ROUTES = (
    Route("GET", "/model", model, "model"),
    Route("GET", "/health", health, "health", open=True),
    Route("GET", "/ready", ready, "ready", open=True),
    Route("GET", "/metrics", metrics, "metrics", open=True, heavy=True),
)
