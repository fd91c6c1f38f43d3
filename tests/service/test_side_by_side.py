"""Prod, canary and shadow side by side, followed from the folder; broken ones refused."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from api.models.variant import share
from mlops import bundle
from tests.service.conftest import EXAMPLE, Versions, promote
from tests.service.server import Server

pytestmark = pytest.mark.slow
Start = Callable[..., Server]


def versions_of(server: Server, customers: list[str]) -> dict[str, str]:
    body = {"records": [{**EXAMPLE, "customer_id": c} for c in customers]}
    return {p["customer_id"]: p["version"] for p in server.post("/predict", body).json["predictions"]}


def test_customers_stay_with_their_variant(project: Path, versions: Versions, start: Start) -> None:
    promote(project, versions, {"canary": 0.3}, prod="v1.0.0", canary="v2.0.0")
    server = start(workers=2)
    customers = [f"c{i}" for i in range(300)]
    wanted = {c: "v2.0.0" if share(c) < 0.3 else "v1.0.0" for c in customers}
    assert versions_of(server, customers) == wanted
    for customer in customers[:20]:
        answer = server.post("/predict", {**EXAMPLE, "customer_id": customer}).json
        assert answer["version"] == wanted[customer]
        assert answer["variant"] == ("canary" if wanted[customer] == "v2.0.0" else "prod")
        loaded = bundle.load(versions[wanted[customer]])
        row = {**EXAMPLE, "auto": 1.0, "since": 16_616.0}
        assert answer["churn_probability"] == round(loaded.score_row(row)[1], 6)  # type: ignore[arg-type]
    server.stop()
    assert versions_of(start(), customers) == wanted
    told = start().get("/model").json["variants"]
    assert {name: v["weight"] for name, v in told.items()} == {"prod": 0.7, "canary": 0.3}


def test_weights_come_from_the_policy_when_the_state_has_none(project: Path, versions: Versions, start: Start) -> None:
    promote(project, versions, None, prod="v1.0.0", canary="v2.0.0")
    server = start(poll_seconds=0.05)
    customers = [f"c{i}" for i in range(50)]
    assert set(versions_of(server, customers).values()) == {"v1.0.0"}
    (project / "policy.yaml").write_text("serving:\n  weights:\n    canary: 1.0\n")
    server.until(lambda: set(versions_of(server, customers).values()) == {"v2.0.0"}, "the new weight")
    (project / "policy.yaml").write_text("serving:\n  weights:\n    canary: lots\n")
    server.until(lambda: server.get("/health").json["refused"], "the refusal")
    assert "no share" in server.get("/health").json["refused"][0]["reason"]
    assert set(versions_of(server, customers).values()) == {"v2.0.0"}


def test_the_shadow_answers_nobody_and_is_logged(project: Path, versions: Versions, start: Start) -> None:
    promote(project, versions, None, prod="v1.0.0", shadow="v3.0.0")
    server = start(log="sqlite:///log.sqlite", log_seconds=0.1)
    one = server.post("/predict", {**EXAMPLE, "customer_id": "a"}).json
    many = server.post("/predict", {"records": [EXAMPLE] * 5}).json["predictions"]
    assert {one["version"], *(p["version"] for p in many)} == {"v1.0.0"}
    server.until(lambda: server.metric("churn_log_written_total") == 12, "twelve logged predictions")
    with sqlite3.connect(project / "log.sqlite") as rows:
        pairs = rows.execute(
            "SELECT a.probability, b.probability, b.version FROM predictions a JOIN predictions b"
            " USING (request_id, row) WHERE a.variant = 'prod' AND b.variant = 'shadow'"
        ).fetchall()
    assert len(pairs) == 6
    expected = round(bundle.load(versions["v3.0.0"]).score_row({**EXAMPLE, "auto": 1.0, "since": 16_616.0})[1], 6)  # type: ignore[arg-type]
    assert {(p[1], p[2]) for p in pairs} == {(expected, "v3.0.0")}
    assert server.metric("churn_predictions_total", variant="shadow") == 6


def test_a_broken_model_is_refused_and_taken_once_it_is_mended(project: Path, versions: Versions, start: Start) -> None:
    promote(project, versions, None, prod="v1.0.0")
    server = start(poll_seconds=0.05)
    broken = project / "models" / "production" / "prod" / "v2.0.0"
    shutil.copytree(versions["v2.0.0"], broken)
    (broken / "release.json").write_text("{}")
    state = {"format": 1, "stages": {"prod": {"version": "v2.0.0"}}}
    (project / "models" / "production" / "state.json").write_text(json.dumps(state))
    server.until(lambda: server.get("/health").json["refused"], "the refusal")
    health = server.get("/health").json
    assert (health["status"], health["model_loaded"]) == ("degraded", True)
    assert "release.json" in health["refused"][0]["reason"]
    assert server.post("/predict", EXAMPLE).json["version"] == "v1.0.0"
    assert server.metric("churn_model_load_failures_total", variant="prod") == 1
    shutil.rmtree(broken)
    promote(project, versions, None, prod="v2.0.0")
    server.until(lambda: server.post("/predict", EXAMPLE).json["version"] == "v2.0.0", "the mended version")
    server.until(lambda: server.get("/health").json["status"] == "ok", "a good health")


def test_another_stage_is_served_by_its_name(project: Path, versions: Versions, start: Start) -> None:
    promote(project, versions, {"canary": 1.0}, prod="v1.0.0", staging="v3.0.0", canary="v2.0.0")
    server = start(stage="staging")
    answer = server.post("/predict", {**EXAMPLE, "customer_id": "a"}).json
    assert (answer["version"], answer["variant"]) == ("v3.0.0", "staging")
    missing = start(wait=503, stage="dev")
    assert "names no version for stage 'dev'" in missing.get("/health").json["refused"][0]["reason"]


def test_a_version_that_cannot_be_unpickled_is_never_asked_to(project: Path, versions: Versions, start: Start) -> None:
    """A pickle in the place of a file of the bundle is bytes with a wrong digest, and no more."""
    promote(project, versions, None, prod="v1.0.0")
    server = start(poll_seconds=0.05)
    place = project / "models" / "production" / "prod" / "v4.0.0"
    shutil.copytree(project / "models" / "production" / "prod" / "v1.0.0", place)
    release = json.loads((place / "release.json").read_text()) | {"version": "v4.0.0"}
    (place / "release.json").write_text(json.dumps(release))
    trap = project / "opened"
    (place / "encoder.json").write_bytes(b"cposix\nsystem\n(S'touch " + str(trap).encode() + b"'\ntR.")
    state = {"format": 1, "stages": {"prod": {"version": "v4.0.0"}}}
    (project / "models" / "production" / "state.json").write_text(json.dumps(state))
    server.until(lambda: server.get("/health").json["refused"], "the refusal")
    assert "not what its manifest says" in server.get("/health").json["refused"][0]["reason"]
    assert not trap.exists()


def test_a_canary_that_no_longer_fits_is_dropped_with_its_share(
    project: Path, versions: Versions, start: Start
) -> None:
    """The canary stays the same, but clients of the new prod send one column less."""
    promote(project, versions, {"canary": 0.5}, prod="v1.0.0", canary="v2.0.0")
    server = start(poll_seconds=0.05)
    customers = [f"c{i}" for i in range(40)]
    assert set(versions_of(server, customers).values()) == {"v1.0.0", "v2.0.0"}
    promote(project, versions, {"canary": 0.5}, prod="v4.0.0", canary="v2.0.0")
    server.until(lambda: server.get("/model").json["version"] == "v4.0.0", "the new version")
    record = {k: v for k, v in EXAMPLE.items() if k != "region"}
    for customer in customers:
        reply = server.post("/predict", {**record, "customer_id": customer})
        assert (reply.status, reply.json["version"]) == (200, "v4.0.0")
    refused = server.get("/health").json["refused"]
    assert [(r["stage"], r["kind"]) for r in refused] == [("canary", "signature")]


def test_a_variant_may_read_less_than_prod(project: Path, versions: Versions, start: Start) -> None:
    promote(project, versions, {"canary": 0.5}, prod="v1.0.0", canary="v4.0.0")
    server = start()
    customers = [f"c{i}" for i in range(40)]
    assert set(versions_of(server, customers).values()) == {"v1.0.0", "v4.0.0"}
    unknown = [{**EXAMPLE, "region": "Atlantis", "customer_id": c} for c in customers]
    server.post("/predict", {"records": unknown})
    mine = sum(share(c) >= 0.5 for c in customers)
    assert server.metric("churn_unknown_levels_total", variant="prod", feature="region") == mine
    assert server.metric("churn_unknown_levels_total", variant="canary") == 0


def test_a_state_that_vanishes_takes_nothing_away(project: Path, versions: Versions, start: Start) -> None:
    promote(project, versions, None, prod="v1.0.0")
    server = start(poll_seconds=0.05)
    (project / "models" / "production").rename(project / "elsewhere")
    server.until(lambda: server.get("/health").json["refused"], "the refusal")
    assert "is gone" in server.get("/health").json["refused"][0]["reason"]
    assert server.post("/predict", EXAMPLE).json["version"] == "v1.0.0"
    (project / "elsewhere").rename(project / "models" / "production")
    server.until(lambda: server.get("/health").json["status"] == "ok", "a good health")


def test_wrong_shares_cost_nobody_the_promoted_version(project: Path, versions: Versions, start: Start) -> None:
    (project / "policy.yaml").write_text("serving: [")
    promote(project, versions, None, prod="v1.0.0")
    server = start(poll_seconds=0.05)
    assert server.get("/health").json["status"] == "ok"  # no canary: nobody asks for shares
    promote(project, versions, {"cnary": 0.5}, prod="v2.0.0", canary="v3.0.0")
    server.until(lambda: server.post("/predict", EXAMPLE).json["version"] == "v2.0.0", "the promoted version")
    assert "cnary is no variant" in server.get("/health").json["refused"][0]["reason"]


def test_a_state_of_nonsense_is_named_once(project: Path, versions: Versions, start: Start) -> None:
    promote(project, versions, None, prod="v1.0.0")
    server = start(poll_seconds=0.05)
    (project / "models" / "production" / "state.json").write_text("[" * 100_000)
    server.until(lambda: server.get("/health").json["refused"], "the refusal")
    assert server.post("/predict", EXAMPLE).json["version"] == "v1.0.0"
    assert "Traceback" not in server.log


def test_shares_name_every_variant(project: Path, versions: Versions, start: Start) -> None:
    promote(project, versions, {"prod": 0.5, "canary": 0.5}, prod="v1.0.0", canary="v2.0.0")
    told = start().get("/model").json["variants"]
    assert {name: v["weight"] for name, v in told.items()} == {"prod": 0.5, "canary": 0.5}


def test_a_refused_model_is_told_beside_wrong_shares(project: Path, versions: Versions, start: Start) -> None:
    promote(project, versions, {"canary": 0.3}, prod="v1.0.0", canary="v2.0.0")
    server = start(poll_seconds=0.05)
    state = {
        "format": 1,
        "stages": {"prod": {"version": "v9.0.0"}, "canary": {"version": "v2.0.0"}},
        "weights": {"canry": 0.3},
    }
    (project / "models" / "production" / "state.json").write_text(json.dumps(state))
    server.until(lambda: len(server.get("/health").json["refused"]) == 2, "both troubles")
    told = {r["kind"]: r["reason"] for r in server.get("/health").json["refused"]}
    assert "promote the version again" in told["model"]
    assert "canry is no variant" in told["policy"]
    assert server.post("/predict", EXAMPLE).json["version"] == "v1.0.0"
    assert server.metric("churn_model_load_failures_total", reason="model") == 1
    assert server.metric("churn_model_failing", variant="prod") == 1
    promote(project, versions, {"canry": 0.3}, prod="v3.0.0", canary="v2.0.0")
    server.until(lambda: server.post("/predict", EXAMPLE).json["version"] == "v3.0.0", "the good version")
    server.until(lambda: server.metric("churn_model_failing", variant="prod") == 0, "no failing model")
    assert [r["kind"] for r in server.get("/health").json["refused"]] == ["policy"]
