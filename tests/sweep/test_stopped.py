"""Sweeps that were stopped, and what goes on after: no trial lost, none there twice, none of somebody else's."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from mlops.experiments import filing
from mlops.sweep import study
from tests.sweep.conftest import Mlops, Project

pytestmark = pytest.mark.slow


def test_a_killed_sweep_goes_on_where_it_was(project: Project, mlops: Mlops) -> None:
    words = [sys.executable, "-m", "mlops.cli", "sweep", "--trials", "50", "--jobs", "2"]
    running = psutil.Popen(words, cwd=project.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(lambda: len(project.trials()) >= 2 or running.poll() is not None)
        running.suspend()
        workers = running.children(recursive=True)
        code, _, err = mlops("sweep", "--trials", "50")
        assert code == 1
        assert f"is running already (process {running.pid})" in err
    finally:
        running.kill()
        running.wait()
    assert not psutil.wait_procs(workers, timeout=60)[1], "they end by themselves"
    before = project.trials()
    name = next(iter(before))
    project.git.raw("update-ref", "-d", f"refs/exps/{_place(project)}/{name}")  # a person removed it: it stays away
    total = len(before) + 6
    code, _, err = mlops("sweep", "--trials", str(total))
    assert code == 0, err
    assert f" of {total} trials done, " in err
    after = project.trials()
    assert name not in after
    assert {n: r for n, r in before.items() if n != name}.items() <= after.items()
    assert len({r["number"] for r in after.values()}) == len(after)
    code, out, err = mlops("sweep", "--trials", str(total), "--json")
    assert f"{total} of {total} trials done\n" in err
    assert sum(json.loads(out)["trials"].values()) == total
    assert json.loads(out)["trials"]["finished"] == len(after) + 1
    assert project.trials() == after
    assert not list((project.folder / study.PLACE).rglob("*.new"))


def test_ctrl_c_stops_between_two_trees_and_loses_nothing(project: Project) -> None:
    words = [sys.executable, "-m", "mlops.cli", "sweep", "--trials", "500"]
    running = subprocess.Popen(words, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait(lambda: len(project.trials()) >= 2 or running.poll() is not None)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 130, err
    assert "trials are done; the same command goes on" in err
    assert "failed" not in err
    assert "baseline: params.yaml when the study began" in " ".join(out.split())


def test_anothers_trial_of_that_name_is_not_taken_for_mine(project: Project, mlops: Mlops) -> None:
    code, _, err = mlops("sweep", "--trials", "2")
    assert code == 0, err
    (name,) = (name for name in project.trials() if name.endswith("-001"))
    mine = project.trials()[name]
    ref = f"refs/exps/{_place(project)}/{name}"
    other = json.dumps(mine | {"params": mine["params"] | {"max_depth": 9}}).encode()
    for record in (other, b"[1]", b"{half"):
        shutil.rmtree(project.folder / study.PLACE)
        project.git.raw("update-ref", "-d", ref)
        filing.file(project.git, name=name, base=project.git.commit("HEAD"), changes={"sweep.json": record})
        code, out, err = mlops("sweep", "--trials", "2", "--json")
        assert code == 0, err
        found = {line["trial"]: line for line in json.loads(out)["best"]}[1]
        assert found["name"] == f"{name}-2"
        assert json.loads(project.git.contents([f"{found['commit']}:sweep.json"])[0] or b"")["params"] == mine["params"]


def _place(project: Project) -> str:
    head = project.git.commit("HEAD")
    return f"{head[:2]}/{head[2:]}"


def _wait(done: Any) -> None:
    until = time.monotonic() + 120
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_a_kill_left_between_two_writes_is_mended(project: Project, mlops: Mlops, monkeypatch: Any) -> None:
    """The trial is in the study and no experiment; or it is an experiment, and the study does not know."""
    from mlops.experiments import filing
    from mlops.sweep.study import Study

    assert mlops("sweep", "--trials", "1")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(filing, "file", _killed)
        with pytest.raises(SystemExit):
            mlops("sweep", "--trials", "2")
    assert len(project.trials()) == 1
    with monkeypatch.context() as patch:
        patch.setattr(Study, "filed", _killed)
        with pytest.raises(SystemExit):
            mlops("sweep", "--trials", "2")
    there = project.trials()
    assert len(there) == 2
    code, _, err = mlops("sweep", "--trials", "2")
    assert code == 0, err
    assert project.trials() == there


def _killed(*given: Any, **named: Any) -> None:
    raise SystemExit(9)
