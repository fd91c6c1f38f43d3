"""Remote storage behind a network: a server that speaks S3, a web server, and those that do not answer or refuse."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.errors import StoreError
from mlops.store import lock
from mlops.store.lock import Out
from mlops.store.objects import Store
from tests.registry import servers
from tests.registry.repository import Bundles, Repository
from tests.registry.servers import S3
from tests.registry.stored import contents, dvc
from tests.service.server import free_port

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Unclosed:ResourceWarning")]


@pytest.fixture(autouse=True)
def _nothing_left_for_others() -> Iterator[None]:
    """DVC does not close its connections; here nobody minds, in the tests of another file it would be their failure."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with servers.s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def served(repository: Repository, bundles: Bundles) -> Out:
    found = lock.read(repository.git, repository.version(bundles["v1"])).out("models/serving")
    assert found
    return found


def test_s3_takes_and_gives(repository: Repository, served: Out, s3: S3, bundles: Bundles, tmp_path: Path) -> None:
    repository.remote("s3://store/versions", **s3.settings())
    store = Store(repository.folder)
    assert store.push([served]) == len(list(bundles["v1"].iterdir())) + 1
    assert store.push([served]) == 0

    other = repository.clone("other")
    away = Out("models/serving", "0" * 32 + ".dir", 1, 1)
    assert Store(other.folder).missing([served, away]) == [away]
    Store(other.folder).copy(served, tmp_path / "model")
    dvc(repository.clone("third").folder, "pull", "--quiet", "train")

    assert contents(tmp_path / "model") == contents(bundles["v1"])
    assert contents(tmp_path / "third" / "models/serving") == contents(bundles["v1"])


def test_s3_with_wrong_credentials_says_so(repository: Repository, served: Out, s3: S3) -> None:
    repository.remote("s3://store/versions", **s3.settings(secret_access_key="wrong"))
    store = Store(repository.clone("other").folder)
    for call in (store.missing, store.push):
        with pytest.raises(
            StoreError, match=r"remote storage s3://store/versions cannot be used: .*credentials"
        ) as told:
            call([served])
        assert "wrong" not in str(told.value)
        assert s3.key not in str(told.value)


def test_s3_without_its_bucket(repository: Repository, served: Out, s3: S3) -> None:
    repository.remote("s3://nowhere/versions", **s3.settings())
    with pytest.raises(StoreError, match=r"remote storage s3://nowhere/versions"):
        Store(repository.folder).push([served])


def test_a_server_that_does_not_answer(repository: Repository, served: Out, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # five, with longer and longer pauses, otherwise
    url = f"http://127.0.0.1:{free_port()}"
    repository.remote("s3://store", endpointurl=url, access_key_id="a", secret_access_key="b")
    with pytest.raises(StoreError, match=r"remote storage s3://store cannot be used: .*network"):
        Store(repository.clone("one").folder).file(served.md5)
    repository.remote(f"http://ada:secret@{url.removeprefix('http://')}/x?token=secret")
    with pytest.raises(StoreError, match=rf"remote storage {url}/x cannot be used: .*network") as told:
        Store(repository.clone("two").folder).missing([served])
    assert "secret" not in str(told.value)


def test_a_web_server_gives(repository: Repository, served: Out, bundles: Bundles, tmp_path: Path) -> None:
    with servers.web(repository.cache) as url:
        repository.remote(url)
        store = Store(repository.clone("other").folder)
        away = Out("models/serving", "0" * 32 + ".dir", 1, 1)
        lost = Out("rows.csv", "0" * 32, 1, None)

        assert store.missing([served, away, lost]) == [away, lost]
        store.copy(served, tmp_path / "model")
        assert contents(tmp_path / "model") == contents(bundles["v1"])
        with pytest.raises(StoreError, match=rf"object 0.* is neither in DVC's cache nor in remote storage {url}"):
            store.file("0" * 32)


@pytest.mark.filterwarnings("ignore:.*BasicAuth|.*basic_auth:DeprecationWarning")  # DVC's, for a later aiohttp
@pytest.mark.parametrize("password", ["secret", "wrong"])
def test_a_web_server_that_asks_who_comes(repository: Repository, served: Out, password: str) -> None:
    with servers.web(repository.cache, locked=True) as url:
        repository.remote(url, auth="basic", user="ada", password=password)
        store = Store(repository.clone("other").folder)
        if password == "secret":
            assert store.missing([served]) == []
            return
        with pytest.raises(StoreError, match=rf"remote storage {url} cannot be used: 401.*credentials"):
            store.missing([served])


def test_a_kind_of_storage_that_is_not_installed(repository: Repository, served: Out) -> None:
    repository.remote("gs://bucket/x")
    with pytest.raises(StoreError, match=r"remote storage gs://bucket/x .* requires 'dvc-gs' to be installed"):
        Store(repository.clone("other").folder).file(served.md5)
