"""The README's commands do what they say, in the order in which it shows them."""

from __future__ import annotations

import csv
import json
import random
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Workspace

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


@pytest.mark.slow
def test_the_commands_run_in_the_order_shown(fresh: Workspace) -> None:
    fresh.small()
    fresh.run("git commit -qam small")
    (fresh.folder / ".venv").symlink_to(Path(sys.prefix))
    customers(fresh.folder / "customers.csv")
    shown = {}
    for command in commands():
        if command == "make test":  # that is this run
            assert "pytest" in fresh.run("make --dry-run test").stdout
            continue
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
