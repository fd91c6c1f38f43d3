"""A Docker engine for tests: the one that runs here or one that is started for them, and a base image to build on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

BASE = "python:3.11-slim"
PATIENCE = 60
BUILD_SECONDS = 600
NEEDED = "apt-get install docker.io iptables mmdebstrap"
Done = subprocess.CompletedProcess[str]


def lacking(what: str) -> NoReturn:
    """Skip, where this is a developer's machine; fail, where it is CI's."""
    message = f"{what}; Debian, as root: {NEEDED}"
    pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)


@dataclass(frozen=True)
class Engine:
    """Where an engine listens, and the client that goes with it."""

    client: str
    environment: Mapping[str, str]

    def docker(self, *arguments: str | Path, ok: bool = True, seconds: float = PATIENCE, **environment: str) -> Done:
        """Run the client; unless told otherwise, it has to succeed."""
        done = subprocess.run(
            [self.client, *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0 or not ok, f"docker {arguments}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def build(self, context: Path, tag: str, *, ok: bool = True, **arguments: str) -> Done:
        """`docker build -f api/Dockerfile`; pip's certificate authorities are those of this machine."""
        given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
        authorities = os.environ.get("SSL_CERT_FILE")
        secret = ["--secret", f"id=ca,src={authorities}"] if authorities else []
        command = [
            "build",
            "--network",
            "host",
            "-f",
            context / "api" / "Dockerfile",
            "-t",
            tag,
            *secret,
            *given,
            context,
        ]
        return self.docker(*command, ok=ok, seconds=BUILD_SECONDS, DOCKER_BUILDKIT="1")

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine knows of a container or an image."""
        (facts,) = json.loads(self.docker("inspect", name).stdout)
        return dict(facts)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Engine]:
    """The engine that runs here, or one of our own below `folder`, which is emptied at the end."""
    client = next((c for c in ("/usr/bin/docker", shutil.which("docker")) if c and Path(c).exists()), None)
    if client is None:
        lacking("no Docker here")
    environment = {**os.environ, "DOCKER_CONFIG": str(folder / "client")}
    here = Engine(client, environment)
    if here.docker("version", ok=False).returncode == 0:
        yield here
        return
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        lacking("no Docker engine runs here, and none can be started")
    with _started(folder, client, environment) as engine:
        yield engine


@contextlib.contextmanager
def _started(folder: Path, client: str, environment: Mapping[str, str]) -> Iterator[Engine]:
    """Without a network of its own: containers share the host's, so nothing of this machine is changed."""
    address = f"unix://{folder}/docker.sock"
    command = ["dockerd", "--host", address, "--data-root", folder / "data", "--exec-root", folder / "exec"]
    command += ["--pidfile", folder / "pid", "--bridge=none", "--iptables=false", "--ip-forward=false"]
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    engine = Engine(client, {**environment, "DOCKER_HOST": address})
    try:
        deadline = time.monotonic() + PATIENCE
        while engine.docker("version", ok=False).returncode != 0:
            if daemon.poll() is not None or time.monotonic() > deadline:
                # Nothing that can be installed helps: the kernel, or a sandbox around it, forbids it.
                pytest.skip(f"dockerd does not start here ({(folder / 'log').read_text()[-300:]})")
            time.sleep(0.2)
        yield engine
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(PATIENCE)
        _unmount(folder)
        shutil.rmtree(folder / "data", ignore_errors=True)


def _unmount(folder: Path) -> None:
    """What the engine left mounted (its own network namespace), so that the folder can be removed."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in reversed([p for p in places if Path(p).is_relative_to(folder)]):
        subprocess.run(["umount", place], check=True)


def base_image(engine: Engine, folder: Path) -> None:
    """python:3.11-slim; where no registry of images is reached, a stand-in of that name from Debian's packages."""
    if engine.docker("image", "inspect", BASE, ok=False).returncode == 0:
        return
    if engine.docker("pull", BASE, ok=False, seconds=BUILD_SECONDS).returncode == 0:
        return
    if shutil.which("mmdebstrap") is None:
        lacking(f"{BASE} cannot be pulled, and mmdebstrap is not here to make a stand-in")
    sources = [p for p in map(Path, ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list")) if p.exists()]
    packages = "--include=python3,python3-pip,python3-venv,ca-certificates"
    links = 'ln -s /usr/bin/python3 "$1"/usr/local/bin/python; rm -f "$1"/usr/lib/python3.*/EXTERNALLY-MANAGED'
    command = ["mmdebstrap", "--variant=minbase", packages, f"--customize-hook={links}"]
    command += ['--aptopt=Acquire::Check-Valid-Until "false"', "bookworm", str(folder / "base.tar"), str(sources[0])]
    made = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS)
    if made.returncode != 0:
        pytest.skip(f"the stand-in for {BASE} could not be made ({made.stderr.strip()[-300:]})")
    engine.docker("import", "-c", "ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", folder / "base.tar", BASE)
    (folder / "base.tar").unlink()
