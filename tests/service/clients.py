"""The environments of the real clients, and their scripts run in them."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.service.conftest import EXAMPLE
from tests.service.server import ROOT, Server

FOLDER = ROOT / ".venv-clients"
FIELDS = ("churn_probability", "prediction", "variant", "version", "commit")
"""What a record of the protocols has of an answer of /predict."""
INSTALL_SECONDS, RUN_SECONDS = 600, 120


def environment(name: str) -> Path:
    """The environment of a client, installed when it is not there yet. Without a network the test is skipped."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [ROOT / "tests" / "clients" / "install", name],
            env={**os.environ, "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
    if done.returncode == 0:
        return FOLDER / name
    said = f"`tests/clients/install {name}` failed, which needs a package registry: {done.stderr.strip()[-300:]}"
    if os.environ.get("CI") == "true":
        pytest.fail(said)
    pytest.skip(said)


def run(name: str, script: Path, given: Any) -> Any:
    """What a client's script answers, in its own environment."""
    python = environment(name) / "bin" / "python"
    plain = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [python, script], input=json.dumps(given), env=plain, capture_output=True, text=True, timeout=RUN_SECONDS
    )
    assert done.returncode == 0, f"{script.name}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def records() -> list[dict[str, Any]]:
    """Customers with and without missing values, one with a level that training did not see."""
    return [
        {**EXAMPLE, "customer_id": "C-1"},
        {**EXAMPLE, "minutes": None, "plan [a,b]": "newé", "customer_id": "C-2"},
        {**EXAMPLE, "sessions": 0, "plan [a,b]": None, "region": "never seen", "auto": False, "customer_id": "C-3"},
        {**EXAMPLE, "minutes": 0.1, "since": None, "comment": None, "customer_id": "C-4"},
    ]


def expected(service: Server) -> list[dict[str, Any]]:
    """What /predict answers for these customers."""
    answer = service.post("/predict", {"records": records()})
    assert answer.status == 200, answer.body
    return [{name: row[name] for name in FIELDS} for row in answer.json["predictions"]]
