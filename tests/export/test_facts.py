"""What is exported and under which names, without any tracker's server."""

from __future__ import annotations

import importlib
import json
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops import cli
from mlops.errors import ExperimentError
from mlops.export import choose, names, server
from mlops.export.facts import Facts
from mlops.git import Git
from mlops.policy import load
from mlops.registry.look import Registry
from tests.export.conftest import ALL, refs, rows
from tests.registry.repository import Repository
from tests.service.server import free_port


def registry(repository: Repository) -> Registry:
    return Registry(repository.git, load(repository.folder / "policy.yaml"))


@pytest.mark.slow
@given(st.dictionaries(st.text(max_size=300), st.integers(), max_size=8))
def test_every_name_becomes_one_that_mlflow_takes(values: dict[str, int]) -> None:
    validation = importlib.import_module("mlflow.utils.validation")
    found, changed = names.named(values)
    assert sorted(found.values()) == sorted(values.values())
    for name in found:
        validation._validate_param_name(name)
        validation._validate_length_limit("name", validation.MAX_ENTITY_KEY_LENGTH, name)
    assert {changed.get(old, old) for old in values} == set(found)
    assert names.named(found) == (dict(sorted(found.items())), {})


@given(st.lists(st.integers(0, 400_000)), st.integers(1, 4))
def test_batches_hold_everything_in_order(sizes: list[int], most: int) -> None:
    found = [list(batch) for batch in names.batches(sizes, most, dict(enumerate(sizes)))]
    assert [size for batch in found for size in batch] == sizes
    assert all(len(batch) <= most for batch in found)
    assert all(len(batch) == 1 or sum(batch) <= names.MOST_BYTES for batch in found)


@pytest.mark.parametrize(
    ("stage", "alias"), [("prod", "prod"), ("Latest", "stage-Latest"), ("v1", "stage-v1"), ("a/b", "a-b")]
)
def test_a_stage_is_an_alias(stage: str, alias: str) -> None:
    assert names.alias(stage) == alias


@pytest.mark.slow
def test_what_is_chosen(made: Repository, bundle: Path) -> None:
    head = made.git.commit("HEAD")
    found = {s.name: s for s in choose.subjects(registry(made))}
    assert found.keys() == {*ALL, f"main {head[:8]}"}
    assert {found[name].commit for name in ALL} == set(refs(made).values())
    later = datetime.now(UTC) + timedelta(hours=1)
    assert [s.name for s in choose.subjects(registry(made), later)] == [f"main {head[:8]}"]
    made.tag("churn@v1.0.0", head)
    made.tag("churn@v1.1.0", refs(made)["deeper"])
    kinds = {s.name: s.kind for s in choose.subjects(registry(made))}
    assert kinds == {**dict.fromkeys(ALL, "experiment"), "v1.0.0": "version"}
    made.write("README", "more")
    made.version(bundle, rows(), message="Another")
    newest = made.git.commit("HEAD")
    made.commit("Nothing measured")
    head = made.git.commit("HEAD")
    assert {s.name for s in choose.subjects(registry(made)) if s.kind == "branch"} == {f"main {head[:8]}"}
    history = {s.commit for s in choose.subjects(registry(made), history=True) if s.kind == "branch"}
    assert history == {head, newest}


@pytest.mark.slow
def test_a_trial_takes_nothing_of_its_baseline(made: Repository) -> None:
    (trial,) = [s for s in choose.subjects(registry(made)) if s.name == "trial-1"]
    run = Facts(made.git, "churn").read(trial)
    assert (run.origin, dict(run.metrics), run.curves, run.has_model) == ("sweep", {"cv.roc_auc": 0.75}, {}, False)
    assert set(run.contents.blobs) == {"metrics/sweep/metrics.json", "params.yaml", "sweep.json"}
    assert run.ended - run.started == timedelta(seconds=2.5)


def test_nothing_but_the_export_imports_a_tracker() -> None:
    code = (
        "import sys, mlops.cli, mlops.export.commands; mlops.cli.build();"
        "sys.exit(bool({'mlflow', 'wandb', 'numpy', 'pyarrow'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_what_is_not_installed_is_one_line(
    tracker: str, repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository.folder / ".dvc").mkdir(exist_ok=True)
    monkeypatch.chdir(repository.folder)
    for name in [n for n in sys.modules if n.partition(".")[0] == tracker]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, tracker, None)
    assert cli.main(["export", tracker]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"`pip install -e '.[{tracker}]'`" in said
    assert f"`make {tracker}`" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--serve", "--to", "http://127.0.0.1:1"], "leave out --to"),
        (["--port", "5001"], "--port is that of --serve"),
        (["--watch", "0"], "--watch 0 is no time to wait"),
        (["--to", "sqlite:///m.db"], "'sqlite:///m.db' is no address of an MLflow server"),
        (["--since", "yesterday"], "'yesterday' is no moment"),
        (["--serve"], "`make mlflow` installs and starts it"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: list[str],
    said: str,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(repository.folder)
    assert cli.main(["export", "mlflow", *words]) == 1
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1


def test_a_port_in_use_is_one_line(repository: Repository) -> None:
    program = repository.folder / server.ENVIRONMENT / "bin" / "mlflow"
    program.parent.mkdir(parents=True)
    program.touch()
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(ExperimentError) as refused,
        server.running(repository.folder, port),
    ):
        pass
    assert str(refused.value) == (
        f"port {port} cannot be used (Address already in use); `make mlflow PORT=5001` takes another"
    )


def test_broken_files_hide_nothing_else(repository: Repository) -> None:
    """An experiment whose dvc.lock, record and curves are no such files is still there with what can be read."""
    head = repository.git.commit("HEAD")
    repository.write("dvc.lock", "{")
    repository.write("notebook.json", json.dumps({"seconds": "long", "started": 5, "data": [1], "code": 3}))
    repository.write("metrics/notebook/plots/metrics/loss.tsv", "step\tloss\n0\t0.5\nx\t1\n1\n\n2\t\n3\tnan\n")
    repository.write("artifacts/thing.dvc", "outs: 5\n")
    commit = repository.commit("Odd")
    Git(repository.folder).raw("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/odd", commit)
    (subject,) = [s for s in choose.subjects(registry(repository)) if s.name == "odd"]
    run = Facts(repository.git, "churn").read(subject)
    assert (run.origin, run.data, run.started) == ("notebook", [], run.ended)
    assert [point.step for point in run.curves["loss"]] == [0, 3]
