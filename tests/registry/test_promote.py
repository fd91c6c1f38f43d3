"""What promotion writes, what it refuses, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from mlops import policy
from mlops.errors import MlopsError, RegistryError
from mlops.registry import best, facts, look
from mlops.registry.look import Registry
from mlops.registry.promote import Outcome, Request, promote
from tests.registry.repository import Bundles, Repository, predictions

pytestmark = pytest.mark.slow

WORSE, GOOD, BETTER = (predictions(3000, 1500, strength=s) for s in (0.4, 0.75, 0.95))


@pytest.fixture
def repository(repository: Repository) -> Repository:
    """With a gate that takes fewer draws."""
    rules(repository, "resamples: 2000", "resamples: 400")
    return repository


def registry(repository: Repository) -> Registry:
    return Registry(repository.git, policy.load(repository.folder / "policy.yaml"))


def promoted(repository: Repository, revision: str | None = None, **asked: Any) -> Outcome:
    return promote(registry(repository), Request(revision, **asked))


def rules(repository: Repository, old: str, new: str) -> None:
    text = (repository.folder / "policy.yaml").read_text()
    assert old in text
    repository.write("policy.yaml", text.replace(old, new))
    repository.commit("Other rules")


def message(repository: Repository, tag: str) -> str:
    return repository.git.text("cat-file", "tag", tag)


def test_the_first_version_must_beat_the_base_rate(repository: Repository, bundles: Bundles) -> None:
    commit = repository.version(bundles["v1"], GOOD)
    done = promoted(repository)
    assert done.done
    assert done.tags == ("churn@v1.0.0", "churn#prod#1")
    assert done.result is not None
    assert done.result.baseline is None
    said = facts.parse(message(repository, "churn#prod#1"))
    assert said is not None
    assert (said["version"], said["stage"], said["commit"], said["origin"]) == ("v1.0.0", "prod", commit, "pipeline")
    assert said["verdict"]["verdict"] == "better"
    assert said["by"] == {"name": "Ada Tester", "email": "ada@example.org"}
    assert set(said["digests"]) >= {"model", "manifest", "predictions", "lock", "environment"}
    metrics = json.loads(repository.git.text("show", f"{commit}:metrics/evaluate/metrics.json"))
    assert said["metrics"]["roc_auc"]["value"] == metrics["roc_auc"]
    assert "better: roc_auc" in message(repository, "churn#prod#1").split("---")[0]
    again = promoted(repository)
    assert again.done
    assert not again.tags


def test_a_first_version_that_knows_nothing_is_refused(repository: Repository, bundles: Bundles) -> None:
    repository.version(bundles["v1"], predictions(3000, 1500, strength=0.0))
    done = promoted(repository)
    assert not done.done
    assert repository.git.text("tag") == ""


def test_better_is_promoted_worse_is_not_and_force_is_on_record(repository: Repository, bundles: Bundles) -> None:
    repository.version(bundles["v1"], GOOD)
    promoted(repository)
    repository.version(bundles["v2"], WORSE)
    refused = promoted(repository)
    assert refused.result is not None
    assert refused.result.verdict == "worse"
    assert not refused.done
    assert "v1.1.0" not in repository.git.text("tag")
    with pytest.raises(RegistryError, match="say why"):
        promoted(repository, force=True)
    forced = promoted(repository, force=True, why="the other one leaks | see #12")
    assert forced.tags == ("churn@v1.1.0", "churn#prod#2")
    text = message(repository, "churn#prod#2")
    said = facts.parse(text)
    assert said is not None
    assert (said["forced"], said["why"]) == (True, "the other one leaks | see #12")
    assert facts.verdict(said) == "forced: worse"
    assert "FORCED against the gate" in text
    repository.version(bundles["v3"], BETTER)
    assert promoted(repository).tags == ("churn@v1.2.0", "churn#prod#3")


def test_an_experiment_outlives_its_ref(repository: Repository, bundles: Bundles) -> None:
    repository.version(bundles["v1"], GOOD)
    promoted(repository)
    commit = repository.version(bundles["v2"], BETTER, experiment="deeper_trees")
    done = promoted(repository, "deeper_trees")
    assert done.named.experiment == "deeper_trees"
    said = facts.parse(message(repository, "churn#prod#2"))
    assert said is not None
    assert said["experiment"] == "deeper_trees"
    for ref in repository.git.text("for-each-ref", "--format=%(refname)", "refs/exps").splitlines():
        repository.git.raw("update-ref", "-d", ref)
    repository.git.raw("reflog", "expire", "--expire=now", "--all")
    repository.git.raw("gc", "--quiet", "--prune=now")
    assert registry(repository).picture.stages["prod"].commit == commit
    assert repository.git.read(commit, "dvc.lock")


def test_its_bytes_go_to_the_remote_of_data(repository: Repository, bundles: Bundles) -> None:
    store = repository.folder.parent / "store"
    repository.remote(store)
    repository.version(bundles["v1"], GOOD)
    done = promoted(repository)
    sent = [p for p in store.rglob("*") if p.is_file()]
    assert done.pushed == len(sent) > len(list(bundles["v1"].iterdir()))
    assert promoted(repository, "HEAD", stage="staging").pushed == 0


def test_what_is_not_committed_or_not_current_is_refused(repository: Repository, bundles: Bundles) -> None:
    commit = repository.version(bundles["v1"], GOOD)
    repository.write("src/evaluate.py", "RESAMPLES = 1\n")
    dirty = promoted(repository)
    assert dirty.result is not None
    assert any("src/evaluate.py is changed and not committed" in r for r in dirty.result.reasons)
    assert promoted(repository, commit, stage="dev").done is False, "HEAD by its hash is HEAD all the same"
    stale = repository.commit("Code without a run")
    refused = promoted(repository)
    assert refused.result is not None
    assert any("evaluate: src/evaluate.py" in r and "dvc repro" in r for r in refused.result.reasons)
    repository.write("src/evaluate.py", "RESAMPLES = 2\n")
    assert promoted(repository, commit).done, f"an older commit is judged as it is, whatever lies here: {stale}"


def test_a_stage_may_ask_for_another_one_first(repository: Repository, bundles: Bundles) -> None:
    rules(repository, "requires: {}", "requires: {prod: staging}")
    repository.version(bundles["v1"], GOOD)
    refused = promoted(repository)
    assert refused.result is not None
    assert refused.result.reasons == (
        "order of stages: prod takes only what was in staging: promote with --stage staging",
    )
    assert promoted(repository, stage="staging").tags == ("churn@v1.0.0", "churn#staging#1")
    assert promoted(repository).tags == ("churn#prod#2",)


def test_a_canary_is_compared_with_prod_and_says_its_share(repository: Repository, bundles: Bundles) -> None:
    repository.version(bundles["v1"], GOOD)
    promoted(repository)
    repository.version(bundles["v2"], BETTER)
    done = promoted(repository, stage="canary", weight=0.1)
    assert done.result is not None
    assert done.result.baseline == "v1.0.0"
    said = facts.parse(message(repository, "churn#canary#2"))
    assert said is not None
    assert said["weight"] == 0.1
    assert promoted(repository, stage="canary", weight=0.3).tags == ("churn#canary#3",), (
        "more customers: a tag of its own"
    )


def test_numbers_of_versions(repository: Repository, bundles: Bundles) -> None:
    repository.version(bundles["v1"], GOOD)
    assert promoted(repository, version="2.0.0-rc.1").version == "v2.0.0-rc.1"
    repository.version(bundles["v2"], BETTER)
    with pytest.raises(RegistryError, match=r"v2.0.0-rc.1 is taken .* without --version it is v2\.1\.0"):
        promoted(repository, version="v2.0.0-rc.1")
    with pytest.raises(RegistryError, match="no semantic version"):
        promoted(repository, version="next")
    assert promoted(repository, bump="patch").version == "v2.0.1"


def test_the_best_experiment_by_the_gates_metric(repository: Repository, bundles: Bundles) -> None:
    repository.version(bundles["v1"], GOOD)
    with pytest.raises(RegistryError, match="no experiment"):
        best.best(registry(repository))
    for name, scored in (("weak", WORSE), ("strong", BETTER), ("same", GOOD)):
        repository.version(bundles["v2"], scored, experiment=name)
    assert registry(repository).named(best.best(registry(repository))).name == "strong"


def test_a_baseline_whose_bytes_are_gone_is_not_comparable(repository: Repository, bundles: Bundles) -> None:
    repository.version(bundles["v1"], GOOD)
    promoted(repository)
    for file in (repository.cache / "files").rglob("*"):
        if file.is_file():
            file.unlink()
    repository.version(bundles["v2"], BETTER)
    done = promoted(repository)
    assert done.result is not None
    assert done.result.verdict == "not comparable"
    assert not done.done
    assert promoted(repository, force=True, why="the old one is lost").done


@pytest.mark.parametrize(
    ("revision", "asked", "said"),
    [
        ("deeper_tree", {}, "did you mean deeper_trees"),
        ("v1.9.9", {}, "no version, experiment, stage or commit"),
        (None, {"stage": "prd"}, r"no stage 'prd'; did you mean prod\?"),
        ("first", {}, "no model|no dvc.lock|made by no stage|no version of this project"),
    ],
)
def test_what_cannot_be_promoted_is_one_line(
    repository: Repository, bundles: Bundles, revision: str | None, asked: dict[str, Any], said: str
) -> None:
    repository.git.raw("branch", "first")
    repository.version(bundles["v1"], GOOD)
    repository.version(bundles["v2"], GOOD, experiment="deeper_trees")
    with pytest.raises(MlopsError, match=said) as error:
        promoted(repository, revision, **asked)
    assert "\n" not in str(error.value)


def test_two_experiments_of_one_name_are_told_apart_by_hash(repository: Repository, bundles: Bundles) -> None:
    first = repository.version(bundles["v1"], GOOD, experiment="twin")
    repository.commit("Another baseline")
    second = repository.version(bundles["v2"], GOOD, experiment="twin")
    assert registry(repository).named("twin").commit == second, "that of HEAD is meant"
    repository.commit("A third baseline")
    with pytest.raises(RegistryError, match="2 experiments are called 'twin'"):
        registry(repository).named("twin")
    assert registry(repository).named(first).experiment == "twin"


def test_only_judged_tags_where_the_policy_says_so(repository: Repository, bundles: Bundles) -> None:
    repository.version(bundles["v1"], GOOD)
    promoted(repository)
    plain = repository.version(bundles["v2"], BETTER)
    repository.tag("churn#prod#2", plain)
    assert registry(repository).picture.stages["prod"].commit == plain
    rules(repository, "require_verdict: false", "require_verdict: true")
    strict = registry(repository)
    assert strict.picture.stages["prod"].version == "v1.0.0"
    assert any("churn#prod#2 is NOT followed" in w and "no verdict" in w for w in strict.warnings)


def test_only_signed_tags_where_the_policy_says_so(repository: Repository, bundles: Bundles) -> None:
    key, stranger = (repository.folder.parent / name for name in ("key", "stranger"))
    for place in (key, stranger):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place)], check=True)
    repository.write("signers", f"ada@example.org {key.with_suffix('.pub').read_text()}")
    rules(repository, "allowed_signers: null", "allowed_signers: signers")
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", str(key)), ("tag.gpgSign", "true")):
        repository.git.raw("config", name, value)
    repository.version(bundles["v1"], GOOD)
    assert promoted(repository).done
    signed = registry(repository)
    assert signed.picture.stages["prod"].version == "v1.0.0"
    assert signed.facts(signed.picture.stages["prod"].object)["version"] == "v1.0.0", "a signature hides no facts"
    plain = repository.version(bundles["v2"], BETTER)
    repository.git.raw("config", "tag.gpgSign", "false")
    repository.tag("churn#prod#2", plain)
    repository.git.raw("-c", f"user.signingkey={stranger}", "tag", "-s", "-m", "mine", "churn#prod#3", plain)
    strict = registry(repository)
    assert strict.picture.stages["prod"].tag == "churn#prod#1"
    refused = [w for w in strict.warnings if "is not signed by a key of signers" in w]
    assert len(refused) == 2


def test_names_of_tags_that_nobody_follows_are_taken_all_the_same(repository: Repository, bundles: Bundles) -> None:
    commit = repository.version(bundles["v1"], GOOD)
    repository.tag("churn@v1.0.0", commit)
    repository.tag("churn#prod#6", commit, lightweight=True)
    repository.tag("churn#prod#1", commit)
    rules(repository, "require_verdict: false", "require_verdict: true")
    assert promoted(repository, commit).tags == ("churn#prod#7",)
    repository.tag("churn@v1.1.0", commit, lightweight=True)
    repository.version(bundles["v2"], BETTER)
    with pytest.raises(RegistryError, match=r"v1\.1\.0 is taken \(not followed\); without --version it is v1\.2\.0"):
        promoted(repository, version="v1.1.0")
    assert promoted(repository).tags == ("churn@v1.2.0", "churn#prod#8")


def test_no_commit_no_repository(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MlopsError, match="no Git repository"):
        look.here()
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    with pytest.raises(MlopsError, match="no commit yet"):
        look.here()
