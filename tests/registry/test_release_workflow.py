"""The release workflow's own commands, run in their order in fresh clones, from a pushed tag to a pushed image."""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops import policy, production
from tests.e2e.conftest import ROOT, Workspace, clone
from tests.registry.repository import Repository
from tests.registry.workflow import Runner, Workflow
from tests.service.engine import PATIENCE, Engine, base_image, lacking, running
from tests.service.server import free_port

TAG, WORKFLOW = "churn#prod#1", Workflow("release.yml")
NAME = "Acme/Churn-Models"
BUILDING = ("Build", "Push")


def test_the_workflow_is_valid_and_safe() -> None:
    files = sorted(str(p) for p in WORKFLOW.path.parent.glob("*.yml"))
    tools = (
        "check-jsonschema --builtin-schema vendor.github-workflows",
        "actionlint -shellcheck= -pyflakes=",
        "zizmor --offline --quiet",
    )
    for tool in tools:
        name, *words = [*tool.split(), *files]
        done = subprocess.run([Path(sys.executable).parent / name, *words], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_actions_are_pinned_and_runs_are_single_commands_of_ours() -> None:
    for step in WORKFLOW.steps():
        if "uses" in step:
            line = next(line for line in WORKFLOW.text.splitlines() if step["uses"] in line)
            assert re.fullmatch(r"\s+- uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
        else:
            assert re.fullmatch(r"(make|\.venv/bin/mlops) [^|&;\n{}]+", step["run"]), step["run"]
            targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
            assert step["run"].split()[0] != "make" or step["run"].split()[1] in targets


def test_rights_are_read_only_but_where_the_image_is_pushed() -> None:
    document = WORKFLOW.document
    assert document["permissions"] == {"contents": "read"}
    jobs = document["jobs"]
    assert [name for name, job in jobs.items() if "permissions" in job] == ["image"]
    assert jobs["image"]["permissions"] == dict.fromkeys(("packages", "id-token", "attestations"), "write") | {
        "contents": "read"
    }
    assert all(int(job["timeout-minutes"]) <= 60 for job in jobs.values())
    for step in WORKFLOW.steps():
        if "checkout" in step.get("uses", ""):
            assert (step["with"]["persist-credentials"], step["with"]["fetch-depth"]) == ("false", "0")


def test_the_pushed_names_are_those_of_the_policy() -> None:
    rules = policy.load(ROOT / policy.PATH)
    assert WORKFLOW.document["on"]["push"]["tags"] == [f"{rules.registry.name}#{rules.promotion.stage}#*"]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository with a version that a small pipeline made and that was promoted; it has no DVC remote."""
    base = tmp_path_factory.mktemp("origin")
    work = Workspace(base / "work", base / "home")
    work.folder.mkdir()
    clone(work.folder)
    work.small()
    work.run("dvc repro --quiet && git add -A && git commit -qm 'run on a small table'")
    work.run(f"git init -q --bare -b main {base}/origin.git && git remote add origin {base}/origin.git")
    work.run("git push -q origin main && mlops promote")
    return base / "origin.git"


def runner_of(origin: Path, folder: Path) -> Runner:
    """A runner for the tag's push."""
    commit = Repository(origin).git.commit(TAG)
    github = {"ref_name": TAG, "sha": commit, "repository": NAME, "server_url": "https://github.com"}
    return Runner(WORKFLOW, origin, folder, {"github": github}, GITHUB_REPOSITORY=NAME)


@pytest.fixture(scope="module")
def released(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """All commands up to the building of the image have run."""
    runner = runner_of(origin, tmp_path_factory.mktemp("released"))
    runner.job("resolve")
    assert "same bytes" in runner.job("verify")[-1].stdout
    runner.job("image", without=BUILDING)
    return runner


@pytest.mark.slow
def test_the_workflows_commands_lead_from_the_tag_to_the_model(released: Runner) -> None:
    outputs = released.contexts["needs"]["resolve"]["outputs"]
    assert outputs["version"] == "v1.0.0"
    assert outputs["reference"] == "ghcr.io/acme/churn-models:v1.0.0-prod.1"
    state = production.read_state(released.clone("image") / "models" / "production")
    assert state is not None
    assert state.stages == {"prod": "v1.0.0"}


@pytest.mark.slow
def test_a_tag_that_was_overtaken_ends_the_first_job(origin: Path, tmp_path: Path) -> None:
    fork = tmp_path / "fork.git"
    shutil.copytree(origin, fork)
    runner = runner_of(fork, tmp_path)
    Repository(fork).tag("churn#prod#2", "main~1")
    (setup, resolved) = runner.job("resolve", ok=False)
    assert setup.returncode == 0
    assert resolved.returncode == 1
    assert re.fullmatch(r"error: tag churn#prod#1 is over: .*\n", resolved.stderr)
    runner.contexts["inputs"] = {"tag": "churn#prod#2"}  # as a person starts it, on any branch
    runner.job("resolve")
    assert runner.contexts["needs"]["resolve"]["outputs"]["commit"] == Repository(fork).git.commit("main~1")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    with running(folder) as found:
        base_image(found, folder)
        yield found


@pytest.fixture
def images(tmp_path: Path) -> Iterator[str]:
    """A registry of images; its address."""
    if shutil.which("docker-registry") is None:
        lacking("no docker-registry here (Debian: docker-registry)")
    port = free_port()
    storage = {"filesystem": {"rootdirectory": str(tmp_path / "registry")}}
    config = tmp_path / "registry.yml"
    config.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": f"127.0.0.1:{port}"}}))
    with (tmp_path / "registry.log").open("wb") as log:
        server = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + PATIENCE
        while _manifest(f"127.0.0.1:{port}", "") is None:
            assert server.poll() is None, (tmp_path / "registry.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _manifest(address: str, path: str) -> str | None:
    """The digest of what a registry has at a path, empty for none; None when nothing answers."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    kinds = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    with contextlib.closing(connection):
        try:
            connection.request("HEAD", f"/v2/{path}", headers={"Accept": kinds})
            return connection.getresponse().headers.get("Docker-Content-Digest", "")
        except OSError:
            return None


def _client(engine: Engine, folder: Path) -> dict[str, str]:
    """Variables by which `docker` is this engine's client, which builds with this machine's network and authorities."""
    folder.mkdir()
    authorities = os.environ.get("SSL_CERT_FILE")
    own = ["--network", "host", *(["--secret", f"id=ca,src={authorities}"] if authorities else [])]
    shift = f'[ "$1" != build ] || {{ shift; set -- build {" ".join(own)} "$@"; }}'
    (folder / "docker").write_text(f'#!/bin/sh\n{shift}\nexec {engine.client} "$@"\n')
    (folder / "docker").chmod(0o755)
    kept = {k: v for k, v in engine.environment.items() if k.startswith("DOCKER_")}
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**kept, "PATH": path}


@pytest.mark.slow
@pytest.mark.container
def test_the_image_is_built_pushed_and_named_by_its_digest(
    engine: Engine, images: str, released: Runner, tmp_path: Path
) -> None:
    runner = copy.deepcopy(released)
    runner.variables |= _client(engine, tmp_path / "bin")
    outputs = runner.contexts["needs"]["resolve"]["outputs"]
    outputs |= {key: outputs[key].replace("ghcr.io", images) for key in ("image", "reference")}
    try:
        for step in (s for s in WORKFLOW.steps("image") if s.get("name") in BUILDING):
            done = runner.step("image", step)
            assert done.returncode == 0, done.stdout + done.stderr
        labels = engine.inspect(outputs["reference"])["Config"]["Labels"]
    finally:
        engine.docker("image", "rm", "-f", outputs["reference"], ok=False)
    digest = runner.contexts["steps"]["push"]["outputs"]["digest"]
    assert digest == _manifest(images, "acme/churn-models/manifests/v1.0.0-prod.1")
    assert f"api={outputs['image']}@{digest}" in done.stdout
    assert digest in runner.summary.read_text()
    assert labels["org.opencontainers.image.revision"] == runner.contexts["github"]["sha"]
    assert labels["org.opencontainers.image.version"] == "v1.0.0"
    assert labels["org.opencontainers.image.source"] == f"https://github.com/{NAME}"
    model = runner.clone("image") / "models" / "production" / "prod" / "v1.0.0"
    assert labels["mlops.model.digest"] == production.manifest_digest(model)


@pytest.mark.parametrize("image", ["", "churn", "ghcr.io/acme/churn", "127.0.0.1:5000/churn", "a/b@sha256:00"])
def test_only_an_image_with_registry_and_tag_is_pushed(image: str, tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho pushed\n")
    docker.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([ROOT / ".ci" / "push", image], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: '{image}' is no image")
