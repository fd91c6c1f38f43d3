"""`mlops sync` as a process: followed tags, lost networks, kills, and what a look costs."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops.store.model import model
from mlops.store.objects import Store
from tests.registry import servers
from tests.registry.following import assign, models, serving, trees
from tests.registry.repository import Bundles, Repository
from tests.registry.watching import PATIENCE, SHIM, Sync, served, versions

pytestmark = pytest.mark.slow


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
