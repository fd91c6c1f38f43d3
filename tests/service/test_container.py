"""The image is built and run as deployments run it: read-only, without rights, in little memory; by a real engine."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops import production
from tests.e2e.conftest import clone
from tests.service.conftest import EXAMPLE, Versions
from tests.service.engine import PATIENCE, Engine, base_image, running
from tests.service.server import free_port

pytestmark = [pytest.mark.slow, pytest.mark.container]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOCKED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
CHECKS = ("--health-interval", "0.5s", "--health-start-period", "1s")
LIMITS = ("--memory", "256m", "--pids-limit", "128")
PACKAGES_MB = 200
LOOK = """
import importlib.metadata, json, os, pathlib, sys
site = pathlib.Path(next(p for p in sys.path if p.endswith("site-packages")))
print(json.dumps({
    "user": os.getuid(),
    "size": sum(f.stat().st_size for f in site.rglob("*") if f.is_file()),
    "packages": sorted(d.name.lower() for d in importlib.metadata.distributions(path=[str(site)])),
    "app": sorted(str(p) for p in pathlib.Path("/app").rglob("*.py")),
}))
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    with running(folder) as found:
        base_image(found, folder)
        yield found


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, versions: Versions) -> Path:
    """A clone whose pipeline made a model."""
    folder = tmp_path_factory.mktemp("context")
    clone(folder, as_it_is=True)
    shutil.copytree(versions["v1.0.0"], folder / "models" / "serving")
    return folder


Image = Callable[..., str]


@pytest.fixture(scope="module")
def image(engine: Engine, context: Path) -> Iterator[Image]:
    """Build an image with given arguments, once."""
    made: dict[str, str] = {}

    def build(**arguments: str) -> str:
        key = json.dumps(arguments, sort_keys=True)
        if key not in made:
            tag = f"churn-test:{uuid.uuid4().hex[:12]}"
            engine.build(context, tag, **arguments)
            made[key] = tag
        return made[key]

    yield build
    for tag in made.values():
        engine.docker("image", "rm", "-f", tag, ok=False)


class Container:
    """The service in a container, on the host's network and a free port."""

    def __init__(self, engine: Engine, image: str, *options: str) -> None:
        self.engine, self.port = engine, free_port()
        self.name = f"churn-test-{uuid.uuid4().hex[:12]}"
        network = ("--network", "host", "-e", f"MLOPS_PORT={self.port}", "-e", "MLOPS_HOST=127.0.0.1")
        self.engine.docker("run", "-d", "--name", self.name, *CHECKS, *network, *LOCKED, *LIMITS,
                           *options, image)  # fmt: skip

    @property
    def health(self) -> dict[str, Any]:
        state: dict[str, Any] = self.engine.inspect(self.name)["State"]
        assert state["Status"] == "running", self.log
        return dict(state["Health"])

    @property
    def log(self) -> str:
        done = self.engine.docker("logs", self.name)
        return done.stdout + done.stderr

    def until(self, status: str) -> dict[str, Any]:
        """Wait until the engine calls the container healthy or unhealthy; what the last check said."""
        deadline = time.monotonic() + PATIENCE
        while (health := self.health)["Status"] != status:
            assert time.monotonic() < deadline, f"{health}\n{self.log}"
            time.sleep(0.2)
        return dict(health["Log"][-1])

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


Run = Callable[..., Container]


@pytest.fixture
def run(engine: Engine) -> Iterator[Run]:
    started: list[Container] = []

    def begin(image: str, *options: str) -> Container:
        started.append(Container(engine, image, *options))
        return started[-1]

    yield begin
    for container in started:
        engine.docker("rm", "-f", "-v", container.name, ok=False)


def test_it_answers_under_lock_and_key_and_leaves_when_told(
    engine: Engine, image: Image, run: Run, versions: Versions
) -> None:
    digest = production.manifest_digest(versions["v1.0.0"])
    tag = image(COMMIT=COMMIT, MODEL_DIGEST=digest, VERSION="1.2.3")
    container = run(tag)
    container.until("healthy")
    status, answer = container.ask("POST", "/predict", {"customer_id": "C-1", **EXAMPLE})
    assert status == 200
    assert 0 < answer["churn_probability"] < 1
    assert container.ask("POST", "/feedback", {"request_id": answer["request_id"], "churned": True})[0] == 200
    models = container.ask("GET", "/health")[1]["models"]
    assert [m["digest"] for m in models] == [digest]
    labels = engine.inspect(tag)["Config"]["Labels"]
    assert labels["org.opencontainers.image.revision"] == COMMIT
    assert labels["org.opencontainers.image.version"] == "1.2.3"
    assert labels["mlops.model.digest"] == digest
    assert engine.inspect(tag)["Config"]["User"] == "10001:10001"
    engine.docker("stop", "-t", "20", container.name)
    assert engine.inspect(container.name)["State"]["ExitCode"] == 0, container.log
    assert "Traceback" not in container.log


def test_it_holds_what_serving_needs_and_nothing_else(engine: Engine, image: Image) -> None:
    found = json.loads(
        engine.docker("run", "--rm", "--network", "none", *LOCKED, image(MODEL="none"), "python", "-c", LOOK).stdout
    )
    assert found["user"] == 10001
    assert found["size"] < PACKAGES_MB * 1e6
    assert not set(found["packages"]) & {
        "pip",
        "setuptools",
        "pandas",
        "scikit-learn",
        "scipy",
        "xgboost",
        "xgboost-cpu",
    }
    assert not set(found["packages"]) & {"dvc", "pyarrow", "onnx"}
    assert {"onnxruntime", "msgspec", "uvicorn"} <= set(found["packages"])
    assert not [path for path in found["app"] if path.startswith("/app/mlops/") and "train" in path]


def test_mounted_models_are_followed_and_a_broken_one_is_named(
    engine: Engine, image: Image, run: Run, versions: Versions, tmp_path: Path
) -> None:
    root = tmp_path / "models" / "production"
    container = run(image(MODEL="none"), "-v", f"{tmp_path / 'models'}:/models:ro", "-v", "/var/lib/mlops")
    assert '"model_loaded":false' in container.until("unhealthy")["Output"]
    for version in ("v1.0.0", "v2.0.0"):
        release = {"name": "churn", "version": version, "stage": "prod", "commit": COMMIT}
        place = production.install(versions[version], root, release)
        place.chmod(0o755)  # as the pipeline leaves it; pytest's folders are for one user only
        if version == "v2.0.0":
            (place / "model.onnx").write_bytes(b"no model")
        production.write_state(root, {"prod": version})
        container.until("healthy")
    deadline = time.monotonic() + PATIENCE
    while not (health := container.ask("GET", "/health")[1])["refused"]:
        assert time.monotonic() < deadline, container.log
        time.sleep(0.1)
    assert "model.onnx" in health["refused"][0]["reason"]
    assert container.ask("POST", "/predict", EXAMPLE)[1]["version"] == "v1.0.0"
    engine.docker("restart", "-t", "20", container.name)
    assert "model.onnx is not what its manifest says" in container.until("unhealthy")["Output"]


def test_a_build_without_the_right_model_ends_with_one_line(engine: Engine, context: Path, tmp_path: Path) -> None:
    folder = tmp_path / "context"
    shutil.copytree(context, folder)
    failed = engine.build(folder, "churn-test:failed", ok=False, MODEL_DIGEST="0" * 64)
    assert failed.returncode != 0
    assert "MODEL_DIGEST says 0000" in failed.stderr
    (folder / "models" / "serving" / "encoder.json").write_text("{}")
    failed = engine.build(folder, "churn-test:failed", ok=False)
    assert "error: models/serving/encoder.json is not what its manifest says" in failed.stderr
    shutil.rmtree(folder / "models" / "serving")
    failed = engine.build(folder, "churn-test:failed", ok=False)
    assert "error: models holds no model for the image; run `make` first" in failed.stderr
