"""Whether a run has a model that can be served, by its own record, which somebody else may have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops.report.texts import clean

FAILED, SERVED = "failed", "served"


def why_failed(record: Mapping[str, Any]) -> str | None:
    """Why a run failed; None where it did not, and for experiments of the pipeline, which have no record."""
    return clean(str(record.get("error"))) if record.get("state") == FAILED else None


def why_not_served(record: Mapping[str, Any]) -> str | None:
    """Why there is no model to serve; None where there is one, and for experiments of the pipeline."""
    if not record:
        return None
    model = record.get("model")
    if model is None:
        return "nobody called log_model, which keeps one"
    if not isinstance(model, Mapping):
        return "its notebook.json is none that log_model writes"
    return None if model.get("state") == SERVED else f"its model cannot be served: {clean(str(model.get('reason')))}"
