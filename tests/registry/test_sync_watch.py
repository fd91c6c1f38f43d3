"""`mlops sync` as a process: followed tags, lost networks, kills, and what a look costs."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops import production
from mlops.store.model import model
from mlops.store.objects import Store
from tests.registry import servers
from tests.registry.conftest import Bundles
from tests.registry.repository import Repository
from tests.registry.test_sync import assign, models, serving, trees

pytestmark = pytest.mark.slow

PATIENCE = 60
SHIM = """#!/bin/sh
printf '%s\\n' "$*" >> '{log}'
exec '{git}' "$@"
"""


class Sync:
    """`mlops sync` in a folder, its output in files."""

    def __init__(self, folder: Path, *words: str, path: Path | None = None) -> None:
        self.out, self.err = folder / "sync.out", folder / "sync.err"
        env = {**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"} if path else None
        command = [sys.executable, "-m", "mlops.cli", "sync", *words]
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=err)

    def until(self, what: Callable[[], Any]) -> Any:
        """Wait for something to be true while the process runs; returns it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := what():
                return found
            assert self.process.poll() is None, self.err.read_text()
            time.sleep(0.02)
        raise AssertionError(f"it did not come; {self.out.read_text()}\n{self.err.read_text()}")

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def start() -> Iterator[Callable[..., Sync]]:
    started: list[Sync] = []

    def run(folder: Path, *words: str, path: Path | None = None) -> Sync:
        started.append(Sync(folder, *words, path=path))
        return started[-1]

    yield run
    for sync in started:
        if sync.process.poll() is None:
            sync.process.kill()
            sync.process.wait(PATIENCE)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """An empty folder of a machine that serves."""
    (tmp_path / "host").mkdir()
    return tmp_path / "host"


def versions(repository: Repository, bundles: Bundles, count: int) -> list[str]:
    """Commits v1.0.0, v2.0.0 … whose models are in remote storage."""
    repository.remote(repository.folder.with_name("storage"))
    made = [repository.version(bundles[f"v{number}"]) for number in range(1, count + 1)]
    Store(repository.folder).push([model(repository.git, commit, "churn").out for commit in made])
    return made


def served(host: Path, version: str) -> bool:
    state = production.read_state(host / "models" / "production")
    return state is not None and state.stages.get("prod") == version


def test_watching_follows_and_ends(
    repository: Repository, bundles: Bundles, host: Path, start: Callable[..., Sync]
) -> None:
    first, second = versions(repository, bundles, 2)
    assign(repository, "v1.0.0", first, "prod")
    away = repository.bare()
    sync = start(host, "--from", str(away), "--watch", "0.2", "--json")
    sync.until(lambda: served(host, "v1.0.0"))

    assign(repository, "v2.0.0", second, "prod")
    repository.push()
    sync.until(lambda: served(host, "v2.0.0"))
    assert trees(host / "models" / "production") == 20

    away.rename(away.with_name("gone"))
    sync.until(lambda: "cannot be reached" in sync.err.read_text())
    time.sleep(1)
    assert sync.err.read_text().count("cannot be reached") == 1, "told once, tried again"
    away.with_name("gone").rename(away)
    assign(repository, "v1.0.0", first, "prod")
    repository.push()
    sync.until(lambda: served(host, "v1.0.0"))

    assert sync.end() == 0
    told = [json.loads(line) for line in sync.out.read_text().splitlines()]
    assert [r["stages"]["prod"]["version"] for r in told if r["changed"]] == ["v1.0.0", "v2.0.0", "v1.0.0"]
    assert len(told) <= 4, "once more, perhaps, that the network is back"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_in_good_order(
    repository: Repository, host: Path, start: Callable[..., Sync], number: int
) -> None:
    away = repository.bare()
    sync = start(host, "--from", str(away), "--watch", "30")
    sync.until(lambda: "Nothing is promoted" in sync.out.read_text())
    assert sync.end(number) == 0
    assert sync.err.read_text() == ""


def test_a_look_is_one_ls_remote(
    repository: Repository, bundles: Bundles, host: Path, start: Callable[..., Sync], tmp_path: Path
) -> None:
    (commit,) = versions(repository, bundles, 1)
    assign(repository, "v1.0.0", commit, "prod")
    log, path, git = tmp_path / "git.log", tmp_path / "bin", shutil.which("git")
    path.mkdir()
    (path / "git").write_text(SHIM.format(log=log, git=git))
    (path / "git").chmod(0o755)
    sync = start(host, "--from", str(repository.bare()), "--watch", "0.1", path=path)
    sync.until(lambda: served(host, "v1.0.0"))
    sync.until(lambda: [line.split()[2] for line in log.read_text().splitlines()[-3:]] == ["ls-remote"] * 3)
    before = log.read_text().splitlines()
    looks = sync.until(lambda: len(now := log.read_text().splitlines()) > len(before) + 4 and now[len(before) :])
    assert sync.end() == 0
    verbs = {line.split()[2] for line in looks}
    assert verbs == {"ls-remote"}


def test_a_model_that_comes_later_is_waited_for(
    repository: Repository, bundles: Bundles, host: Path, start: Callable[..., Sync]
) -> None:
    """The tag may be there before `dvc push` has ended."""
    (commit,) = versions(repository, bundles, 1)
    storage = repository.folder.with_name("storage")
    storage.rename(storage.with_name("later"))
    assign(repository, "v1.0.0", commit, "prod")
    sync = start(host, "--from", str(repository.bare()), "--watch", "0.2")
    sync.until(lambda: "is not there" in sync.err.read_text())
    time.sleep(1)
    assert len(sync.err.read_text().splitlines()) == 1
    storage.with_name("later").rename(storage)
    sync.until(lambda: served(host, "v1.0.0"))
    assert sync.end() == 0


def test_killed_at_any_moment(
    repository: Repository, bundles: Bundles, tmp_path: Path, start: Callable[..., Sync]
) -> None:
    """Whatever is named can be served; the next run ends what the killed one began, and cleans up behind it."""
    first, second = versions(repository, bundles, 2)
    assign(repository, "v1.0.0", first, "prod", "shadow")
    away, chance = str(repository.bare()), random.Random(4)
    (tmp_path / "before").mkdir()
    assert start(tmp_path / "before", "--from", away).process.wait(PATIENCE) == 0
    assign(repository, "v2.0.0", second, "prod", "shadow")
    repository.push()
    for turn in range(6):
        host = shutil.copytree(tmp_path / "before", tmp_path / f"host{turn}")
        root = host / "models" / "production"
        sync = start(host, "--from", away)
        while sync.process.poll() is None and not list(root.glob(".fetch-*")):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.08))
        sync.process.kill()
        sync.process.wait(PATIENCE)
        assert set(serving(root).values()) in ({"v1.0.0"}, {"v2.0.0"}), "state.json changes once, for both"

        done = start(host, "--from", away)
        assert done.process.wait(PATIENCE) == 0, done.err.read_text()
        assert serving(root) == {"prod": "v2.0.0", "shadow": "v2.0.0"}
        assert not [path for path in root.rglob(".*") if path.name.endswith((".new", ".old")) or "fetch" in path.name]


def test_a_model_from_s3(
    repository: Repository, bundles: Bundles, host: Path, tmp_path: Path, start: Callable[..., Sync]
) -> None:
    """The way of a team: tags from a Git server, the model from object storage, no clone on the machine that serves."""
    with servers.s3(tmp_path) as s3:
        repository.remote("s3://store/versions", **s3.settings())
        commit = repository.version(bundles["v2"])
        Store(repository.folder).push([model(repository.git, commit, "churn").out])
        assign(repository, "v1.0.0", commit, "prod")
        done = start(host, "--from", str(repository.bare()))
        assert done.process.wait(PATIENCE) == 0, done.err.read_text()
    assert trees(host / "models" / "production") == 20
    assert done.out.read_text() == "prod      v1.0.0  churn#prod#1, was nothing\n"


def test_a_failure_is_one_line_and_the_exit_code(
    repository: Repository, bundles: Bundles, start: Callable[..., Sync]
) -> None:
    assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod")
    shutil.rmtree(repository.cache)
    done = start(repository.folder)
    assert done.process.wait(PATIENCE) == 1
    (line,) = done.err.read_text().splitlines()
    assert line.startswith("error: prod: models/serving (md5 ")
    assert not (models(repository) / "state.json").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--watch", "0"), "error: --watch 0: seconds between two looks are needed, at least 0.1"),
        (("--stages", "prd"), "error: there is no stage 'prd'; did you mean prod?"),
        (("--keep", "-1"), "error: --keep -1: a number from 0 on is needed"),
        (("--from", "nowhere"), "error: nowhere cannot be reached"),
    ],
)
def test_what_cannot_be_is_one_line(
    repository: Repository, start: Callable[..., Sync], words: tuple[str, ...], said: str
) -> None:
    done = start(repository.folder, *words)
    assert done.process.wait(PATIENCE) == 1
    (line,) = done.err.read_text().splitlines()
    assert line.startswith(said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_beside_ends_with_it(
    repository: Repository, bundles: Bundles, start: Callable[..., Sync], number: int
) -> None:
    """As `make serve` runs the service: one signal ends both."""
    commit = repository.version(bundles["v1"])
    assign(repository, "v1.0.0", commit, "prod")
    program = "import pathlib, time; pathlib.Path('started').touch(); time.sleep(600)"
    sync = start(repository.folder, "--watch", "0.2", "--run", sys.executable, "-c", program)
    sync.until(lambda: production.read_state(models(repository)) and (repository.folder / "started").exists())
    assert sync.end(number) == 0


def test_it_ends_with_the_program_beside(repository: Repository, start: Callable[..., Sync]) -> None:
    sync = start(repository.folder, "--watch", "30", "--run", sys.executable, "-c", "raise SystemExit(7)")
    assert sync.process.wait(PATIENCE) == 7
    lost = start(repository.folder, "--run", "no-such-program")
    assert lost.process.wait(PATIENCE) == 1
    assert "--run no-such-program" in lost.err.read_text()


def test_rules_that_change_are_followed_at_once(
    repository: Repository, bundles: Bundles, start: Callable[..., Sync]
) -> None:
    """policy.yaml decides which tags count, and which stages: a look sees it change."""
    first, second = versions(repository, bundles, 2)
    verdict = {"verdict": "better"}
    assign(repository, "v1.0.0", first, "prod", verdict=verdict)
    assign(repository, "v2.0.0", second, "prod", "canary")
    policy = (repository.folder / "policy.yaml").read_text()
    few = policy.replace("stages: [dev, staging, prod, canary, shadow]", "stages: [prod]")
    assert few != policy
    repository.write("policy.yaml", few)
    sync = start(repository.folder, "--watch", "0.2")
    sync.until(lambda: served(repository.folder, "v2.0.0"))
    assert "canary" not in serving(models(repository))

    repository.write("policy.yaml", policy)
    sync.until(lambda: serving(models(repository)).get("canary") == "v2.0.0")
    repository.write("policy.yaml", policy.replace("require_verdict: false", "require_verdict: true"))
    sync.until(lambda: served(repository.folder, "v1.0.0"))
    assert sync.end() == 0


def test_the_file_of_signers_is_looked_at(
    repository: Repository, bundles: Bundles, start: Callable[..., Sync], keys: Callable[[str], Path]
) -> None:
    commits, ada, eve = versions(repository, bundles, 2), keys("ada"), keys("eve")
    for number, (commit, key) in enumerate(zip(commits, (ada, eve), strict=True), 1):
        words = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}", "tag", "--sign", "--message=x")
        for name in (f"churn@v{number}.0.0", f"churn#prod#{number}"):
            repository.git.raw(*words, name, commit)
    policy = (repository.folder / "policy.yaml").read_text()
    repository.write("policy.yaml", policy.replace("allowed_signers: null", "allowed_signers: signers"))
    lines = [
        f'{name}@example.org namespaces="git" {key.with_suffix(".pub").read_text()}'
        for name, key in (("ada", ada), ("eve", eve))
    ]
    repository.write("signers", "".join(lines))
    sync = start(repository.folder, "--watch", "0.2")
    sync.until(lambda: served(repository.folder, "v2.0.0"))
    repository.write("signers", lines[0])
    sync.until(lambda: served(repository.folder, "v1.0.0"))
    assert sync.end() == 0


def test_what_somebody_removes_comes_back(
    repository: Repository, bundles: Bundles, host: Path, start: Callable[..., Sync]
) -> None:
    (commit,) = versions(repository, bundles, 1)
    assign(repository, "v1.0.0", commit, "prod")
    sync = start(host, "--from", str(repository.bare()), "--watch", "0.2")
    root = host / "models" / "production"
    sync.until(lambda: served(host, "v1.0.0"))
    place = root / "prod" / "v1.0.0"
    for lose in (
        lambda: shutil.rmtree(root / "prod"),
        lambda: (root / "state.json").unlink(),
        lambda: (place / "model.onnx").unlink(),
        lambda: root.rename(host / "elsewhere"),
    ):
        lose()
        sync.until(lambda: served(host, "v1.0.0") and (place / "model.onnx").exists())
        assert serving(root) == {"prod": "v1.0.0"}
    sync.until(lambda: "v1.0.0 was gone and is replaced" in sync.err.read_text())
    assert sync.end() == 0
