"""What `mlops sync --from` keeps of another repository: only the model's tags, made anew when it is broken."""

from __future__ import annotations

import os
import shutil
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.errors import RegistryError
from mlops.git import Git
from mlops.registry import source, watch
from mlops.registry.source import Source
from mlops.registry.sync import Request, sync
from mlops.registry.synced import Report
from mlops.store.model import model
from mlops.store.objects import Store
from tests.registry.following import STAGES, assign, serving
from tests.registry.repository import Bundles, Repository

pytestmark = pytest.mark.slow


@pytest.fixture
def away(repository: Repository, bundles: Bundles, tmp_path: Path) -> Path:
    """A bare repository with a promoted version, whose model is in remote storage."""
    repository.remote(tmp_path / "storage")
    commit = repository.version(bundles["v1"])
    Store(repository.folder).push([model(repository.git, commit, "churn").out])
    assign(repository, "v1.0.0", commit, "prod")
    return repository.bare()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """models/production of a folder without anything, as a machine that serves has it."""
    (tmp_path / "host").mkdir()
    monkeypatch.chdir(tmp_path / "host")
    return tmp_path / "host" / "models" / "production"


def followed(away: Path, host: Path) -> tuple[Source, Report]:
    where = source.elsewhere(str(away), host)
    return where, sync(where, Request(host, STAGES))


def tags(folder: Path) -> set[str]:
    return set(Git(folder).text("for-each-ref", "--format=%(objectname) %(refname)").split("\n"))


def test_tags_of_nobodys_business_stay(repository: Repository, away: Path, host: Path) -> None:
    where, _ = followed(away, host)
    for name in ("mine", "other#prod#1", "churn-eu@v1.0.0"):
        where.git.raw("tag", name, "churn#prod#1^{commit}")
    before = tags(where.git.folder)
    repository.git.raw("push", "--quiet", "origin", "churn#prod#1^{commit}:refs/heads/refs/tags/churn#prod#9")
    _, report = followed(away, host)
    assert (report.code, report.changed, list(report.notes)) == (0, False, [])
    assert tags(where.git.folder) == before


def test_another_repository_that_the_environment_names_is_not_touched(
    repository: Repository, away: Path, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = Repository.new(tmp_path / "victim")
    victim.tag("churn#prod#7", "HEAD")
    before = tags(victim.folder)
    monkeypatch.setenv("GIT_DIR", str(victim.folder / ".git"))
    _, report = followed(away, host)
    assert report.code == 0
    assert serving(host) == {"prod": "v1.0.0"}
    monkeypatch.delenv("GIT_DIR")
    assert tags(victim.folder) == before


def test_the_clone_around_a_mirror_that_is_none_is_not_touched(
    away: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git looks for a repository in the folders above."""
    around = Repository.new(tmp_path / "around")
    around.tag("churn#prod#7", "HEAD")
    monkeypatch.chdir(around.folder)
    before, host = tags(around.folder), around.folder / "models" / "production"
    where, _ = followed(away, host)
    (where.git.folder / "HEAD").unlink()
    _, report = followed(away, host)
    assert serving(host) == {"prod": "v1.0.0"}
    assert list(report.notes) == [f"{where.git.folder} was damaged and is made anew"]
    assert tags(around.folder) == before


def test_names_that_are_none(repository: Repository, away: Path, host: Path) -> None:
    commit = repository.git.commit("churn@v1.0.0")
    for name in ("churn#prod\u2028#2", "churn#prod\u0085#3"):
        repository.tag(name, commit)
    repository.push()
    found = repository.git.text("rev-parse", "churn#prod#1")
    with (away / "packed-refs").open("ab") as packed:
        packed.write(f"{found} refs/tags/churn#prod#4".encode() + b"\xff\n")
    where, report = followed(away, host)
    assert report.code == 0
    assert serving(host) == {"prod": "v1.0.0"}
    assert next(iter(report.notes)) == f"tag churn#prod#4\\xff of {away} is ignored: its name is not UTF-8"
    assert len(report.notes) == 3
    assert not followed(away, host)[1].changed
    assert len(tags(where.git.folder)) == 4


def no_objects(mirror: Path) -> None:
    shutil.rmtree(mirror / "objects")


def empty_objects(mirror: Path) -> None:
    no_objects(mirror)
    (mirror / "objects").mkdir()


def no_file_of_the_commit(mirror: Path) -> None:
    """One object is lost; Git says nothing until somebody reads it."""
    blob = Git(mirror).text("rev-parse", "churn#prod#1:params.yaml")
    for pack in list((mirror / "objects" / "pack").glob("*.pack")):
        apart = mirror.parent / "apart"
        pack.rename(apart)
        for path in (mirror / "objects" / "pack").iterdir():
            path.unlink()
        Git(mirror).raw("unpack-objects", "-q", given=apart.read_bytes())
        apart.unlink()
    (mirror / "objects" / blob[:2] / blob[2:]).unlink()


BROKEN: dict[str, Callable[[Path], object]] = {
    "shallow.lock": lambda mirror: (mirror / "shallow.lock").touch(),
    "a lock of a tag": lambda mirror: (mirror / "refs/tags/churn#prod#2.lock").touch(),
    "a tag of no bytes": lambda mirror: (mirror / "refs/tags/churn#prod#2").touch(),
    "packed-refs": lambda mirror: (mirror / "packed-refs").write_text("rubbish\n"),
    "no HEAD": lambda mirror: (mirror / "HEAD").unlink(),
    "no objects folder": no_objects,
    "no objects": empty_objects,
    "a lost file": no_file_of_the_commit,
    "nothing at all": lambda mirror: shutil.rmtree(mirror),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_mirror_is_made_anew(repository: Repository, away: Path, host: Path, broken: str) -> None:
    where, _ = followed(away, host)
    BROKEN[broken](where.git.folder)
    assign(repository, "v1.0.0", repository.git.commit("churn@v1.0.0"), "prod")
    repository.push()

    where.poll()
    _, report = followed(away, host)

    assert report.code == 0
    assert report.stages["prod"].tag == "churn#prod#2"
    said = [f"{where.git.folder} was damaged and is made anew"]
    assert list(report.notes) == ([] if broken == "nothing at all" else said)
    assert list(followed(away, host)[1].notes) == []
    assert not list(host.glob(".fetch-*"))


def test_a_mirror_is_only_replaced_by_a_whole_one(repository: Repository, away: Path, host: Path) -> None:
    where, _ = followed(away, host)
    (where.git.folder / "shallow.lock").touch()
    before = tags(where.git.folder)
    assign(repository, "v1.0.0", repository.git.commit("churn@v1.0.0"), "prod")
    repository.push()
    lost = repository.git.text("rev-parse", "churn#prod#2")
    (away / "objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(RegistryError, match="tags could not be fetched"):
        followed(away, host)
    assert tags(where.git.folder) == before


def test_what_a_broken_mirror_knew_of_tags_still_counts(repository: Repository, away: Path, host: Path) -> None:
    where, _ = followed(away, host)
    empty_objects(where.git.folder)
    repository.git.raw("tag", "--force", "--annotate", "--message=x", "churn#prod#1", "HEAD~1")
    repository.git.raw("push", "--quiet", "--force", "origin", "refs/tags/churn#prod#1")
    with pytest.raises(RegistryError, match="tags are never changed"):
        followed(away, host)


def test_a_relative_remote_needs_a_clone(repository: Repository, away: Path, host: Path, bundles: Bundles) -> None:
    repository.remote("../../storage")
    commit = repository.version(bundles["v2"])
    assign(repository, "v2.0.0", commit, "shadow")
    repository.push()
    _, report = followed(away, host)
    assert serving(host) == {"prod": "v1.0.0"}
    assert report.failed["shadow"].startswith("remote storage 'store' is the relative path '../../storage'")
    assert "`dvc remote modify store url URL`" in report.failed["shadow"]


def test_other_kinds_of_hashes_are_not_supported(host: Path, tmp_path: Path) -> None:
    other = Git(tmp_path)
    other.raw("init", "--quiet", "--object-format=sha256", "other")
    other = Git(tmp_path / "other")
    other.raw("commit", "--quiet", "--allow-empty", "--message=x")
    other.raw("tag", "--annotate", "--message=x", "churn#prod#1")
    with pytest.raises(RegistryError, match=r"other has SHA-256 objects .*, which is not supported"):
        followed(tmp_path / "other", host)


@pytest.mark.parametrize("where", [".", "src/deep"])
def test_the_usual_folder_is_that_of_the_clone(
    repository: Repository, bundles: Bundles, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod")
    (repository.folder / where).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(repository.folder / where)
    assert watch.run(asked()) == 0
    assert serving(repository.folder / "models" / "production") == {"prod": "v1.0.0"}
    assert watch.run(asked(models="mine")) == 0
    assert serving(Path("mine")) == {"prod": "v1.0.0"}
    os.chdir(repository.folder.parent)
    assert watch.run(asked(source=str(repository.folder))) == 0
    assert serving(repository.folder.parent / "models" / "production") == {"prod": "v1.0.0"}


def asked(**words: object) -> Namespace:
    usual = {"models": None, "source": None, "stages": list(STAGES), "keep": None, "json": False}
    return Namespace(**{**usual, "watch": None, "program": None, **words})
