"""The ASGI application itself: what it imports, and that it also starts without a lifespan."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from api.main import Api
from api.settings import Settings
from tests.service.conftest import EXAMPLE, Versions, promote
from tests.service.server import ROOT

HEAVY = ("pandas", "sklearn", "xgboost", "dvc", "pyarrow", "yaml", "pydantic", "fastapi", "onnx", "scipy", "matplotlib")


def test_neither_importing_nor_serving_loads_what_training_needs(project: Path) -> None:
    program = f"""
import asyncio, json, sys
import api.main
from api.settings import Settings
app = api.main.Api(Settings(log="off"))
async def main():
    await app.open()
    assert app.service.models.current is not None
    await app.close()
assert app.service is None, "importing loads no model"
asyncio.run(main())
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


async def ask(app: Api, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    """One request without a server."""
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [], "client": ("t", 1)}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], json.loads(b"".join(m.get("body", b"") for m in sent[1:]))


def test_the_first_request_starts_a_service_that_nobody_started(
    tmp_path: Path, versions: Versions, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    promote(tmp_path, versions, prod="v1.0.0")
    app = Api(Settings(log="off", run_dir=str(tmp_path / "run")))
    # A loop of its own for each request, as test clients do.
    status, answer = asyncio.run(ask(app, "POST", "/predict", json.dumps(EXAMPLE).encode()))
    assert (status, answer["version"]) == (200, "v1.0.0")
    many = json.dumps({"records": [EXAMPLE] * 400}).encode()
    status, answer = asyncio.run(ask(app, "POST", "/predict", many))
    assert (status, len(answer["predictions"])) == (200, 400)
    status, document = asyncio.run(ask(app, "GET", "/openapi.json"))
    assert document["info"]["version"] == "v1.0.0"
    asyncio.run(app.close())
