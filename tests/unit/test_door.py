import gzip
import hashlib
import zlib

import pytest

from api import settings
from api.door.inflate import inflate
from api.door.keys import parse_keys, presented
from api.door.limits import RateLimit
from api.door.messages import Answer, Refused, Route, place
from api.door.table import Routes
from api.settings import SettingsError

SECRET = b"correct horse"
GZIPPED = gzip.compress(b"hello", mtime=0)  # without a time: tests are named after it
DIGEST = hashlib.sha256(SECRET).hexdigest()


def answer(*_: object) -> Answer:
    return Answer(200, b"")


ROUTES = Routes(
    [
        Route("GET", "/a", answer, "a"),
        Route("POST", "/v2/models/{model}/infer", answer, "infer"),
        Route("GET", "/v2/models/{model}", answer, "model"),
        Route("POST", "/v1/models/{model}:predict", answer, "v1"),
    ]
)


def test_routes_are_found_by_path_and_pattern() -> None:
    assert ROUTES.find("GET", "/a")[0].name == "a"  # type: ignore[index]
    assert ROUTES.find("HEAD", "/a")[0].name == "a"  # type: ignore[index]
    route, params = ROUTES.find("POST", "/v1/models/churn:predict")  # type: ignore[misc]
    assert (route.name, params) == ("v1", {"model": "churn"})
    assert ROUTES.find("GET", "/v2/models/a/b") is None
    assert ROUTES.find("GET", "/b") is None


def test_a_known_path_with_another_method_is_405_with_what_it_allows() -> None:
    with pytest.raises(Refused) as info:
        ROUTES.find("POST", "/a")
    assert info.value.status == 405
    assert dict(info.value.headers) == {b"allow": b"GET"}


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", GZIPPED),
        (b"GZIP ", GZIPPED),
        (b"deflate", zlib.compress(b"hello")),
        (b"deflate", zlib.compress(b"hello")[2:-4]),
        (b"identity", b"hello"),
    ],
)
def test_bodies_are_inflated(coding: bytes, body: bytes) -> None:
    assert inflate(body, coding, 5) == b"hello"


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        (b"gzip", gzip.compress(b"0" * 10_000_000, mtime=0), 413),
        (b"gzip", gzip.compress(b"hello" * 99, mtime=0)[:-9], 400),
        (b"gzip", gzip.compress(b"hi", mtime=0) + b"more", 400),
        (b"gzip", b"hello", 400),
        (b"br", b"hello", 415),
    ],
)
def test_what_cannot_be_inflated_is_refused(coding: bytes, body: bytes, status: int) -> None:
    with pytest.raises(Refused) as info:
        inflate(body, coding, 1000)
    assert info.value.status == status


def test_keys_are_known_by_their_digest_only() -> None:
    keys = parse_keys([f"crm:{DIGEST}", " "])
    assert keys.client(SECRET) == "crm"
    assert keys.client(DIGEST.encode()) is None
    assert DIGEST not in repr(keys)
    assert presented({b"x-api-key": SECRET}) == SECRET
    assert presented({b"authorization": b"bearer " + SECRET}) == SECRET
    assert presented({b"authorization": b"Basic abc"}) is None


def test_a_rate_limit_refills_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    limit = RateLimit(60)
    assert [limit.wait("a") for _ in range(60)] == [0.0] * 60
    assert limit.wait("a") == pytest.approx(1.0)
    assert limit.wait("b") == 0.0
    now[0] += 1.0
    assert limit.wait("a") == 0.0
    assert limit.wait("a") > 0


def test_places_read_as_people_write_them() -> None:
    assert place(("records", 3, "price")) == "records[3].price"
    assert place((0, "price")) == "[0].price"


def test_settings_come_from_the_environment() -> None:
    read = settings.load({"MLOPS_STAGE": "staging", "MLOPS_PORT": "0", "MLOPS_LOG": "", "HOME": "/x"})
    assert (read.stage, read.port, read.log) == ("staging", 0, settings.Settings().log)
    assert read.production.as_posix() == "models/production"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MLOPS_PROT", "1", "did you mean MLOPS_PORT"),
        ("MLOPS_PORT", "eighty", "a whole number from 0 to 65535"),
        ("MLOPS_STAGE", "../etc", "the name of a stage"),
        ("MLOPS_UNPROMOTED", "refuze", "did you mean refuse"),
        ("MLOPS_POLL_SECONDS", "0", "a number from 0.05"),
        ("MLOPS_POLL_SECONDS", "nan", "a number from 0.05"),
        ("MLOPS_CORS_ORIGINS", "example.com", "no origin"),
        ("MLOPS_API_KEYS_FILE", "/nowhere/keys", "No such file"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings.load({name: value})


def test_a_key_given_in_the_clear_is_never_repeated() -> None:
    with pytest.raises(SettingsError, match="sha256sum") as info:
        settings.load({"MLOPS_API_KEYS": "crm:hunter2"})
    assert "hunter2" not in str(info.value)


def test_keys_come_from_a_file_too(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "keys"
    path.write_text(f"# who may call\ncrm:{DIGEST}\n")
    assert settings.load({"MLOPS_API_KEYS_FILE": str(path)}).api_keys.names == ["crm"]
    path.write_text("# nobody yet\n")
    with pytest.raises(SettingsError, match="holds no key"):
        settings.load({"MLOPS_API_KEYS_FILE": str(path)})
