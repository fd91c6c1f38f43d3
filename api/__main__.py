"""`python -m api`: the service with its settings from the environment."""

from __future__ import annotations

import signal
import sys

import uvicorn

from api import settings
from api.door import logs
from api.door.wire import Wire
from mlops.errors import guarded


def main() -> int:
    """Run until SIGTERM; then requests in flight are answered and the log is written."""
    return guarded(_serve)


def _serve() -> None:
    given = settings.load()
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


if __name__ == "__main__":
    sys.exit(main())
