"""Predictions to log, and looks into the log they went to."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from api.predictions import Limits, PredictionLog, Row

QUICK = Limits(seconds=0.01)
PATIENCE = 20.0


def row(number: int = 0, **changes: Any) -> Row:
    """A prediction; its number stands in its request id and its inputs."""
    fields: dict[str, Any] = {
        "at": 1_795_000_000 + number / 1000,
        "request_id": f"request-{number}",
        "row": 0,
        "customer": f"C{number % 10}",
        "variant": "prod",
        "version": "v1.2.0",
        "commit": "0" * 40,
        "source": "predict",
        "raw": 0.25,
        "probability": 0.5625,
        "prediction": number % 2 == 1,
        "inputs": json.dumps({"number": number}).encode(),
    }
    return tuple((fields | changes).values())  # type: ignore[return-value]


def url(folder: Path) -> str:
    """The address of a log in a folder of its own."""
    return f"sqlite:///{folder / 'log' / 'predictions.sqlite'}"


def file_of(folder: Path) -> Path:
    """The file that `url` names."""
    return folder / "log" / "predictions.sqlite"


@contextmanager
def opened(address: str, limits: Limits = QUICK) -> Iterator[PredictionLog]:
    """A log that has been started; closed at the end."""
    log = PredictionLog(address, limits=limits)
    log.start()
    try:
        yield log
    finally:
        log.close(10.0)


def wait(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return as soon as the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def ask(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """What a user's own SQL finds in the file."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql, values).fetchall()


def numbers(path: Path) -> list[int]:
    """The numbers of the predictions in the file, in its order."""
    found = ask(path, "SELECT json_extract(inputs, '$.number') FROM predictions ORDER BY id")
    return [number for (number,) in found]
