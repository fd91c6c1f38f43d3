"""`python -m api`: the service with its settings from the environment."""

from __future__ import annotations

import signal
import socket
import sys

import uvicorn

from api import settings
from api.door import logs
from api.door.wire import Wire
from api.predictions import address as predictions
from mlops.errors import guarded


def main() -> int:
    """Run until SIGTERM; then requests in flight are answered and the log is written."""
    return guarded(_serve)


def _serve() -> None:
    given = settings.load()
    predictions.parse(given.log)
    if given.port:
        _refuse_taken(given.host, given.port)
    logs.configure()
    # Once all is answered and written, uvicorn raises the signal again; to have ended as asked is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        "api.main:app",
        http=Wire,
        host=given.host,
        port=given.port,
        workers=given.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # an address that a client may write itself limits nobody
        timeout_graceful_shutdown=given.drain_seconds,
        lifespan="on",
    )


def _refuse_taken(host: str, port: int) -> None:
    """Say in one line what uvicorn would say after the model was loaded and the log opened."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise settings.SettingsError(
            f"cannot listen on {host}:{port} ({error.strerror or error}); take another, such as"
            f" MLOPS_PORT={port + 1 if port < 65535 else 8000}, or another MLOPS_HOST"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
