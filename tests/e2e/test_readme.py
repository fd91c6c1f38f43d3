"""The README's commands do what they say, in the order in which it shows them."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Workspace
from tests.service.server import free_port

README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Lines that start with `$ ` in console blocks, without their comments."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s{2,}#.*", "", line).strip() for line in lines]


def customers(path: Path) -> None:
    """A small table of the kind that the README speaks of."""
    rng = random.Random(3)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["customerID", "tenure", "Contract", "Churn"])
        for i in range(1500):
            tenure, contract = rng.randrange(72), rng.choice(["Month-to-month", "One year", "Two year"])
            leaves = rng.random() < 0.5 * (contract == "Month-to-month") * (1 - tenure / 72) + 0.05
            writer.writerow([f"{i:04}-X", tenure, contract, "Yes" if leaves else "No"])


def borrowed_environment(venv: Path) -> None:
    """This environment under another roof, installed already: `make` must not install the clone into it."""
    venv.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.startswith(".installed"):
            (venv / entry.name).symlink_to(entry)
    for stamp in (".installed", ".installed-test"):
        (venv / stamp).touch()


@pytest.fixture
def serve() -> Iterator[Callable[[Workspace], int]]:
    """Start `make serve` as the README does, but on a free port; it ends with the test."""
    servers: list[subprocess.Popen[bytes]] = []

    def run(workspace: Workspace) -> int:
        port = free_port()
        environment = {**workspace.env, "MLOPS_PORT": str(port)}
        servers.append(
            subprocess.Popen(["make", "serve"], cwd=workspace.folder, env=environment, start_new_session=True)
        )
        return port

    yield run
    for server in servers:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@pytest.mark.slow
def test_the_commands_run_in_the_order_shown(fresh: Workspace, serve: Callable[[Workspace], int]) -> None:
    fresh.small()
    fresh.run("git commit -qam small")
    borrowed_environment(fresh.folder / ".venv")
    customers(fresh.folder / "customers.csv")
    shown, port = {}, 0
    for command in commands():
        if command == "make test":  # that is this run
            assert "pytest" in fresh.run("make --dry-run test").stdout
            continue
        if command.startswith("make serve"):
            port = serve(fresh)
            continue
        command = command.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        shown[command] = fresh.run(command).stdout
        if command == "make":
            fresh.run("git add -A . ':!customers.csv' && git commit -qm 'first run'")
    assert "best reachable roc_auc" in shown["make"]
    assert "plots     dvc_plots/index.html" in shown["make"]
    (table,) = [out for command, out in shown.items() if command.startswith("dvc exp show")]
    assert "[deep]" in table
    assert "max_depth" in table
    assert max(len(line) for line in table.splitlines()) <= 80
    assert "Yes' is churn" in "".join(shown.values())
    (answer,) = [json.loads(out) for command, out in shown.items() if command.startswith("curl")]
    shown_answer = re.search(r'^\{"customer_id".*\}$', README, re.MULTILINE)
    assert shown_answer is not None
    assert answer.keys() == json.loads(shown_answer[0]).keys()
    assert answer["version"].startswith("unpromoted-")
    assert "simulated" not in shown["dvc repro"]
    assert fresh.run("mlops data use simulator").returncode == 0
    assert fresh.run("git status --porcelain data/schema.yaml dvc.yaml params.yaml").stdout == ""


def test_the_figures_are_those_of_the_committed_run() -> None:
    if (ROOT / "params.yaml").read_text() != (ROOT / "tests" / "params.yaml").read_text():
        pytest.skip("params.yaml is not the embedded default's: the README shows that one's figures")
    found = json.loads((ROOT / "metrics" / "evaluate" / "intervals.json").read_text())["metrics"]
    for name in ("roc_auc", "expected_profit"):
        value = found[name]
        shown = f"{name:<22} │ {value['value']:.4f} │ {value['low']:.4f} – {value['high']:.4f}"
        assert shown in README, shown


def test_it_is_short_and_its_links_lead_somewhere() -> None:
    assert len(README.splitlines()) <= 150
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_tree_it_draws_is_there() -> None:
    tree = README.split("## What is where")[1]
    for word in re.findall(r"\b(?:[\w-]+/)*[\w-]+\.(?:py|yaml|lock|joblib)\b", tree):
        found = [p for p in (ROOT / word, ROOT / "src" / "mlops" / word) if p.exists()]
        assert found or word == "models/model.joblib", word


def test_the_example_is_the_signature_s() -> None:
    """api/example.json is what the README sends; it is checked where the default's model is there."""
    path = ROOT / "models" / "serving" / "signature.json"
    if not path.exists() or (ROOT / "params.yaml").read_text() != (ROOT / "tests" / "params.yaml").read_text():
        pytest.skip("the embedded default's model is not here: run `make`")
    inputs = json.loads(path.read_text())["inputs"]
    example = json.loads((ROOT / "api" / "example.json").read_text())
    assert example == {"customer_id": "C-1001", **{i["name"]: i["example"] for i in inputs}}
