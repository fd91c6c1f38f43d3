"""Which model scores a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlops import production
from mlops.batch.model import choose
from mlops.errors import BundleError
from mlops.features import Plan
from tests.unit.batches import COMMIT, promoted, workspace
from tests.unit.models import Fitted


@pytest.fixture
def models(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> Path:
    return workspace("xgboost", fitted, plan, tmp_path / "models")


def test_the_workspace_s_model_scores_where_nothing_is_promoted(models: Path) -> None:
    digest = production.manifest_digest(models / "serving")
    chosen = choose(models, None)
    assert (chosen.version, chosen.commit, chosen.stage) == (f"unpromoted-{digest[:8]}", None, None)
    assert chosen.folder == models / "serving"
    with pytest.raises(BundleError, match=r"nothing is promoted to 'prod'; without --stage"):
        choose(models, "prod")


def test_prod_s_version_scores_unless_a_stage_is_named(models: Path) -> None:
    promoted(models, "canary", "v2.0.0")
    assert choose(models, None).stage is None
    place = promoted(models, "prod", "v1.2.0")
    chosen = choose(models, None)
    assert (chosen.version, chosen.commit, chosen.stage, chosen.folder) == ("v1.2.0", COMMIT, "prod", place)
    assert choose(models, "prod").version == "v1.2.0"
    assert choose(models, "canary").version == "v2.0.0"
    with pytest.raises(BundleError, match=r"nothing is promoted to 'canari'; did you mean canary\?"):
        choose(models, "canari")
    with pytest.raises(BundleError, match=r"'x'; promoted: canary, prod"):
        choose(models, "x")


def test_an_altered_version_is_refused(models: Path) -> None:
    place = promoted(models, "prod", "v1.2.0")
    manifest = json.loads((place / "manifest.json").read_bytes())
    (place / "manifest.json").write_text(json.dumps({**manifest, "threshold": 0.9}))
    with pytest.raises(BundleError, match="holds another model than its release"):
        choose(models, None)
    (place / "manifest.json").write_bytes((models / "serving" / "manifest.json").read_bytes())
    (place / "encoder.json").write_text("{}")
    with pytest.raises(BundleError, match=r"encoder.json is not what its manifest says"):
        choose(models, None)
