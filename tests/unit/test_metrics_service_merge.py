"""Dead workers' counts are merged into one file: none is lost and none is counted twice, whatever happens meanwhile."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from api.metrics import Meters, merge
from tests.unit.test_metrics_service import fill, samples, value
from tests.unit.test_metrics_service_folder import closed


def test_the_folder_does_not_grow_in_a_crash_loop(tmp_path: Path) -> None:
    for i in range(60):
        closed(tmp_path, i)
    meters = Meters(tmp_path, 99)
    assert len(list(tmp_path.iterdir())) <= 2 * (merge.MOST_DEAD + 2) + 2
    assert value(meters, "churn_log_written_total") == 60
    assert value(meters, "churn_http_request_seconds_count", route="a") == 60
    merged = merge.Merged.of(merge.merged_bytes(tmp_path))
    assert len(merged.workers) <= merge.MOST_DEAD + 1, "names of files that are gone are forgotten"


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("step", ["before", "replace", 0, 1, 7, 17])
def test_a_merge_that_is_killed_loses_nothing_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str | int
) -> None:
    for i in range(merge.MOST_DEAD):
        closed(tmp_path, i)
    reader = Meters(tmp_path, 98)
    closed(tmp_path, 97)

    def killed(*given: object, **named: object) -> None:
        raise Killed

    def unlink(path: Path, missing_ok: bool = False) -> None:
        deleted.append(path)
        if len(deleted) > int(step):
            raise Killed
        os.unlink(path)

    deleted: list[Path] = []
    with monkeypatch.context() as patch:
        if step == "before":
            patch.setattr(os, "replace", killed)
        elif step == "replace":
            patch.setattr(merge, "_remove", killed)
        else:
            patch.setattr(Path, "unlink", unlink)
        with pytest.raises(Killed):
            Meters(tmp_path, 99)
        assert value(reader, "churn_log_written_total") == merge.MOST_DEAD + 1
    for i in range(2 * merge.MOST_DEAD):
        closed(tmp_path, i)
        assert value(reader, "churn_log_written_total") == merge.MOST_DEAD + 2 + i
    assert len(list(tmp_path.glob("*.index"))) <= merge.MOST_DEAD + 3


def test_whoever_reads_during_merges_sees_every_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "MOST_DEAD", 1)
    reader = Meters(tmp_path, 99)
    done, low, seen = threading.Event(), 0, []

    def restart() -> None:
        nonlocal low
        for i in range(80):
            closed(tmp_path, i)
            low = i + 1
        done.set()

    thread = threading.Thread(target=restart)
    thread.start()
    while not done.is_set():
        least = low
        found = value(reader, "churn_log_written_total") or 0
        assert least <= found <= low + 1
        seen.append(found)
    thread.join()
    assert seen == sorted(seen)
    assert value(reader, "churn_log_written_total") == 80


def test_one_process_merges_and_others_do_not_wait(tmp_path: Path) -> None:
    for i in range(merge.MOST_DEAD + 3):
        closed(tmp_path, i)
    files = len(list(tmp_path.iterdir()))
    with merge.locked(tmp_path, wait=False) as ours:
        assert ours
        meters = Meters(tmp_path, 99)
        assert len(list(tmp_path.iterdir())) == files + 2
    assert value(meters, "churn_log_written_total") == merge.MOST_DEAD + 3


def test_a_merge_on_a_full_disk_is_left_to_a_later_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(merge.MOST_DEAD + 1):
        closed(tmp_path, i)

    def full(path: Path, content: str, encoding: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        first = Meters(tmp_path, 98)
    assert value(first, "churn_log_written_total") == merge.MOST_DEAD + 1
    assert not (tmp_path / merge.MERGED).exists()
    assert value(Meters(tmp_path, 99), "churn_log_written_total") == merge.MOST_DEAD + 1
    assert (tmp_path / merge.MERGED).exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"workers": 3}', b'{"series": [[], 1, null, [["x"]]]}'])
def test_a_damaged_merged_file_is_not_fatal(tmp_path: Path, content: bytes) -> None:
    closed(tmp_path, 1)
    (tmp_path / merge.MERGED).write_bytes(content)
    assert value(Meters(tmp_path, 2), "churn_log_written_total") == 1


def test_merged_files_keep_what_is_counted_and_forget_families_of_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "MOST_DEAD", 0)
    meters = Meters(tmp_path, 1)
    fill(meters)
    before = {k: v for k, v in samples(meters).items() if k[0].endswith(("_total", "_bucket", "_sum", "_count"))}
    meters.close()
    after = Meters(tmp_path, 2)
    shown = samples(after)
    counts = {k: v for k, v in before.items() if not k[0].startswith("process_")}
    assert {k: shown[k] for k in counts} == counts
    assert not any(name == "churn_in_flight" for name, _ in shown)
    document = (tmp_path / merge.MERGED).read_text()
    (tmp_path / merge.MERGED).write_text(document.replace("churn_log_errors_total", "churn_old_total"))
    left = samples(after)
    assert ("churn_log_errors_total", ()) not in left
    assert left["churn_log_written_total", ()] == 6
