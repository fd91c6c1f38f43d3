"""models/production/ as the tags say: from this clone and from afar, with what fails along the way."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops import bundle, production
from mlops.errors import PolicyError, RegistryError
from mlops.registry import describe, facts, shelf, source
from mlops.registry.source import Source
from mlops.registry.sync import Request, sync
from mlops.registry.synced import Report
from mlops.store.model import model
from mlops.store.objects import Store
from tests.registry import files
from tests.registry.conftest import Bundles
from tests.registry.repository import Repository

pytestmark = pytest.mark.slow

STAGES = ("prod", "canary", "shadow")


def assign(repository: Repository, version: str, commit: str, *stages: str, **said: Any) -> None:
    """Register a commit, where it is not yet, and assign it; with facts only if some are given."""
    known = repository.git.text("tag", "--list", "churn#*").splitlines()
    if not repository.git.text("tag", "--list", f"churn@{version}"):
        repository.tag(f"churn@{version}", commit)
    for number, stage in enumerate(stages, len(known) + 1):
        text = facts.write("churn", [], said) if said else ""
        repository.git.raw(
            "tag", "--cleanup=verbatim", "--annotate", f"--message={text or 'mine'}", f"churn#{stage}#{number}", commit
        )


def local(repository: Repository) -> Source:
    return Source(repository.git, repository.folder)


def models(repository: Repository) -> Path:
    return repository.folder / "models" / "production"


def synced(repository: Repository, stages: tuple[str, ...] = STAGES, keep: int | None = None) -> Report:
    return sync(local(repository), Request(models(repository), stages, keep))


def serving(root: Path) -> dict[str, str]:
    state = production.read_state(root)
    assert state
    for stage, version in state.stages.items():
        place = production.folder(root, stage, version)
        assert production.read_release(place)["digests"]["manifest"] == production.manifest_digest(place)
        bundle.load(place)
    return dict(state.stages)


def trees(root: Path, stage: str = "prod") -> int:
    """How many trees the model of a stage has: by that the bundles v1 to v4 differ."""
    place = production.folder(root, stage, serving(root)[stage])
    number: int = json.loads((place / "manifest.json").read_bytes())["hyperparameters"]["n_estimators"]
    return number


def listing(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


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


def test_a_model_that_is_nowhere_costs_only_its_own_stage(repository: Repository, bundles: Bundles) -> None:
    first = repository.version(bundles["v1"])
    assign(repository, "v1.0.0", first, "prod", "canary", "shadow")
    synced(repository)
    second, third = repository.version(bundles["v2"]), repository.version(bundles["v3"])
    shutil.rmtree(repository.cache)
    repository.git.raw("checkout", "--quiet", second)
    repository.git.raw("switch", "--quiet", "main")
    put_back(repository, bundles["v2"])
    assign(repository, "v2.0.0", second, "prod")
    assign(repository, "v3.0.0", third, "canary")

    report = synced(repository)

    assert report.code == 1
    assert report.failed.keys() == {"canary"}
    assert "is not in DVC's cache and no remote storage is configured" in report.failed["canary"]
    assert serving(models(repository)) == {"prod": "v2.0.0", "canary": "v1.0.0", "shadow": "v1.0.0"}
    assert not list(models(repository).glob(".fetch-*"))


def put_back(repository: Repository, model: Path) -> None:
    """Only this model into the empty cache."""
    files.put_folder(model, repository.folder / "models/serving")
    files.Hashed(repository.folder, "models/serving").store(repository.cache)


X = hashlib.md5(b"x").hexdigest()
ODD_LISTS = [
    json.dumps([{"md5": X, "relpath": "a\0b"}]),
    json.dumps([{"md5": X, "relpath": "\ud800"}]),
    "[" * 100_000,
]


@pytest.mark.parametrize("content", ODD_LISTS, ids=["NUL", "half a character", "deep"])
def test_a_crafted_list_costs_only_its_own_stage(repository: Repository, bundles: Bundles, content: str) -> None:
    first, second = (repository.version(bundles[name]) for name in ("v1", "v2"))
    made = hashlib.md5(content.encode()).hexdigest() + ".dir"
    for md5, held in ((made, content), (X, "x")):
        repository.write(str(repository.object(md5).relative_to(repository.folder)), held)
    lock = repository.folder / "dvc.lock"
    served = model(repository.git, second, "churn").out.md5
    lock.write_text(lock.read_text().replace(served, made))
    assign(repository, "v1.0.0", first, "shadow")
    assign(repository, "v2.0.0", repository.commit("Not by DVC"), "prod")

    report = synced(repository)

    assert report.failed.keys() == {"prod"}
    assert made[:8] in report.failed["prod"]
    assert serving(models(repository)) == {"shadow": "v1.0.0"}


ODD_FACTS: list[dict[str, Any]] = [
    {"digests": [1]}, {"digests": {"model": 5}}, {"metrics": 7}, {"by": "me"}, {"why": ["x"]},
    {"verdict": {"verdict": []}},
]  # fmt: skip


@pytest.mark.parametrize("said", ODD_FACTS, ids=str)
def test_facts_of_a_wrong_type_stop_nothing(repository: Repository, bundles: Bundles, said: dict[str, Any]) -> None:
    commit = repository.version(bundles["v1"])
    assign(repository, "v1.0.0", commit, "shadow")
    assign(repository, "v1.0.0", commit, "prod", **said)
    assert dict(synced(repository).failed) == {}
    assert serving(models(repository)) == {"prod": "v1.0.0", "shadow": "v1.0.0"}


def test_whatever_goes_wrong_with_a_stage_the_others_go_on(
    repository: Repository, bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.version(bundles["v1"])
    assign(repository, "v1.0.0", commit, "prod", "shadow")
    put = shelf.put

    def broken(place: Path, *rest: Any) -> None:
        if place.parent.name == "prod":
            raise RecursionError("too\ndeep")
        put(place, *rest)

    monkeypatch.setattr(shelf, "put", broken)
    report = synced(repository)
    assert report.failed == {
        "prod": f"churn#prod#1 or its commit {commit[:8]} holds what cannot be used (RecursionError: too deep);"
        " promote another"
    }
    assert serving(models(repository)) == {"shadow": "v1.0.0"}


def test_a_tag_as_long_as_a_book_makes_no_long_release(repository: Repository, bundles: Bundles) -> None:
    commit = repository.version(bundles["v1"])
    assign(repository, "v1.0.0", commit, "shadow", why="w" * 9_000)
    text = facts.write("churn", [], {"why": "w" * 2_000_000, "digests": {"model": "x" * 2_000_000}})
    words = ("tag", "--cleanup=verbatim", "--annotate", "--file=-", "churn#prod#2", commit)
    repository.git.raw(*words, given=text.encode())
    assert synced(repository).code == 0
    assert all(path.stat().st_size < 100_000 for path in models(repository).glob("*/v1.0.0/release.json"))


def test_a_stage_that_failed_says_what_it_still_serves(repository: Repository, bundles: Bundles) -> None:
    assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod")
    synced(repository)
    commit = repository.version(bundles["v2"])
    shutil.rmtree(repository.cache)
    assign(repository, "v2.0.0", commit, "prod", "shadow")
    assert synced(repository).lines() == ["prod      v1.0.0, as before", "shadow    nothing"]


def test_a_damaged_version_is_replaced(repository: Repository, bundles: Bundles) -> None:
    assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod")
    synced(repository)
    place = models(repository) / "prod" / "v1.0.0"
    (place / "model.onnx").write_bytes(b"rubbish")

    report = synced(repository)

    assert report.notes == [f"{place} was damaged and is replaced"]
    assert not report.changed, "state.json says the same as before"
    assert report.repaired
    assert serving(models(repository)) == {"prod": "v1.0.0"}
    assert sorted(path.name for path in place.parent.iterdir()) == ["v1.0.0"]


def altered(model: Path, target: Path, name: str = "model.onnx") -> Path:
    """A copy of a model whose manifest does not know what one of its files holds."""
    shutil.copytree(model, target)
    (target / name).write_bytes(b"rubbish")
    return target


def test_what_does_not_load_is_never_installed(repository: Repository, bundles: Bundles, tmp_path: Path) -> None:
    assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod")
    synced(repository)
    before = listing(models(repository))
    broken = repository.version(altered(bundles["v2"], tmp_path / "broken"))
    assign(repository, "v2.0.0", broken, "prod")

    report = synced(repository)

    assert "the model of v2.0.0 (churn#prod#2) cannot serve: " in report.failed["prod"]
    assert "promote another" in report.failed["prod"]
    assert listing(models(repository)) == before


@pytest.mark.parametrize("digest", ["model", "manifest"])
def test_a_tag_that_names_another_model_than_its_commit(repository: Repository, bundles: Bundles, digest: str) -> None:
    assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod", digests={digest: "0" * 32})
    report = synced(repository)
    assert "anew" in report.failed["prod"]
    assert production.read_state(models(repository)) is None


def test_a_folder_of_another_project_is_not_touched(repository: Repository, bundles: Bundles) -> None:
    release = {"stage": "prod", "version": "v1.0.0", "commit": "0" * 40}
    production.install(bundles["v4"], models(repository), release)
    assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod")
    report = synced(repository)
    assert "holds commit 00000000" in report.failed["prod"]
    assert "remove that folder" in report.failed["prod"]


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


def test_an_unreadable_state_is_written_anew(repository: Repository, bundles: Bundles) -> None:
    assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod")
    models(repository).mkdir(parents=True)
    (models(repository) / "state.json").write_text("{half")
    synced(repository)
    assert serving(models(repository)) == {"prod": "v1.0.0"}


BREAKING: list[tuple[object, str]] = [
    (production, "install"), (production, "write_state"), (bundle, "load"), (shelf, "backup"), (shelf, "put"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "name"), BREAKING)
def test_an_error_anywhere_leaves_a_folder_that_serves(
    repository: Repository, bundles: Bundles, module: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (repository.version(bundles[v]) for v in ("v1", "v2"))
    assign(repository, "v1.0.0", first, "prod")
    synced(repository)
    assign(repository, "v2.0.0", second, "prod")

    def refuse(*words: Any, **named: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(module, name, refuse)
        with contextlib.suppress(OSError):
            assert synced(repository).code == 1
    assert serving(models(repository)) == {"prod": "v1.0.0"}
    assert synced(repository).code == 0
    assert serving(models(repository)) == {"prod": "v2.0.0"}
    assert not [path for path in models(repository).rglob("*") if path.name.endswith((".new", ".old"))]


class TestFromAfar:
    """Another repository by its address: no clone, no history, no DVC cache of its own."""

    @pytest.fixture
    def away(self, repository: Repository, bundles: Bundles, tmp_path: Path) -> Path:
        """A bare repository with a promoted version, whose model is in remote storage."""
        repository.remote(tmp_path / "storage")
        repository.version(bundles["v4"])
        commit = repository.version(bundles["v1"])
        Store(repository.folder).push([model(repository.git, commit, "churn").out])
        assign(repository, "v1.0.0", commit, "prod")
        return repository.bare()

    @pytest.fixture
    def host(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder without anything, as a machine that serves has it."""
        (tmp_path / "host").mkdir()
        monkeypatch.chdir(tmp_path / "host")
        return tmp_path / "host" / "models" / "production"

    def test_by_digest_from_remote_storage(self, repository: Repository, away: Path, host: Path) -> None:
        where = source.elsewhere(str(away), host)
        assert sync(where, Request(host, STAGES)).code == 0
        assert serving(host) == {"prod": "v1.0.0"}
        assert trees(host) == 10
        commits = where.git.text("rev-list", "--all").splitlines()
        assert commits == [repository.git.commit("churn@v1.0.0")], "only what is tagged"
        assert sorted(path.name for path in host.iterdir()) == [".registry.git", ".sync.lock", "prod", "state.json"]
        assert not sync(source.elsewhere(str(away), host), Request(host, STAGES)).changed

    def test_a_working_tree_beside_lends_its_cache(
        self, repository: Repository, bundles: Bundles, host: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assign(repository, "v1.0.0", repository.version(bundles["v2"]), "prod")
        monkeypatch.chdir(repository.folder.parent)
        assert sync(source.elsewhere("project", host), Request(host, STAGES)).code == 0
        assert trees(host) == 20

    def test_new_tags_and_lost_ones(self, repository: Repository, away: Path, host: Path) -> None:
        where = source.elsewhere(str(away), host)
        sync(where, Request(host, STAGES))
        polled = where.poll()
        assert where.poll() == polled
        commit = repository.git.commit("churn@v1.0.0")
        repository.tag("churn#shadow#2", commit)
        repository.push()
        assert where.poll() != polled
        sync(where, Request(host, STAGES))
        assert serving(host) == {"prod": "v1.0.0", "shadow": "v1.0.0"}

        repository.git.raw("push", "--quiet", "origin", ":refs/tags/churn#shadow#2")
        report = sync(where, Request(host, STAGES))
        assert [note.partition(" from ")[0] for note in report.notes] == ["tag churn#shadow#2 is gone"]
        assert serving(host) == {"prod": "v1.0.0"}

    def test_a_tag_that_was_moved_is_refused(self, repository: Repository, away: Path, host: Path) -> None:
        where = source.elsewhere(str(away), host)
        sync(where, Request(host, STAGES))
        repository.git.raw("tag", "--force", "--annotate", "--message=x", "churn#prod#1", "HEAD~1")
        repository.git.raw("push", "--quiet", "--force", "origin", "refs/tags/churn#prod#1")
        with pytest.raises(RegistryError, match=r"tag churn#prod#1 was \w{12} and is \w{12} at .*never changed"):
            sync(where, Request(host, STAGES))
        assert serving(host) == {"prod": "v1.0.0"}

    def test_an_address_that_does_not_answer(self, away: Path, host: Path) -> None:
        sync(source.elsewhere(str(away), host), Request(host, STAGES))
        away.rename(away.with_name("gone"))
        where = source.elsewhere(f"file://ada:secret@{away}", host)
        for call in (where.poll, lambda: sync(where, Request(host, STAGES))):
            with pytest.raises(RegistryError, match="cannot be reached") as told:
                call()
            assert "secret" not in str(told.value)
        assert serving(host) == {"prod": "v1.0.0"}

    def test_the_policy_of_the_folder_holds(self, repository: Repository, away: Path, host: Path) -> None:
        policy = (repository.folder / "policy.yaml").read_text()
        (host.parents[1] / "policy.yaml").write_text(policy.replace("require_verdict: false", "require_verdict: true"))
        report = sync(source.elsewhere(str(away), host), Request(host, STAGES))
        assert not report.stages
        assert "NOT followed: it has no verdict" in report.notes[0]


def test_signed_tags(
    repository: Repository,
    bundles: Bundles,
    tmp_path: Path,
    keys: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tag by a key that policy.yaml does not allow promotes nothing, here and from afar."""
    ada, eve = keys("ada"), keys("eve")
    commits = [repository.version(bundles[name]) for name in ("v1", "v2", "v3")]
    for number, (commit, key) in enumerate(zip(commits, (ada, eve, None), strict=True), 1):
        words = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}"] if key else []
        for name in (f"churn@v{number}.0.0", f"churn#prod#{number}"):
            repository.git.raw(*words, "tag", "--sign" if key else "--annotate", "--message=x", name, commit)
    text = (repository.folder / "policy.yaml").read_text()
    host = tmp_path / "host"
    host.mkdir()
    signers = f'ada@example.org namespaces="git" {ada.with_suffix(".pub").read_text()}'
    for folder in (repository.folder, host):
        (folder / "signers").write_text(signers)
        (folder / "policy.yaml").write_text(text.replace("allowed_signers: null", "allowed_signers: signers"))
    monkeypatch.chdir(host)

    near = synced(repository)
    far = sync(source.elsewhere(str(repository.folder), host / "models"), Request(host / "models", STAGES))

    for root, report in ((models(repository), near), (host / "models", far)):
        assert serving(root) == {"prod": "v1.0.0"}
        assert len([note for note in report.notes if "is not signed by a key of" in note]) == 4


class TestSharedRepository:
    """This clone follows what others publish."""

    def test_promotions_of_others(self, repository: Repository, bundles: Bundles) -> None:
        commit = repository.version(bundles["v1"])
        repository.bare()
        other = repository.clone("other", cache=True)
        assign(repository, "v1.0.0", commit, "prod")
        repository.push()
        polled = local(other).poll()
        assert synced(other).code == 0
        assert serving(models(other)) == {"prod": "v1.0.0"}
        assert local(other).poll() != polled, "it has the tags itself now"

    def test_without_the_network_what_is_here_counts(self, repository: Repository, bundles: Bundles) -> None:
        assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod")
        repository.bare().rename(repository.folder.with_name("gone"))
        report = synced(repository)
        assert report.code == 0
        assert serving(models(repository)) == {"prod": "v1.0.0"}
        assert len(report.notes) == 1
        assert "origin cannot be reached" in report.notes[0]
        assert "this is what the tags of this clone say" in report.notes[0]

    def test_a_tag_that_is_another_one_there(self, repository: Repository, bundles: Bundles) -> None:
        first, second = (repository.version(bundles[name]) for name in ("v1", "v2"))
        repository.bare()
        other = repository.clone("other", cache=True)
        assign(repository, "v1.0.0", first, "prod")
        repository.push()
        other.tag("churn#prod#1", second)
        with pytest.raises(RegistryError, match="tag churn#prod#1 is another one here than on origin"):
            synced(other)
        assert production.read_state(models(other)) is None
