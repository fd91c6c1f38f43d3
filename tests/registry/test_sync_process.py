"""`mlops sync` as a process: its exit codes, its lines, and a program beside it."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable

import pytest

from mlops import production
from tests.registry.following import assign, models
from tests.registry.repository import Bundles, Repository
from tests.registry.watching import PATIENCE, Sync

pytestmark = pytest.mark.slow


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
