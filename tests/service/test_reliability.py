"""Nothing is lost: models swapped under load, workers killed, the log away."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops import production
from tests.service.conftest import EXAMPLE, Versions, promote
from tests.service.server import ROOT, Server

pytestmark = pytest.mark.slow
SHARE = 0.7


def load(server: Server, seconds: float, connections: int, rate: float, body: Any = EXAMPLE) -> "subprocess.Popen[str]":
    path = server.folder / f"body-{len(list(server.folder.glob('body-*')))}"
    path.write_text(json.dumps(body))
    words = [server.port, seconds, connections, rate, path]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.service.load", *map(str, words)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def counts(process: "subprocess.Popen[str]") -> dict[str, Any]:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(output)
    return found


def capacity(server: Server, seconds: float = 1.5) -> float:
    """Requests that are answered in a second when nobody waits."""
    return float(counts(load(server, seconds, 8, 0))["answered"] / seconds)


def serving(server: Server) -> set[tuple[str, str]]:
    """(worker, version) of every worker's main model."""
    text = server.get("/metrics").body.decode()
    lines = [line for line in text.splitlines() if line.startswith("churn_model_info{") and line.endswith(" 1")]
    found = [dict(re.findall(r'(\w+)="(.*?)"', line)) for line in lines]
    return {(labels["worker"], labels["version"]) for labels in found if labels["variant"] == "prod"}


def install_broken(project: Path, versions: Versions, version: str, harm: int) -> None:
    """A version that must be refused: altered, incomplete, or another model than its release names."""
    root = project / "models" / "production"
    place = production.install(versions["v2.0.0"], root, {"stage": "prod", "version": version, "commit": "a" * 40})
    if harm == 0:
        (place / "model.onnx").write_bytes(b"not a model")
    elif harm == 1:
        (place / "encoder.json").unlink()
    elif harm == 2:
        shutil.copy(versions["v3.0.0"] / "manifest.json", place / "manifest.json")
    elif harm == 3:
        (place / "manifest.json").write_text("{}")
    else:
        (place / "calibrator.json").write_text('{"score": "log_odds", "slope": 9, "intercept": 0}')
    production.write_state(root, {"prod": version})


@pytest.fixture
def promoted(project: Path, versions: Versions) -> Path:
    promote(project, versions, prod="v1.0.0")
    return project


def test_swaps_and_refusals_under_load_lose_and_mix_nothing(
    promoted: Path, versions: Versions, start: Callable[..., Server]
) -> None:
    server = start(workers=2, poll_seconds=0.05)
    server.until(lambda: len(serving(server)) == 2, "the second worker")
    rate = SHARE * capacity(server)
    ones = load(server, 22, 8, rate * 0.8)
    threes = load(server, 22, 4, rate * 0.05, {"records": [EXAMPLE] * 3})
    served, refused = "v1.0.0", 0
    for swap in range(20):
        served = f"v{(swap + 1) % 3 + 1}.0.0"
        promote(promoted, versions, prod=served)
        server.until(lambda: {v for _, v in serving(server)} == {served}, f"{served} in both workers")  # noqa: B023
        if swap % 4 == 3:
            install_broken(promoted, versions, f"v9.0.{swap}", refused)
            refused += 1
            wanted = 2 * refused
            server.until(lambda: server.metric("churn_model_load_failures_total") == wanted, "both refusals")  # noqa: B023
            assert {v for _, v in serving(server)} == {served}
    for process in (ones, threes):
        found = counts(process)
        assert found["lost"] == {}
        assert found["sent"] == found["answered"]
        assert found["mixed"] == 0
        assert all(re.fullmatch(r"200 v[123]\.0\.0", key) for key in found["by"]), found["by"]
        assert len(found["by"]) == 3
    assert refused == 5
    assert "goes on serving" in server.log


def test_a_killed_worker_loses_only_what_it_was_answering(promoted: Path, start: Callable[..., Server]) -> None:
    server = start(workers=2, log_seconds=0.2)
    server.until(lambda: len(serving(server)) == 2, "the second worker")
    connections = 8
    running = load(server, 6, connections, SHARE * capacity(server))
    time.sleep(1.5)
    before = serving(server)
    victim = int(sorted(before)[0][0])
    answered = server.metric("churn_predictions_total")
    os.kill(victim, signal.SIGKILL)
    server.until(lambda: len(serving(server) - before) == 1, "another worker in its place")
    found = counts(running)
    assert sum(found["lost"].values()) <= connections
    assert found["answered"] >= found["sent"] - connections
    assert set(found["by"]) == {"200 v1.0.0"}
    assert server.metric("churn_predictions_total") >= answered
    server.until(
        lambda: str(victim) in server.log and "may be missing" in server.log, "the word on what may be missing"
    )


def test_the_log_gone_for_ten_seconds_costs_no_request_and_no_prediction(
    promoted: Path, start: Callable[..., Server]
) -> None:
    server = start(log="sqlite:///log.sqlite", log_seconds=0.2)
    assert server.post("/predict", EXAMPLE).status == 200
    database = promoted / "log.sqlite"
    server.until(lambda: database.exists() and server.metric("churn_log_written_total") == 1, "the first row")
    lock = sqlite3.connect(database, isolation_level=None, timeout=30)
    lock.execute("BEGIN EXCLUSIVE")
    running = load(server, 10, 4, 300)
    server.until(lambda: server.get("/health").json["prediction_log"]["up"] is False, "the log's being down")
    assert server.get("/health").json["status"] == "degraded"
    found = counts(running)
    lock.execute("ROLLBACK")
    lock.close()
    assert found["lost"] == {}
    assert found["answered"] == found["sent"]
    server.until(lambda: server.get("/health").json["prediction_log"]["waiting"] == 0, "an empty queue")
    with sqlite3.connect(database) as rows:
        logged = {request_id for (request_id,) in rows.execute("SELECT request_id FROM predictions")}
    assert set(found["ids"]) <= logged
    assert not any(server.get("/health").json["prediction_log"]["lost"].values())


def test_sigterm_answers_what_was_begun_and_writes_the_log(promoted: Path, start: Callable[..., Server]) -> None:
    server = start(log="sqlite:///log.sqlite", log_seconds=1)
    running = load(server, 3, 4, 200)
    time.sleep(1)
    code = server.stop()
    found = counts(running)
    assert code == 0
    # Whoever had sent nothing is turned away; what was begun is answered.
    assert set(found["lost"]) <= {"ConnectionRefusedError", "IncompleteReadError", "ConnectionResetError"}
    with sqlite3.connect(promoted / "log.sqlite") as rows:
        logged = {request_id for (request_id,) in rows.execute("SELECT request_id FROM predictions")}
    assert set(found["ids"]) == logged
