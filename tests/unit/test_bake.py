"""What is put into the image is what the service would serve: checked, complete, and nothing else."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from mlops import production
from mlops.errors import BundleError
from mlops.features import Plan
from tests.unit.models import Fitted, saved

ROOT = Path(__file__).resolve().parents[2]


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bake", ROOT / "deploy" / "bake.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bake = _module()


@pytest.fixture
def models(tmp_path: Path, fitted: dict[str, Fitted], plan: Plan) -> Path:
    """A folder of models in which nothing is promoted yet."""
    folder = tmp_path / "models"
    (folder / "serving").mkdir(parents=True)
    saved("xgboost", fitted["xgboost"], plan, folder / "serving")
    return folder


def promoted(models: Path, **stages: str) -> None:
    for stage, version in stages.items():
        release = {"version": version, "stage": stage, "commit": None}
        production.install(models / "serving", models / "production", release)


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_the_workspace_model_is_baked_in_where_nothing_is_promoted(models: Path, tmp_path: Path) -> None:
    digest = production.manifest_digest(models / "serving")
    bake.bake(models, tmp_path / "image", digest)
    assert files(tmp_path / "image") == {f"serving/{name}" for name in files(models / "serving")}


def test_of_promoted_versions_those_that_are_served_are_baked_in(models: Path, tmp_path: Path) -> None:
    promoted(models, prod="v1.0.0")
    promoted(models, prod="v2.0.0", canary="v3.0.0")
    production.write_state(models / "production", {"canary": "v3.0.0", "prod": "v2.0.0"}, {"canary": 0.1})
    assert bake.served(models)[0] == models / "production" / "prod" / "v2.0.0"
    bake.bake(models, tmp_path / "image", "")
    found = {"/".join(Path(name).parts[:3]) for name in files(tmp_path / "image")}
    assert found == {"production/state.json", "production/prod/v2.0.0", "production/canary/v3.0.0"}
    baked = tmp_path / "image" / "production"
    assert production.read_state(baked) == production.read_state(models / "production")
    assert production.read_release(baked / "prod" / "v2.0.0")["version"] == "v2.0.0"


def test_a_model_that_is_missing_broken_or_another_one_is_refused(models: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="MODEL_DIGEST says 00"):
        bake.bake(models, tmp_path / "image", "00")
    promoted(models, prod="v1.0.0", canary="v2.0.0")
    production.write_state(models / "production", {"prod": "v1.0.0", "canary": "v2.0.0"})
    (models / "production" / "canary" / "v2.0.0" / "encoder.json").write_text("{}")
    with pytest.raises(BundleError, match=r"encoder\.json is not what its manifest says"):
        bake.bake(models, tmp_path / "image", "")
    shutil.rmtree(models)
    with pytest.raises(BundleError, match="run `make` first"):
        bake.bake(models, tmp_path / "image", "")
