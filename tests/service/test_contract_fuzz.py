"""Schemathesis: whatever is sent, no route fails, and each answers only what its document says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.service.clients import environment
from tests.service.server import Server

PROTOCOL = Path(__file__).parent / "data" / "open_inference_rest.yaml"
EXAMPLES = "100"
# A schema cannot say all that the service asks for (columns as tensors, lists of one length): refusing is no failure.
EXCLUDED = "positive_data_acceptance"


def fuzz(document: str, service: Server, folder: Path) -> None:
    """Run Schemathesis in an environment of its own; every failure it finds is shown with the curl that repeats it."""
    command = [
        environment("schemathesis") / "bin" / "st",
        "run",
        document,
        *("--url", service.url),
        *("--phases", "examples,coverage,fuzzing"),
        *("--max-examples", EXAMPLES),
        *("--checks", "all"),
        *("--exclude-checks", EXCLUDED),
        *("--suppress-health-check", "all"),
        "--generation-deterministic",
        "--no-color",
    ]
    plain = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"


@pytest.mark.slow
def test_the_services_own_document(service: Server, tmp_path: Path) -> None:
    fuzz(f"{service.url}/openapi.json", service, tmp_path)


@pytest.mark.slow
def test_the_open_inference_protocol(service: Server, tmp_path: Path) -> None:
    fuzz(str(PROTOCOL), service, tmp_path)


def test_the_protocols_example_is_one_that_is_answered(service: Server) -> None:
    """Else no 200 of an inference would ever be held against the document."""
    operation = yaml.safe_load(PROTOCOL.read_text(encoding="utf-8"))["paths"]["/v2/models/{model}/infer"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    answer = service.post("/v2/models/churn/infer", example)
    assert (answer.status, answer.json["id"]) == (200, "42")
