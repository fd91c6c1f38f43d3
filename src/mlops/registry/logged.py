"""Predictions out of the service's log, each with the rows that were scored together with it."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from mlops.errors import RegistryError

DEFAULT = "data/log/predictions.sqlite"
ROOT = Path(__file__).resolve().parents[3]


class Batch(NamedTuple):
    """Rows that one model scored in one step: a linear model's last bit depends on how many there were.

    at: ISO 8601, UTC. rows: as `api.predictions.read` gives them, in the request's order.
    """

    variant: str
    version: str
    commit: str | None
    at: str
    rows: list[dict[str, Any]]


def reach() -> None:
    """Make the service's package importable.

    Raises:
        RegistryError: it is not there.
    """
    # api/ lies at the repository's root and is not installed: `python -m api` finds it because it is started there,
    # this command may be started anywhere. Once imported, the package finds its modules without the path.
    sys.path.insert(0, str(ROOT))
    try:
        importlib.import_module("api")
    except ModuleNotFoundError as error:
        raise RegistryError(f"{ROOT} has no api/, which reads the log; run this in a clone of the project") from error
    finally:
        sys.path.remove(str(ROOT))


def address(folder: Path, given: str | None) -> str:
    """The log's URL: as given, else MLOPS_LOG, else where the service of this repository writes by default."""
    return given or os.environ.get("MLOPS_LOG") or f"sqlite:///{folder.absolute() / DEFAULT}"


def batches(url: str, request_id: str) -> list[Batch]:
    """The predictions of a request, in the order in which they were logged.

    Raises:
        RegistryError: there are none, or nothing is logged.
        MlopsError: the log cannot be reached.
    """
    from api.predictions import read

    asked = request_id.encode("utf-8", "replace").decode()
    if url == "off":
        raise RegistryError(
            "MLOPS_LOG is off: nothing is logged there; name a log with --log sqlite:///PATH or postgresql://USER@HOST/DATABASE"
        )
    found = list(read(url, request_id=asked))
    if not found:
        raise _unknown(url, asked)
    order = {key: place for place, key in enumerate(dict.fromkeys(map(_together, found)))}
    found.sort(key=lambda p: (order[_together(p)], p["row"]))
    return [Batch(*key, list(rows)) for key, rows in groupby(found, key=_together)]


def inputs(prediction: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was sent, by column; None where it was not kept."""
    try:
        document = json.loads(prediction["inputs"] or "null")
    except ValueError:
        return None
    return document if isinstance(document, dict) and document else None


def _together(prediction: dict[str, Any]) -> tuple[str, str, str | None, str]:
    return prediction["variant"], prediction["version"], prediction["git_commit"], prediction["at"]


def _unknown(url: str, request_id: str) -> RegistryError:
    from api.predictions import read
    from api.predictions.address import parse
    from mlops.registry.show import local

    first = next(read(url), None)
    since = f"goes back to {local(first['at'])}" if first else "is empty"
    return RegistryError(
        f"{parse(url).shown} has no prediction of request {request_id!r}: it {since}; predictions of the last second"
        " may not be written yet, and --log names another log"
    )
