"""What is known of the workers' processes, and which folder a server's workers share."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from api.metrics import Meters, folder, process, run_folder
from mlops.errors import MlopsError
from tests.unit.test_metrics_service import samples, value
from tests.unit.test_metrics_service_folder import closed


def test_what_the_process_uses() -> None:
    used = process.usage(os.getpid())
    assert used is not None
    spent = time.process_time()
    assert abs(used.cpu_seconds - spent) < 0.5
    assert used.resident_bytes is not None
    assert 10e6 < used.resident_bytes < 20e9
    with tempfile.TemporaryFile():
        more = process.usage(os.getpid())
    assert more is not None
    assert used.open_files is not None
    assert more.open_files == used.open_files + 1


def test_when_the_process_began() -> None:
    before = time.time()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = process.began(child.pid)
    child.communicate()
    assert before - 0.1 <= began <= time.time() + 0.1  # it is counted in ticks of 0.01 s


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = process.start_of(child.pid)
    assert process.alive(child.pid, start)
    assert not process.alive(child.pid, start + 1)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet reaped
    assert not process.alive(child.pid, start)
    child.communicate()
    assert not process.alive(child.pid, start)
    assert process.usage(child.pid) is None


def test_without_proc_only_this_process_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "PROC", tmp_path / "none")
    used = process.usage(os.getpid())
    assert used is not None
    assert used.cpu_seconds > 0
    assert used.resident_bytes is None
    assert process.usage(os.getppid()) is None
    assert process.start_of(os.getpid()) == 0
    assert process.alive(os.getpid(), 0)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not process.alive(child.pid, 0)
    meters = Meters(tmp_path, 1)
    meters.counter("churn_log_written_total").add()
    shown = samples(meters)
    assert shown["process_cpu_seconds_total", (("worker", "1"),)] > 0
    assert shown["churn_log_written_total", ()] == 1
    assert ("process_resident_memory_bytes", (("worker", "1"),)) not in shown


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the service's own folders are made in."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"mlops-api-{os.getuid()}"


def test_the_folder_is_the_servers(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run_folder(None)
    assert made == temporary / str(os.getpid())
    assert made.stat().st_mode & 0o777 == temporary.stat().st_mode & 0o777 == 0o700
    (made / "kept").touch()
    assert run_folder(None) == made
    assert (made / "kept").exists(), "a second worker of the same server joins"
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: SimpleNamespace(pid=os.getppid()))
    assert run_folder("") == temporary / str(os.getppid())


def test_folders_of_servers_that_are_gone_are_removed(temporary: Path) -> None:
    run_folder(None)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid, start in ((dead.pid, "5"), (1, "999999999999"), (os.getppid(), None)):
        (temporary / str(pid)).mkdir()
        if start:
            (temporary / str(pid) / folder.SERVER).write_text(start)
    orphan = temporary / str(2**22 + 1)
    orphan.mkdir()
    closed(orphan, 1)  # its server is gone, but a worker (this process) is there yet
    other = temporary / str(os.getppid())
    (other / folder.SERVER).write_text(str(process.start_of(os.getppid())))
    (temporary / "notes").mkdir()
    run_folder(None)
    kept = {f.name for f in temporary.iterdir() if f.is_dir()}
    assert kept == {str(os.getpid()), str(os.getppid()), orphan.name, "notes"}


def test_an_earlier_server_with_the_same_process_id_leaves_nothing(temporary: Path) -> None:
    made = run_folder(None)
    closed(made, 1)
    (made / folder.SERVER).write_text(str(process.start_of(os.getpid()) - 1))
    assert {f.name for f in run_folder(None).iterdir()} == {folder.SERVER}


def test_a_folder_that_was_asked_for_is_made_and_never_emptied(tmp_path: Path) -> None:
    asked = tmp_path / "a" / "b"
    assert run_folder(str(asked)) == asked
    assert asked.stat().st_mode & 0o777 == 0o700
    closed(asked, 1)
    assert run_folder(str(asked)) == asked
    assert value(Meters(asked, 2), "churn_log_written_total") == 1


def _other_user(path: Path, patch: pytest.MonkeyPatch) -> None:
    path.mkdir()
    mine = os.getuid()
    patch.setattr(os, "getuid", lambda: mine + 1)


def _a_file(path: Path, patch: pytest.MonkeyPatch) -> None:
    path.touch()


def _read_only(path: Path, patch: pytest.MonkeyPatch) -> None:
    path.mkdir(mode=0o500)
    allowed = os.access  # root may write anywhere; asked as others are
    patch.setattr(os, "access", lambda p, mode: allowed(p, mode) and bool(os.stat(p).st_mode & 0o200))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(_other_user, "belongs to another user"), (_a_file, "File exists"), (_read_only, "cannot be written to")],
)
def test_a_folder_of_no_use_is_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path, pytest.MonkeyPatch], None],
    said: str,
) -> None:
    asked = tmp_path / "asked"
    spoil(asked, monkeypatch)
    with pytest.raises(MlopsError, match=said) as refused:
        run_folder(str(asked))
    assert "MLOPS_RUN_DIR" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_link_that_another_user_could_have_laid_is_refused(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    temporary.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MlopsError, match="belongs to another user"):
        run_folder(None)
