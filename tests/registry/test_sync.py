"""models/production/ as the tags of this clone say."""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
from pathlib import Path
from typing import Any

import pytest

from mlops import production
from mlops.errors import PolicyError, RegistryError
from mlops.registry import describe, shelf, source
from mlops.registry.sync import Request, sync
from tests.registry.following import (
    STAGES,
    assign,
    listing,
    models,
    serving,
    synced,
    trees,
)
from tests.registry.repository import Bundles, Repository

pytestmark = pytest.mark.slow


def test_a_promotion_arrives_with_what_is_known_of_it(repository: Repository, bundles: Bundles) -> None:
    commit = repository.version(bundles["v1"], params={"n_estimators": 10})
    by = {"name": "Ada", "email": "ada@example.org"}
    assign(repository, "v1.0.0", commit, "prod", why="it is better", by=by, verdict={"verdict": "better"})

    report = synced(repository)

    assert (report.code, report.changed, dict(report.failed)) == (0, True, {})
    assert report.lines() == ["prod      v1.0.0  churn#prod#1, was nothing"]
    assert serving(models(repository)) == {"prod": "v1.0.0"}
    release = production.read_release(models(repository) / "prod" / "v1.0.0")
    assert {key: release[key] for key in ("name", "stage", "version", "commit", "tag", "origin", "why", "verdict")} == {
        "name": "churn", "stage": "prod", "version": "v1.0.0", "commit": commit, "tag": "churn#prod#1",
        "origin": "pipeline", "why": "it is better", "verdict": "better",
    }  # fmt: skip
    assert release["promoted_by"] == by
    assert release["promoted_at"].endswith("Z")
    assert release["params"]["n_estimators"] == 10
    assert 0.5 < release["metrics"]["roc_auc"]["low"] < release["metrics"]["roc_auc"]["value"]
    assert release["digests"]["model"].endswith(".dir")


def test_doing_it_again_changes_nothing(repository: Repository, bundles: Bundles) -> None:
    assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod", "shadow")
    synced(repository)
    before = listing(models(repository))
    report = synced(repository)
    assert not report.changed
    assert listing(models(repository)) == before


def test_all_stages_and_the_share_of_the_canary(repository: Repository, bundles: Bundles) -> None:
    text = (repository.folder / "policy.yaml").read_text().replace("canary: 0.0", "canary: 0.25")
    repository.write("policy.yaml", text)
    first, second = (repository.version(bundles[name]) for name in ("v1", "v2"))
    assign(repository, "v1.0.0", first, "prod", "canary", "dev")
    assert synced(repository).weights == {"canary": 0.25}
    assert serving(models(repository)) == {"prod": "v1.0.0", "canary": "v1.0.0"}

    assign(repository, "v2.0.0", second, "shadow", "canary", weight=0.1)
    report = synced(repository)
    assert report.lines()[1] == "canary    v2.0.0  churn#canary#5, 10% of customers, was v1.0.0"
    state = production.read_state(models(repository))
    assert state
    assert state.weights == {"canary": 0.1}
    assert {stage: trees(models(repository), stage) for stage in STAGES} == {"prod": 10, "canary": 20, "shadow": 20}


@pytest.mark.parametrize("weight", [7, "much", True])
def test_a_share_that_is_none_is_not_said_at_all(repository: Repository, bundles: Bundles, weight: Any) -> None:
    text = (repository.folder / "policy.yaml").read_text().replace("canary: 0.0", "canary: 0.25")
    repository.write("policy.yaml", text)
    first, second = (repository.version(bundles[name]) for name in ("v1", "v2"))
    assign(repository, "v1.0.0", first, "prod", "canary", weight=0.1)
    synced(repository)
    assign(repository, "v2.0.0", second, "canary", weight=weight)
    assert synced(repository).weights == {"canary": 0.25}, "as policy.yaml of its commit says"


def test_a_share_that_cannot_be_read_leaves_the_old_one(repository: Repository, bundles: Bundles) -> None:
    first = repository.version(bundles["v1"])
    assign(repository, "v1.0.0", first, "prod", "canary", weight=0.1)
    synced(repository)
    policy = (repository.folder / "policy.yaml").read_text()
    repository.write("policy.yaml", "serving: {weights: {canary: much}}\n")
    second = repository.version(bundles["v2"])
    repository.write("policy.yaml", policy)
    assign(repository, "v2.0.0", second, "canary")
    report = synced(repository)
    assert "share stays as it was" in report.failed["canary"]
    assert report.weights == {"canary": 0.1}
    assert report.code == 1


def test_going_back_takes_the_folder_that_is_there(repository: Repository, bundles: Bundles) -> None:
    first, second = (repository.version(bundles[name]) for name in ("v1", "v2"))
    for version, commit in (("v1.0.0", first), ("v2.0.0", second)):
        assign(repository, version, commit, "prod")
        synced(repository)
    repository.cache.rename(repository.folder / "no-cache")
    old = listing(models(repository) / "prod" / "v1.0.0")
    assign(repository, "v1.0.0", first, "prod", why="v2 was too slow")

    report = synced(repository)

    assert report.code == 0
    assert serving(models(repository)) == {"prod": "v1.0.0"}
    release = production.read_release(models(repository) / "prod" / "v1.0.0")
    assert (release["tag"], release["why"]) == ("churn#prod#3", "v2 was too slow")
    changed = {name for name, at in listing(models(repository) / "prod" / "v1.0.0").items() if old[name] != at}
    assert changed == {"release.json"}


def test_a_stage_that_was_emptied(repository: Repository, bundles: Bundles) -> None:
    commit = repository.version(bundles["v1"])
    assign(repository, "v1.0.0", commit, "prod", "canary", weight=0.5)
    synced(repository)
    repository.tag("churn#canary!#3", commit)
    report = synced(repository)
    assert report.emptied == {"canary": "v1.0.0"}
    assert report.lines()[-1] == "canary    nothing, was v1.0.0"
    state = production.read_state(models(repository))
    assert state
    assert (dict(state.stages), state.weights) == ({"prod": "v1.0.0"}, {})


def test_only_the_stages_that_were_asked_for(repository: Repository, bundles: Bundles) -> None:
    first, second = (repository.version(bundles[name]) for name in ("v1", "v2"))
    assign(repository, "v1.0.0", first, "prod", "shadow")
    synced(repository)
    assign(repository, "v2.0.0", second, "prod", "shadow", "staging")
    synced(repository, stages=("staging", "shadow"))
    assert serving(models(repository)) == {"prod": "v1.0.0", "shadow": "v2.0.0", "staging": "v2.0.0"}
    with pytest.raises(PolicyError, match="did you mean prod"):
        synced(repository, stages=("prd",))


def test_without_any_tag_nothing_is_taken_away(repository: Repository, bundles: Bundles, tmp_path: Path) -> None:
    assert synced(repository).lines() == []
    assert not (models(repository) / "state.json").exists()
    assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod")
    synced(repository)
    other = Repository.new(tmp_path / "other")
    with pytest.raises(RegistryError, match="has no tag of 'churn' that can be followed"):
        sync(source.elsewhere(str(other.folder), models(repository)), Request(models(repository), STAGES))
    assert serving(models(repository)) == {"prod": "v1.0.0"}


def test_versions_that_were_never_registered(repository: Repository, bundles: Bundles) -> None:
    commit = repository.version(bundles["v1"])
    repository.tag("churn#prod#1", commit)
    synced(repository)
    assert serving(models(repository)) == {"prod": f"g{commit[:12]}"}
    release = production.read_release(models(repository) / "prod" / f"g{commit[:12]}")
    assert (release["verdict"], release["promoted_by"]["name"]) == ("ungated", "Ada Tester")


def test_a_notebook_version(repository: Repository, bundles: Bundles) -> None:
    repository.version(bundles["v1"])
    commit = repository.notebook(bundles["v3"])
    assign(repository, "v3.0.0", commit, "prod")
    assert synced(repository).code == 0
    assert trees(models(repository)) == 30
    release = production.read_release(models(repository) / "prod" / "v3.0.0")
    assert release["origin"] == "notebook"
    assert repository.git.read(commit, "dvc.lock") is None, "a notebook needs no pipeline"
    assert release["digests"].keys() == {"model", "environment", "manifest"}


def test_numbers_that_are_none_are_no_metrics(repository: Repository, bundles: Bundles) -> None:
    repository.version(bundles["v1"])
    good = {"value": 0.8, "low": 0.7, "high": 0.9}
    odd: dict[str, Any] = {
        "roc_auc": good, "a": {**good, "low": math.nan}, "b": {**good, "high": math.inf}, "c": {"value": 1},
        "d": {**good, "value": "0.8"}, "e": [0.8], "f": {**good, "low": None}, "g": {**good, "high": 10**400}, "h": 0.8,
    }  # fmt: skip
    for content, kept in (({"metrics": odd}, {"roc_auc": good}), ({"metrics": [odd]}, {}), ([], {})):
        repository.write("metrics/evaluate/intervals.json", json.dumps(content))
        assert describe.metrics(repository.git, repository.commit("By hand")) == kept
    repository.write("metrics/evaluate/intervals.json", "[" * 100_000)
    assert describe.metrics(repository.git, repository.commit("By hand")) == {}


def test_what_was_there_before_stays_readable(repository: Repository, bundles: Bundles) -> None:
    for number in (1, 2, 3):
        assign(repository, f"v{number}.0.0", repository.version(bundles[f"v{number}"]), "prod", why=f"reason {number}")
        synced(repository)
    kept = [json.loads(path.read_bytes()) for path in sorted((models(repository) / "backups").iterdir())]
    assert [document["state"]["stages"]["prod"]["version"] for document in kept] == ["v1.0.0", "v2.0.0"]
    assert [document["releases"]["prod"]["why"] for document in kept] == ["reason 1", "reason 2"]
    for path in (models(repository) / "backups").iterdir():
        assert time.strptime(path.name[:16], "%Y%m%dT%H%M%SZ")


def test_old_versions_go_but_never_fresh_ones_or_those_that_serve(repository: Repository, bundles: Bundles) -> None:
    for number in range(1, 6):
        assign(repository, f"v{number}.0.0", repository.version(bundles[f"v{(number - 1) % 4 + 1}"]), "prod")
        assert synced(repository, keep=0).pruned == [], "somebody may just be reading it"
    root = models(repository) / "prod"
    for age, path in enumerate(sorted(root.glob("*/release.json"))):
        os.utime(path, (time.time() - 1000 + age, time.time() - 1000 + age))

    assert synced(repository, keep=2).pruned == ["prod/v2.0.0", "prod/v1.0.0"]
    assert sorted(path.name for path in root.iterdir()) == ["v3.0.0", "v4.0.0", "v5.0.0"]
    assign(repository, "v4.0.0", repository.git.commit("churn@v4.0.0"), "prod")
    assert synced(repository, keep=0).pruned == ["prod/v3.0.0"], "v5.0.0 served until now"
    with pytest.raises(RegistryError, match="--keep -1"):
        Request(root, STAGES, -1)


def test_one_writer_at_a_time(repository: Repository, bundles: Bundles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "PATIENCE", 0)
    assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod")
    models(repository).mkdir(parents=True)
    with (models(repository) / ".sync.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RegistryError, match="another `mlops sync`"):
            synced(repository)
    assert synced(repository).code == 0
