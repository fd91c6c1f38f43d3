"""Offline runs of Weights & Biases, read back out of the files that `wandb sync` sends."""

from __future__ import annotations

import importlib
import json
import math
import shutil
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops import cli
from mlops.export.into_wandb import WHOLE, identity
from mlops.store import model
from mlops.store.objects import Store
from tests.export.conftest import ALL, MANY, STEPS, refs
from tests.registry.repository import Repository

pytestmark = pytest.mark.slow

BLOCK, HEADER = 32768, struct.Struct("<IHB")
FULL, LAST = 1, 4


def records(path: Path) -> Iterator[Any]:
    """The records of a run's file, which is a log of LevelDB's form: blocks of pieces, each a protobuf message."""
    content, at, pieces = path.read_bytes(), 7, b""
    assert content[:4] == b":W&B"
    kind = importlib.import_module("wandb.proto.wandb_internal_pb2").Record
    while at + HEADER.size <= len(content):
        if BLOCK - at % BLOCK < HEADER.size:
            at += BLOCK - at % BLOCK
            continue
        _, length, piece = HEADER.unpack_from(content, at)
        pieces += content[at + HEADER.size : at + HEADER.size + length]
        at += HEADER.size + length
        if piece in (FULL, LAST):
            yield kind.FromString(pieces)
            pieces = b""


class Offline:
    """A run as its file has it."""

    def __init__(self, path: Path) -> None:
        self.summary: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.artifacts: dict[str, Any] = {}
        self.code: int | None = None
        for record in records(path):
            word = record.WhichOneof("record_type")
            if word == "run":
                self.run = record.run
            elif word == "summary":
                self.summary |= {_key(u): json.loads(u.value_json) for u in record.summary.update}
            elif word == "history":
                self.history.append({_key(item): json.loads(item.value_json) for item in record.history.item})
            elif word == "artifact":
                self.artifacts[record.artifact.type] = record.artifact
            elif word == "exit":
                self.code = record.exit.exit_code
        self.config = {u.key: json.loads(u.value_json) for u in self.run.config.update}

    def files(self, kind: str) -> dict[str, bytes]:
        """Name → content, of what lies ready to be sent."""
        return {e.path: Path(e.local_path).read_bytes() for e in self.artifacts[kind].manifest.contents}


def _key(entry: Any) -> str:
    return entry.key or ".".join(entry.nested_key)


def export(repository: Repository, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert cli.main(["export", "wandb", "--json", *words]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


def runs(folder: Path) -> dict[str, Offline]:
    """Display name → run; no run lies there twice."""
    found = [Offline(path) for path in folder.glob("wandb/offline-run-*/*.wandb")]
    named = {each.run.display_name: each for each in found}
    assert len(named) == len(found)
    return named


def test_runs_hold_what_the_commits_hold(
    made: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing asks a network; what was ended half way is written again; a second export writes nothing."""
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **_: asked.append(given))
    monkeypatch.chdir(made.folder)
    commits, head = refs(made), made.git.commit("HEAD")
    done = export(made, capsys)
    assert set(done["new"]) == {*ALL, f"main {head[:8]}"}
    place = made.folder / ".dvc/tmp/wandb"
    found = runs(place)
    assert not [given for given in asked if given[0] not in ("localhost", "127.0.0.1")]
    _check(made, found, commits)
    assert export(made, capsys)["new"] == []
    (half,) = (place / "wandb").glob(f"offline-run-*-{identity(commits['deeper'])}")
    (half / WHOLE).unlink()
    (whole,) = (place / "wandb").glob(f"offline-run-*-{identity(commits['odd'])}")
    shutil.rmtree(whole)
    again = export(made, capsys)
    assert (set(again["new"]), again["there"]) == ({"deeper", "odd"}, len(found) - 2)
    assert runs(place).keys() == found.keys()
    assert made.git.text("status", "--porcelain") == ""


def _check(made: Repository, found: dict[str, Offline], commits: dict[str, str]) -> None:
    deeper, broken, pipeline = found["deeper"], found["broken"], found["pipe-0"]
    measured = json.loads(made.git.text("show", f"{commits['deeper']}:metrics/evaluate/metrics.json"))
    assert {name: deeper.summary[name] for name in measured} == measured
    assert [row["loss"] for row in deeper.history] == [1 / (step + 1) for step in STEPS]
    assert [row["_step"] for row in pipeline.history] == list(STEPS)
    assert math.isclose(pipeline.history[-1]["validation/log_loss"], 1 / len(STEPS))
    assert (deeper.run.run_id, deeper.run.notes) == (identity(commits["deeper"]), "more depth, more trees")
    assert (deeper.run.project, set(deeper.run.tags)) == ("churn", {"notebook", "experiment", "finished"})
    assert deeper.config["mlops"]["commit"] == commits["deeper"]
    assert (deeper.config["n_estimators"], deeper.config["mine"]) == (200, 7)
    assert {key: found["odd"].config[key] for key in MANY} == MANY
    assert (broken.code, deeper.code) == (1, 0)
    assert broken.config["mlops"]["error"] == "ZeroDivisionError: division by zero"
    out, store = model.model(made.git, commits["deeper"], "churn").out, Store(made.folder)
    assert deeper.files("model") == {n: store.file(md5).read_bytes() for n, md5 in store.listing(out).items()}
    assert deeper.files("files")["metrics/notebook/texts/why? because #1"] == b"of the weather\n"
    assert deeper.files("files")["artifacts/policy.yaml"] == (made.folder / "policy.yaml").read_bytes()
    assert found["trial-1"].artifacts.keys() == {"files"}


def test_a_mode_that_writes_nothing_is_refused(
    made: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert cli.main(["export", "wandb"]) == 1
    assert capsys.readouterr().err == (
        "error: WANDB_MODE=disabled would write nothing; unset it, or set it to offline or online\n"
    )
