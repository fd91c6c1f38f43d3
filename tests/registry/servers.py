"""Servers of remote storage on 127.0.0.1: one that speaks S3, one that hands out a folder over HTTP."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.service.server import free_port

PATIENCE = 60


@dataclass
class S3:
    """A server with a bucket `store` and the keys of somebody who may use it."""

    url: str
    key: str
    secret: str

    def settings(self, **other: str) -> dict[str, str]:
        """What DVC's configuration says of it."""
        return {"endpointurl": self.url, "access_key_id": self.key, "secret_access_key": self.secret, **other}


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[S3]:
    """moto's server, which checks keys: whoever comes with other ones is refused."""
    if find_spec("moto") is None or find_spec("flask") is None:
        missing("moto is not installed: pip install -r tests/requirements.txt")
    port = free_port()
    env = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "4", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(port, process)
        yield with_a_bucket(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(PATIENCE)


def with_a_bucket(url: str) -> S3:
    """The four things that may be done before keys are checked."""
    import boto3

    first: dict[str, Any] = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    people = boto3.client("iam", endpoint_url=url, **first)
    people.create_user(UserName="ada")
    key = people.create_access_key(UserName="ada")["AccessKey"]
    may = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
    people.put_user_policy(UserName="ada", PolicyName="storage", PolicyDocument=may)
    boto3.client("s3", endpoint_url=url, **first).create_bucket(Bucket="store")
    return S3(url, key["AccessKeyId"], key["SecretAccessKey"])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server did not answer")


def missing(what: str) -> None:
    """A program that is not there: only where everything has to be there that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


class Handler(SimpleHTTPRequestHandler):
    """Hands out a folder, to ada:secret only if told so."""

    def __init__(self, *args: Any, locked: bool, **settings: Any) -> None:
        self.locked = locked
        super().__init__(*args, **settings)

    def send_head(self) -> Any:
        expected = "Basic " + base64.b64encode(b"ada:secret").decode()
        if self.locked and self.headers.get("Authorization") != expected:
            self.send_error(401)
            return None
        return super().send_head()

    def log_message(self, *words: Any) -> None:
        pass


@contextlib.contextmanager
def web(folder: Path, *, locked: bool = False) -> Iterator[str]:
    """The address at which a folder can be read."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder), locked=locked))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
