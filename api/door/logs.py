"""Logs as JSON, one line each, on standard output. Never a body, a key or a header's value but the request id."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

FIELDS = "fields"
"""`extra={FIELDS: {...}}` adds members to a line."""
_encode = msgspec.json.Encoder().encode


class JsonLines(logging.Formatter):
    """time, level, logger, message; the traceback where there is one; and what the caller added."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {
            "time": when,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encode(line).decode("utf-8")


def configure() -> None:
    """Write the service's and uvicorn's logs so."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    for name in ("api", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").handlers = []
    logging.getLogger("uvicorn.access").disabled = True  # the door logs requests, with their ids
