"""What the running service answered, traced: every way of asking, every variant, both kinds of log."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from api.predictions import read
from mlops import cli, production
from mlops.registry.trace import trace
from tests.registry.predicted import registry_of, some, url_of
from tests.registry.repository import Bundles, Repository
from tests.service.postgres import Postgres
from tests.service.server import Server

pytestmark = pytest.mark.slow
STAGES = {"prod": ("v1.0.0", "v1"), "canary": ("v1.1.0", "v2"), "shadow": ("v1.2.0", "v3")}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def promoted(repository: Repository, bundles: Bundles) -> Repository:
    """A version in each of prod, canary and shadow, installed for the service."""
    root = repository.folder / "models" / "production"
    for counter, (stage, (version, name)) in enumerate(STAGES.items(), start=1):
        commit = repository.version(bundles[name])
        repository.tag(f"churn@{version}", commit)
        repository.tag(f"churn#{stage}#{counter}", commit)
        production.install(bundles[name], root, {"stage": stage, "version": version, "commit": commit})
    production.write_state(root, {s: version for s, (version, _) in STAGES.items()}, {"canary": 0.5})
    return repository


def ask(server: Server) -> dict[str, int]:
    """Ask in every form; request id → rows."""
    records = some(30)
    plain = [{k: v for k, v in r.items() if k != "customer_id"} for r in records]
    names = list(plain[0])
    cells = [",".join(json.dumps(v) if isinstance(v, str) else str(v).lower() for v in r.values()) for r in plain]
    csv = "\n".join([",".join(f'"{n}"' for n in names), *cells])
    tensors = [{"name": n, "datatype": kind(plain[0][n]), "shape": [30], "data": [r[n] for r in plain]} for n in names]
    asked: list[tuple[str, object, str, int]] = [
        ("/predict", records[0], "application/json", 1),
        ("/predict", {**records[1], "minutes": None, "comment": None}, "application/json", 1),
        ("/predict", {"records": records}, "application/json", 30),
        ("/predict", {"features": [list(r.values()) for r in plain]}, "application/json", 30),
        ("/invocations", {"dataframe_records": plain}, "application/json", 30),
        ("/invocations", csv.encode(), "text/csv", 30),
        ("/v2/models/churn/infer", {"inputs": tensors}, "application/json", 30),
    ]
    sent = {}
    for number, (path, body, media, rows) in enumerate(asked):
        reply = server.post(path, body, {"X-Request-ID": f"r-{number}", "Content-Type": media})
        assert reply.status == 200, reply.body
        sent[f"r-{number}"] = rows
    return sent


def kind(value: object) -> str:
    return {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}[type(value)]


@pytest.mark.parametrize("kind_of_log", ["sqlite", "postgresql"])
def test_every_answer_is_traced_to_the_identical_number(
    kind_of_log: str,
    promoted: Repository,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sqlite = kind_of_log == "sqlite"
    url = url_of(promoted.folder) if sqlite else request.getfixturevalue("postgres").url()
    server = Server(promoted.folder, log=url, log_seconds=0.05)
    try:
        sent = ask(server.wait())
        expected = 2 * sum(sent.values())  # everything once more by the shadow
        server.until(lambda: len(list(read(url))) == expected, f"{expected} predictions")
    finally:
        server.stop()

    registry = registry_of(promoted)
    variants = set()
    for name, rows in sent.items():
        found = trace(registry, url, name)
        assert found["identical"] is True, json.dumps(found, indent=1)
        variants |= {told["variant"] for told in found["traces"]}
        for told in found["traces"]:
            assert (told["version"], told["notes"]) == (STAGES[told["variant"]][0], [])
        answered = [p["row"] for told in found["traces"] if told["variant"] != "shadow" for p in told["predictions"]]
        assert sorted(answered) == list(range(rows))
    assert variants == set(STAGES)

    monkeypatch.chdir(promoted.folder)
    monkeypatch.setenv("MLOPS_LOG", url)
    assert cli.main(["trace", "r-2", "--row", "4"]) == 0
    said = capsys.readouterr().out
    assert "customer C4" in said
    assert "churn#shadow#3" in said
    assert said.count("the identical numbers") == 2
