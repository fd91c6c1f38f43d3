"""docs/protocols.md: its commands answer as they are shown, and its Python runs with the clients that it names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.service.clients import environment
from tests.service.server import ROOT, Server

TEXT = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
CLIENTS = {"mlflow": "mlflow", "tritonclient": "triton", "kserve": "kserve"}
ADDRESS = "127.0.0.1:8000"


def commands() -> list[tuple[str, str]]:
    """Lines that start with `$ ` in console blocks, and what is shown below each."""
    blocks = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(command, shown.strip()) for command, _, shown in (part.partition("\n") for part in parts)]


def form(document: Any) -> Any:
    """What stays the same when another model answers: names and kinds, not values."""
    if isinstance(document, dict):
        return {name: form(value) for name, value in document.items()}
    return [form(value) for value in document] if isinstance(document, list) else type(document).__name__


def test_commands_answer_in_the_form_shown(service: Server, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    for command, shown in commands():
        line = command.replace(ADDRESS, f"127.0.0.1:{service.port}")
        done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True)
        if not shown.startswith("{"):
            assert done.stdout == shown, command
        elif "error" in shown:
            assert json.loads(done.stdout) == json.loads(shown), command
        else:
            assert form(json.loads(done.stdout)) == form(json.loads(shown)), command
    assert len(commands()) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_python_runs(service: Server, tmp_path: Path, snippet: str) -> None:
    names = [CLIENTS[name] for name in CLIENTS if re.search(rf"^from {name}\b", snippet, re.MULTILINE)]
    python = environment(names[0]) / "bin" / "python" if names else Path(sys.executable)
    (tmp_path / "snippet.py").write_text(snippet.replace("8000", str(service.port)), encoding="utf-8")
    done = subprocess.run([python, "snippet.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"0\.\d+", done.stdout), done.stdout


def test_every_client_has_a_snippet() -> None:
    assert all(any(f"from {name}" in snippet for snippet in SNIPPETS) for name in CLIENTS)
