"""dvc.yaml declares what stages really read: an undeclared import or parameter would leave stale output unnoticed."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops import params

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def source_of(module: str) -> Path | None:
    path = SRC.joinpath(*module.split("."))
    found = [p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()]
    return found[0] if found else None


def follow(module: str, seen: set[Path]) -> set[Path]:
    """Every file of ours that importing a module imports, also inside functions."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        source = source_of(name)
        if source is None or source in seen:
            continue
        seen.add(source)
        for imported in imports(source):
            follow(imported, seen)
    return seen


def imports(source: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: relative imports are not followed"
            found += [f"{node.module}.{a.name}" for a in node.names]
    return [name for name in found if name.split(".")[0] == "mlops"]


@pytest.mark.parametrize("stage", STAGES)
def test_every_import_is_a_dependency_and_every_dependency_is_imported(stage: str) -> None:
    needed = {str(p.relative_to(ROOT)) for p in follow(f"mlops.{stage}", set())}
    declared = {d for d in STAGES[stage]["deps"] if d.startswith("src/")}
    covered = {f for d in declared for f in ([d] if d.endswith(".py") else files_in(d))}
    assert needed - covered == set(), "imported, but not in deps"
    assert covered - needed == set(), "in deps, but not imported"


def files_in(folder: str) -> list[str]:
    return [str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("stage", STAGES)
def test_every_parameter_is_declared(stage: str) -> None:
    assert sorted(STAGES[stage]["params"]) == sorted(params.VIEWS[stage])


def test_stage_module_and_command_have_one_name() -> None:
    assert list(STAGES) == ["ingest", "preprocess", "train", "evaluate"]
    for stage, entry in STAGES.items():
        assert entry["cmd"] == f"PYTHONPATH=src python -m mlops.{stage}"
        assert (SRC / "mlops" / f"{stage}.py").exists()


def test_the_locked_environment_is_a_dependency_of_every_stage() -> None:
    assert all("requirements.txt" in entry["deps"] for entry in STAGES.values())


def test_a_stage_that_stops_leaves_its_previous_outputs() -> None:
    for entry in STAGES.values():
        for out in entry["outs"]:
            ((_, options),) = out.items()
            assert options["persist"] is True
