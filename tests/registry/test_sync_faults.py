"""Following the tags when something is wrong: with a tag, a model, a disk. The other stages go on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mlops import bundle, production
from mlops.registry import facts, shelf
from mlops.store.model import model
from tests.registry.following import (
    altered,
    assign,
    listing,
    models,
    put_back,
    serving,
    synced,
)
from tests.registry.repository import Bundles, Repository

pytestmark = pytest.mark.slow


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
