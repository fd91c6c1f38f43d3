"""Files and folders by digest: DVC's cache on this machine, a folder as remote storage, and what damages them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mlops.errors import StoreError
from mlops.store import digest, lock
from mlops.store.lock import Out
from mlops.store.objects import Store
from tests.registry.repository import Bundles, Repository
from tests.registry.stored import contents, damage, dvc, files_of, out_of

pytestmark = pytest.mark.slow


def test_a_folder_comes_whole_and_as_copies(
    repository: Repository, served: Out, bundles: Bundles, tmp_path: Path
) -> None:
    store = Store(repository.folder)
    store.copy(served, tmp_path / "deep" / "model")

    assert contents(tmp_path / "deep" / "model") == contents(bundles["v1"])
    assert store.listing(served).keys() == contents(bundles["v1"]).keys()
    for path in (tmp_path / "deep" / "model").iterdir():
        assert path.stat().st_nlink == 1
        assert os.access(path, os.W_OK)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model"]


def test_dvc_finds_what_the_store_fetched(repository: Repository, bundles: Bundles, tmp_path: Path) -> None:
    """The other way round than all other tests: DVC pushes, the store fetches, DVC checks out without its remote."""
    repository.remote(tmp_path / "remote")
    commit = repository.version(bundles["v1"])
    dvc(repository.folder, "push", "--quiet")
    other = repository.clone("other")
    store = Store(other.folder)

    outs = [out for stage in lock.read(other.git, commit).stages.values() for out in stage.outs]
    cached = [out for out in outs if out.path != "metrics/evaluate"]
    for out in cached:
        store.copy(out, tmp_path / "out" / out.path)
    (tmp_path / "remote").rename(tmp_path / "away")
    dvc(other.folder, "checkout", "--quiet")

    for out in cached:
        assert contents(other.folder / out.path) == contents(tmp_path / "out" / out.path)
        assert contents(other.folder / out.path)


def test_what_is_pushed_dvc_can_pull(repository: Repository, bundles: Bundles, tmp_path: Path) -> None:
    repository.remote(tmp_path / "remote")
    served = out_of(repository, repository.version(bundles["v1"]))
    store = Store(repository.folder)

    assert store.missing([served]) == []
    assert store.push([served]) == len(list(bundles["v1"].iterdir())) + 1
    assert store.push([served]) == 0
    other = repository.clone("other")
    dvc(other.folder, "pull", "--quiet", "train")
    assert contents(other.folder / "models/serving") == contents(bundles["v1"])


@pytest.mark.parametrize("number", [0, 1, -1])
def test_a_damaged_object_is_fetched_again(
    repository: Repository,
    served: Out,
    bundles: Bundles,
    tmp_path: Path,
    number: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    repository.remote(tmp_path / "remote")
    store = Store(repository.folder)
    store.push([served])
    broken = files_of(repository, served)[number]
    whole = broken.read_bytes()
    damage(broken)

    store.copy(served, tmp_path / "model")

    assert contents(tmp_path / "model") == contents(bundles["v1"])
    assert broken.read_bytes() == whole
    assert f"{broken} was damaged" in capfd.readouterr().err


def test_a_damaged_object_without_a_remote_is_never_used(
    repository: Repository, served: Out, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = files_of(repository, served)[3]
    damage(broken)
    store = Store(repository.folder)

    with pytest.raises(StoreError, match=r"models/serving \(md5 .*is not in DVC's cache.*`dvc push`.*`dvc repro`"):
        store.copy(served, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".new")]
    assert not broken.exists(), "DVC must not take it for whole"
    assert store.missing([served]) == [served]
    assert store.push([served]) == 0
    assert "was damaged" in capfd.readouterr().err


def test_a_damaged_remote_is_not_believed(
    repository: Repository, served: Out, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    repository.remote(tmp_path / "remote")
    Store(repository.folder).push([served])
    other = repository.clone("other")
    for path in files_of(repository, served)[1:]:
        damage(tmp_path / "remote" / path.relative_to(repository.cache))

    with pytest.raises(StoreError, match=r"models/serving \(md5 "):
        Store(other.folder).copy(served, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert "is damaged in remote storage" in capfd.readouterr().err
    assert sum(path.is_file() for path in other.cache.rglob("*")) == 1, "only the list came"


def test_missing_asks_the_remote_only_for_what_is_not_here(
    repository: Repository, bundles: Bundles, tmp_path: Path
) -> None:
    repository.remote(tmp_path / "remote")
    first, second = (out_of(repository, repository.version(bundles[v])) for v in ("v1", "v2"))
    Store(repository.folder).push([first])
    other = Store(repository.clone("other").folder)

    assert other.missing([first, second]) == [second]
    (tmp_path / "remote").rename(tmp_path / "away")
    assert Store(repository.folder).missing([first, second]) == []
    with pytest.raises(StoreError, match=r"remote storage .*remote is not there; mount it"):
        other.missing([first])


def test_nothing_is_half_sent(repository: Repository, served: Out, tmp_path: Path) -> None:
    """A list of a folder in remote storage says that all its files are there."""
    repository.remote(tmp_path / "remote")
    files_of(repository, served)[2].unlink()

    with pytest.raises(StoreError, match=r"models/serving \(md5 "):
        Store(repository.folder).push([served])
    assert not list(tmp_path.glob("remote/**/*.dir"))


def test_single_files(repository: Repository, tmp_path: Path) -> None:
    repository.write("rows.csv", "a,b\n1,2\n")
    md5 = digest.of_file(repository.folder / "rows.csv")
    repository.object(md5).parent.mkdir(parents=True)
    (repository.folder / "rows.csv").rename(repository.object(md5))
    store, out = Store(repository.folder), Out("data/rows.csv", md5, 8, None)

    store.copy(out, tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text() == "a,b\n1,2\n"
    assert store.file(md5).read_text() == "a,b\n1,2\n"
    assert store.listing(out) == {"rows.csv": md5}
    with pytest.raises(StoreError, match="no remote storage is configured"):
        store.file("0" * 32)
    with pytest.raises(StoreError, match="is no md5"):
        store.file("../../../etc/passwd")


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside", ""])
def test_a_list_cannot_lead_out_of_its_folder(repository: Repository, tmp_path: Path, name: str) -> None:
    file, store = repository.object(digest.of_bytes(b"x")), Store(repository.folder)
    crafted = {name: digest.of_bytes(b"x")}
    place = repository.object(digest.of_folder(crafted))
    for path, content in ((file, "x"), (place, json.dumps([{"md5": crafted[name], "relpath": name}]))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    with pytest.raises(StoreError, match="does not belong into a folder"):
        store.copy(Out("models/serving", digest.of_folder(crafted), 1, 1), tmp_path / "deep" / "model")
    assert not list(tmp_path.rglob("outside"))


ODD_LISTS = [
    json.dumps([{"md5": "0" * 32, "relpath": "a\0b"}]),
    json.dumps([{"md5": "0" * 32, "relpath": "a\ud800b"}]),
    json.dumps([{"md5": "0" * 32, "relpath": ["a"]}]),
    json.dumps([{"md5": 7, "relpath": "a"}]),
    json.dumps([["relpath", "md5"]]),
    json.dumps({"relpath": "a", "md5": "0" * 32}),
    json.dumps([{}]),
    "[" * 100_000,
    "{half",
]


@pytest.mark.parametrize("content", ODD_LISTS, ids=range(len(ODD_LISTS)))
def test_what_is_no_list_of_files_is_one_line(repository: Repository, tmp_path: Path, content: str) -> None:
    md5 = f"{digest.of_bytes(content.encode())}.dir"
    repository.write(str(repository.object(md5).relative_to(repository.folder)), content)
    store, out = Store(repository.folder), Out("models/serving", md5, 1, 1)
    for work in (store.listing, lambda out: store.copy(out, tmp_path / "model"), lambda out: store.missing([out])):
        with pytest.raises(StoreError, match=r"models/serving \(md5 .* (is no folder that DVC wrote|does not belong)"):
            work(out)


def test_names_as_odd_as_file_systems_allow(repository: Repository, tmp_path: Path) -> None:
    names = ["a b.csv", "zwei\u00a0Wörter.csv", "\u2028.csv", "line\nbreak.csv", "latin-\udce9.csv"]
    files = {name: digest.of_bytes(b"x") for name in names}
    out = Out("data/raw", digest.of_folder(files), len(names), len(names))
    for md5, content in ((digest.of_bytes(b"x"), "x"), (out.md5, json.dumps(
        [{"md5": files[name], "relpath": name} for name in sorted(names)]
    ))):  # fmt: skip
        repository.write(str(repository.object(md5).relative_to(repository.folder)), content)
    Store(repository.folder).copy(out, tmp_path / "raw")
    assert contents(tmp_path / "raw") == dict.fromkeys(names, b"x")
