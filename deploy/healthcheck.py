"""The container's HEALTHCHECK: exit code 0 when /ready answers 200. What it prints, `docker inspect` shows.

Of a service that is not ready that is /health, which names the model that was refused and why.
"""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPResponse

TIMEOUT = 4


def get(path: str) -> HTTPResponse:
    """The service's answer, its body not yet read."""
    connection = HTTPConnection("127.0.0.1", int(os.environ["MLOPS_PORT"]), timeout=TIMEOUT)
    connection.request("GET", path)
    return connection.getresponse()


def main() -> int:
    """0 ready, 1 not."""
    try:
        ready = get("/ready").status == 200
        print("ready" if ready else get("/health").read().decode("utf-8", "replace"))
    except OSError as error:
        print(f"no answer: {error}")
        return 1
    return 0 if ready else 1


if __name__ == "__main__":
    sys.exit(main())
