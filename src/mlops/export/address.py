"""The MLflow client: imported by this command alone, quiet, and its complaints as one line."""

from __future__ import annotations

import importlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mlops.errors import ExperimentError, one_line

DEFAULT = "http://127.0.0.1:5000"
VARIABLE = "MLFLOW_TRACKING_URI"
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
}
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
"""Unless somebody set them: else the client asks a server that is not there for four minutes."""
_KNOWN = re.compile(r"https?://[^/\s]+\S*|databricks(?:://\S+)?")


@dataclass(frozen=True)
class Mlflow:
    """A server. client: mlflow.MlflowClient; entities: the module mlflow.entities."""

    address: str
    client: Any
    entities: Any


def connect(address: str | None) -> Mlflow:
    """The client of a server, which is not asked yet.

    Args:
        address: http://HOST:PORT; else what MLFLOW_TRACKING_URI says, else this machine's port 5000.

    Raises:
        ExperimentError: mlflow is not installed, or the address is none.
    """
    place = (address or os.environ.get(VARIABLE) or DEFAULT).rstrip("/")
    if not _KNOWN.fullmatch(place):
        raise ExperimentError(f"{place!r} is no address of an MLflow server; type --to {DEFAULT}")
    os.environ.update(_QUIET)
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    try:
        tracking, entities = (importlib.import_module(f"mlflow.{name}") for name in ("tracking", "entities"))
    except ImportError as error:
        raise ExperimentError(
            f"the MLflow client is not installed ({error}); `pip install -e '.[mlflow]'`, or `make mlflow` does it all"
        ) from None
    for name in ("mlflow", "urllib3.connectionpool"):  # that it retries; what failed in the end is raised
        logging.getLogger(name).setLevel(logging.ERROR)
    return Mlflow(place, tracking.MlflowClient(tracking_uri=place, registry_uri=place), entities)


@contextmanager
def told(address: str) -> Iterator[None]:
    """What MLflow raises inside as one line."""
    exceptions, requests = (importlib.import_module(name) for name in ("mlflow.exceptions", "requests"))
    try:
        yield
    except (exceptions.MlflowException, requests.RequestException) as error:
        said = one_line(error)
        if "Max retries exceeded" in said or "timed out" in said:
            why = re.search(r"\[Errno -?\d+\] ([^'\")]+)|(timed out)", said)
            raise ExperimentError(
                f"no MLflow server answers at {shown(address)} ({(why and (why[1] or why[2])) or 'no connection'});"
                " `make mlflow` starts one here, --to names another"
            ) from None
        raise ExperimentError(f"the MLflow server {shown(address)} refused: {said[:300]}") from None


def shown(address: str) -> str:
    """An address without a password."""
    return re.sub(r"://[^/@]*@", "://", address)
