"""What a branch is compared with: a policy that is broken, a model that was renamed, several models."""

from __future__ import annotations

import shutil

import pytest
import yaml

from mlops.report import base, compare, judged
from mlops.store.objects import Store
from tests.registry.branches import ROWS, facts, mlops, policy, renamed
from tests.registry.repository import Bundles, Repository, predictions

pytestmark = pytest.mark.slow


def test_a_first_version_is_compared_with_the_base_rate(
    repository: Repository, bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.folder)
    repository.git.raw("switch", "--quiet", "--create", "topic")
    repository.version(bundles["v1"], predictions(*ROWS, strength=0.9))
    found = facts(repository)
    assert (found["verdict"], found["passed"], found["compared"]["first"]) == ("better", True, True)
    assert (found["decisions"], found["data"]) == (None, None)
    assert found["cost"]["size"][1] is None


def test_what_the_cache_lacks_of_main_is_named_with_the_command_that_makes_it(
    project: Repository, bundles: Bundles, capsys: pytest.CaptureFixture[str]
) -> None:
    project.version(bundles["v2"], predictions(*ROWS, strength=0.9))
    document = yaml.safe_load(project.git.text("show", "main:dvc.lock"))
    outs = {out["path"]: out["md5"] for stage in document["stages"].values() for out in stage["outs"]}
    project.object(outs["data/predictions"]).unlink()
    code, out, _ = mlops(capsys, "gate")
    assert code == 2
    assert out.splitlines()[0].startswith("not comparable: data/predictions")
    assert "`mlops lock fetch` brings it here, or makes it again" in out
    found = facts(project)
    assert found["verdict"] == "not comparable"
    alone = next(m for m in found["metrics"] if m["name"] == "roc_auc")
    assert (alone["compared"], alone["low"], alone["there"]) == (False, None, "both")


def test_a_branch_without_a_model_is_not_comparable(project: Repository) -> None:
    project.git.raw("rm", "--quiet", "dvc.lock")
    project.commit("No lock")
    found = facts(project)
    assert (found["verdict"], found["passed"], found["checks"]) == ("not comparable", False, [])
    assert "dvc repro" in found["headline"]
    assert "lock fetch" not in found["headline"]


def test_another_commit_than_head_is_compared_the_same_way(project: Repository, bundles: Bundles) -> None:
    head = project.version(bundles["v2"], predictions(*ROWS, strength=0.9))
    project.git.raw("switch", "--quiet", "--detach", "main")
    found = compare.compare(project.git, Store(project.folder), base.find(project.git, head))
    assert (found["compared"]["head"], found["verdict"], found["compared"]["uncommitted"]) == (head, "better", [])


def test_a_policy_of_the_base_that_is_not_valid_waives_nothing(project: Repository, bundles: Bundles) -> None:
    original = (project.folder / "policy.yaml").read_text()
    project.git.raw("switch", "--quiet", "main")
    project.write("policy.yaml", "gate: {waive: 3}\n")
    project.commit("Broken")
    project.git.raw("branch", "--force", "topic")
    project.git.raw("switch", "--quiet", "topic")
    project.write("policy.yaml", original)
    project.version(bundles["v2"], predictions(*ROWS, strength=0.9))
    found = judged.judge(project.git, Store(project.folder), base.find(project.git))
    assert (found.result.verdict, found.spent) == ("better", {})
    policy(project, waive=[{"check": "verdict", "why": "a leak"}])
    project.version(bundles["v3"], predictions(*ROWS, strength=0.02))
    worse = facts(project)
    assert (worse["verdict"], worse["passed"]) == ("worse", False)
    assert any("verdict which does not count: policy.yaml of the merge base is not valid" in n for n in worse["notes"])


def test_who_renames_the_model_is_compared_all_the_same(
    project: Repository, bundles: Bundles, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed(project, "other")
    project.version(bundles["v2"], predictions(*ROWS, strength=0.1))
    found = facts(project)
    assert (found["verdict"], found["passed"], found["compared"]["first"]) == ("worse", False, False)
    code, out, _ = mlops(capsys, "report")
    assert code == 0
    assert "it is judged by rules that it brings itself: registry.name churn → other" in out


def test_a_renamed_model_of_the_same_bytes_is_no_worse_without_them(project: Repository) -> None:
    renamed(project, "other")
    project.commit("Another name")
    shutil.rmtree(project.cache)
    found = facts(project)
    assert (found["verdict"], found["compared"]["basis"]) == ("no worse", "the same bytes")


@pytest.mark.parametrize("text", ["registry: {name: lost}\n", "gate: {waive: 3}\n"])
def test_a_base_that_names_no_model_of_its_own_is_compared_by_the_one_that_it_made(
    project: Repository, bundles: Bundles, text: str
) -> None:
    original = (project.folder / "policy.yaml").read_text()
    project.git.raw("switch", "--quiet", "main")
    project.write("policy.yaml", text)
    project.commit("No name of a model")
    project.git.raw("branch", "--force", "topic")
    project.git.raw("switch", "--quiet", "topic")
    project.write("policy.yaml", original)
    project.version(bundles["v2"], predictions(*ROWS, strength=0.1))
    found = facts(project)
    assert (found["verdict"], found["compared"]["first"]) == ("worse", False)


def test_of_several_models_of_the_base_none_is_guessed(project: Repository, bundles: Bundles) -> None:
    project.git.raw("switch", "--quiet", "main")
    pipeline = project.document("dvc.yaml")
    pipeline["artifacts"] = {"one": {"path": "models/serving"}, "two": {"path": "data/predictions"}}
    project.write("dvc.yaml", yaml.safe_dump(pipeline, sort_keys=False))
    project.commit("Two")
    project.git.raw("branch", "--force", "topic")
    project.git.raw("switch", "--quiet", "topic")
    renamed_back = project.document("dvc.yaml")
    renamed_back["artifacts"] = {"churn": {"path": "models/serving"}}
    project.write("dvc.yaml", yaml.safe_dump(renamed_back, sort_keys=False))
    project.version(bundles["v2"], predictions(*ROWS, strength=0.1))
    found = facts(project)
    assert (found["verdict"], found["passed"], found["compared"]["first"]) == ("not comparable", False, False)
