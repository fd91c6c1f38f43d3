"""Into a real MLflow server, and read back through its own client."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops import cli
from mlops.store import model
from mlops.store.objects import Store
from tests.export.conftest import ALL, MANY, PIPELINE, STEPS, files_of, refs, rows
from tests.export.mlflow_server import Served
from tests.registry.repository import Repository

pytestmark = pytest.mark.slow

KILLER = """
import os, signal, sys
from mlflow.tracking import MlflowClient
name, after = sys.argv[1], int(sys.argv[2])
real, calls = getattr(MlflowClient, name), []
def deadly(*given, **named):
    calls.append(1)
    done = real(*given, **named)
    if len(calls) == after:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
setattr(MlflowClient, name, deadly)
from mlops.cli import main
sys.exit(main(sys.argv[3:]))
"""


@pytest.fixture(scope="module")
def served(made: Repository) -> Iterator[Served]:
    found = Served(made.folder)
    yield found
    if found.process.poll() is None:
        found.stop()
    for stream in (found.process.stdout, found.process.stderr):
        assert stream is not None
        stream.close()


class Seen:
    """What a server has, through MLflow's client."""

    def __init__(self, address: str) -> None:
        self.client: Any = importlib.import_module("mlflow.tracking").MlflowClient(address, address)

    def runs(self, experiment: str = "churn") -> dict[str, Any]:
        """Run name → run; no name stands twice."""
        found = self.client.search_runs([self.client.get_experiment_by_name(experiment).experiment_id])
        named = {run.info.run_name: run for run in found}
        assert len(named) == len(found)
        return named

    def history(self, run: Any, metric: str) -> list[tuple[int, float]]:
        """Step and value of all points."""
        return [(m.step, m.value) for m in self.client.get_metric_history(run.info.run_id, metric)]

    def aliases(self) -> dict[str, str]:
        """Alias → our name of the version."""
        found = self.client.get_registered_model("churn").aliases
        return {alias: self.client.get_model_version("churn", v).tags["mlops.version"] for alias, v in found.items()}


@pytest.fixture
def seen(served: Served, monkeypatch: pytest.MonkeyPatch) -> Seen:
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", served.address)
    return Seen(served.address)


def export(repository: Repository, to: str, *words: str) -> dict[str, Any]:
    """`mlops export mlflow --json`."""
    said = io.StringIO()
    with contextlib.chdir(repository.folder), contextlib.redirect_stdout(said):
        assert cli.main(["export", "mlflow", "--to", to, "--json", *words]) == 0
    facts: dict[str, Any] = json.loads(said.getvalue())
    return facts


def test_every_experiment_and_main_are_runs(made: Repository, served: Served, seen: Seen) -> None:
    head = made.git.commit("HEAD")
    runs = seen.runs()
    assert set(runs) == {*ALL, f"main {head[:8]}"}
    assert f"{served.address}, experiment churn: {len(runs)} new, 0 there already" in served.said
    commits = {name: run.data.tags["mlflow.source.git.commit"] for name, run in runs.items()}
    assert commits == {**refs(made), f"main {head[:8]}": head}
    for name in ALL:
        assert runs[name].data.tags["dvc.baseline"] == head
    deeper, broken = runs["deeper"], runs["broken"]
    assert deeper.data.tags["mlflow.note.content"] == "more depth, more trees"
    assert (deeper.data.tags["origin"], deeper.data.tags["mlflow.user"]) == ("notebook", "Ada Tester")
    assert (broken.info.status, broken.data.tags["error"]) == ("FAILED", "ZeroDivisionError: division by zero")
    assert "roc_auc" not in broken.data.metrics
    record = json.loads(made.git.text("show", f"{commits['deeper']}:notebook.json"))
    taken = (deeper.info.end_time - deeper.info.start_time) / 1000
    assert math.isclose(taken, record["seconds"], abs_tol=0.002)
    given = {d.dataset.name: d.dataset.digest for d in deeper.inputs.dataset_inputs}
    assert given == {name: said["sha256"][:36] for name, said in record["data"].items()}
    assert runs["trial-1"].data.metrics == {"cv.roc_auc": 0.75}


def test_params_metrics_and_curves_are_those_of_the_commit(made: Repository, seen: Seen) -> None:
    runs, commits = seen.runs(), refs(made)
    for number, name in enumerate(PIPELINE):
        measured = json.loads(made.git.text("show", f"{commits[name]}:metrics/evaluate/metrics.json"))
        found = dict(runs[name].data.metrics)
        assert found.pop("validation/log_loss") == 1 / len(STEPS)
        assert found == measured
        assert runs[name].data.params["max_depth"] == str(number + 2)
        assert seen.history(runs[name], "validation/log_loss") == [(step, 1 / (step + 1)) for step in STEPS]
    assert seen.history(runs["deeper"], "loss") == [(step, 1 / (step + 1)) for step in STEPS]
    assert runs["deeper"].data.params["mine"] == "7"


def test_what_mlflow_refuses_is_renamed_and_told(served: Served, seen: Seen) -> None:
    odd = seen.runs()["odd"].data
    assert {key: odd.params[key] for key in MANY} == {key: str(value) for key, value in MANY.items()}
    assert odd.params["what_you like_"] == "x" * 5999 + "…"
    assert odd.params["ünï"] == "é" * 5999
    assert odd.metrics == {"recall_10": 0.25, "plain": 1.0}
    assert json.loads(odd.tags["mlops.renamed"])["what@you like!"] == "what_you like_"
    (told,) = [line for line in served.said if line.startswith("renamed")]
    assert "'what@you like!' → 'what_you like_'" in told


def test_artifacts_are_the_same_bytes(made: Repository, seen: Seen, tmp_path: Path) -> None:
    runs, commits = seen.runs(), refs(made)
    folder = Path(seen.client.download_artifacts(runs["deeper"].info.run_id, "", str(tmp_path)))
    found = files_of(folder)
    model_files = {path.removeprefix("model/"): content for path, content in found.items() if path[:6] == "model/"}
    served = model.model(made.git, commits["deeper"], "churn").out
    store = Store(made.folder)
    assert model_files == {name: store.file(md5).read_bytes() for name, md5 in store.listing(served).items()}
    assert found["artifacts/policy.yaml"] == (made.folder / "policy.yaml").read_bytes()
    assert found.pop("metrics/notebook/texts/why_ because _1") == b"of the weather\n"
    in_git = [path for path in found if path.startswith(("metrics/", "notebook", "params"))]
    assert len(in_git) > 8
    for path in in_git:
        assert found[path] == made.git.read(commits["deeper"], path), path
    assert not [path for path in found if path.startswith("data")], "rows of customers stay here"
    sweep = {f.path for f in seen.client.list_artifacts(runs["trial-1"].info.run_id)}
    assert sweep == {"metrics", "params.yaml", "sweep.json"}


def test_a_second_export_writes_nothing(made: Repository, served: Served, seen: Seen) -> None:
    before = {name: (run.data.to_dictionary(), run.info.end_time) for name, run in seen.runs().items()}
    done = export(made, served.address)
    assert (done["new"], done["finished"], done["there"]) == ([], [], len(before))
    assert {name: (run.data.to_dictionary(), run.info.end_time) for name, run in seen.runs().items()} == before


def test_versions_are_model_versions_and_stages_their_aliases(
    made: Repository, served: Served, seen: Seen, tmp_path: Path
) -> None:
    head, commits = made.git.commit("HEAD"), refs(made)
    made.tag("churn@v1.0.0", head)
    made.tag("churn#prod#1", head)
    made.tag("churn@v1.1.0", commits["deeper"])
    made.tag("churn#staging#2", commits["deeper"])
    done = export(made, served.address)
    assert (done["new"], done["versions"]) == ([], ["v1.0.0", "v1.1.0"])
    assert seen.aliases() == {"prod": "v1.0.0", "staging": "v1.1.0"}
    of_alias = seen.client.get_model_version_by_alias("churn", "staging")
    assert of_alias.run_id == seen.runs()["deeper"].info.run_id
    artifacts = importlib.import_module("mlflow.artifacts")
    folder = artifacts.download_artifacts(
        "models:/churn@staging", dst_path=str(tmp_path), tracking_uri=served.address, registry_uri=served.address
    )
    assert "manifest.json" in files_of(Path(folder))
    made.tag("churn#prod#3", commits["deeper"])
    made.tag("churn#staging!#4", commits["deeper"])
    made.tag("churn@v1.0.0!#5", head)
    done = export(made, served.address)
    assert (done["new"], done["versions"], done["aliases"]) == ([], [], {"prod": "v1.1.0", "staging": None})
    assert seen.aliases() == {"prod": "v1.1.0"}
    assert {
        v.tags["mlops.version"]: "archived" in v.tags for v in seen.client.search_model_versions("name='churn'")
    } == {
        "v1.0.0": True,
        "v1.1.0": False,
    }
    assert export(made, served.address)["aliases"] == {}


def test_what_was_killed_is_finished_once(made: Repository, served: Served, seen: Seen) -> None:
    words = ["export", "mlflow", "--to", served.address, "--experiment", "killed"]
    for call, after in (("create_run", 2), ("log_batch", 1), ("log_artifacts", 1), ("set_terminated", 2)):
        done = subprocess.run(
            [sys.executable, "-c", KILLER, call, str(after), *words], cwd=made.folder, capture_output=True, check=False
        )
        assert done.returncode == -9
    assert len(seen.runs("killed")) == 3
    again = export(made, served.address, "--experiment", "killed")
    assert (len(again["finished"]), again["there"]) == (1, 2)
    found, whole = (
        {run.data.tags["mlops.commit"]: run for run in seen.runs(name).values()} for name in ("killed", "churn")
    )
    assert found.keys() == whole.keys()
    for commit, run in whole.items():
        same = found[commit]
        assert (same.data.params, same.data.metrics) == (run.data.params, run.data.metrics)
        assert same.info.status == run.info.status
        for metric in run.data.metrics:
            assert seen.history(same, metric) == seen.history(run, metric)
        listed = [[f.path for f in seen.client.list_artifacts(each.info.run_id)] for each in (same, run)]
        assert listed[0] == listed[1]


def test_what_is_deleted(made: Repository, served: Served, seen: Seen) -> None:
    """Here: it stays there unless --prune says otherwise. There: it stays deleted. Twice there: one goes."""
    other = ("--experiment", "deleted")
    export(made, served.address, *other)
    before = seen.runs("deleted")
    twin = before["odd"]
    kept = {key: twin.data.tags[key] for key in ("mlops.commit", "mlops.repository", "mlops.export", "kind")}
    seen.client.create_run(twin.info.experiment_id, tags=kept, run_name="odd", start_time=twin.info.start_time + 1)
    seen.client.delete_run(before["broken"].info.run_id)
    ref, commit = next(
        line.split(" ") for line in made.git.text("for-each-ref", "--format=%(refname) %(objectname)").split("\n")
        if line.split(" ")[0].endswith("/pipe-0")
    )  # fmt: skip
    made.git.raw("update-ref", "-d", ref)
    try:
        assert export(made, served.address, *other)["pruned"] == 0
        assert seen.runs("deleted").keys() == before.keys() - {"broken"}
        assert seen.runs("deleted")["odd"].info.run_id == twin.info.run_id
        assert export(made, served.address, "--prune", *other)["pruned"] == 1
        assert "pipe-0" not in seen.runs("deleted")
    finally:
        made.git.raw("update-ref", ref, commit)
    assert export(made, served.address, *other)["finished"] == ["pipe-0"]
    assert seen.runs("deleted")["pipe-0"].info.run_id == before["pipe-0"].info.run_id


def test_a_model_that_comes_later_is_added(made: Repository, served: Served, seen: Seen, tmp_path: Path) -> None:
    words = ("--experiment", "later")
    clone = made.clone("empty-cache")
    clone.git.raw("fetch", "--quiet", "origin", "refs/exps/*:refs/exps/*")
    done = export(clone, served.address, *words)
    assert "pipe-1" in done["without_model"]
    again = export(clone, served.address, *words)
    assert (again["finished"], again["without_model"]) == ([], done["without_model"])
    export(made, served.address, *words)
    run = seen.runs("later")["pipe-1"]
    assert "mlops.lacks_model" not in run.data.tags
    assert "model" in [f.path for f in seen.client.list_artifacts(run.info.run_id)]
    assert seen.history(run, "validation/log_loss") == [(step, 1 / (step + 1)) for step in STEPS]


def test_a_point_that_is_no_number_is_kept(made: Repository, bundle: Path, served: Served, seen: Seen) -> None:
    made.write("metrics/train/plots/metrics/validation/log_loss.tsv", "step\tlog_loss\n0\tnan\n1\tinf\n2\tx\n")
    made.version(bundle, rows(), message="It diverged")
    head = made.git.commit("HEAD")
    assert export(made, served.address)["new"] == [f"main {head[:8]}"]
    (first, second) = seen.history(seen.runs()[f"main {head[:8]}"], "validation/log_loss")
    assert math.isnan(first[1])
    assert second[1] > 1e300


def test_ctrl_c_ends_the_server(served: Served) -> None:
    assert served.answers
    assert served.stop() == 0
    assert not served.answers


def test_a_server_that_is_not_there_is_one_line(
    made: Repository, served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", served.address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert cli.main(["export", "mlflow"]) == 1
    said = capsys.readouterr().err
    assert said == (
        f"error: no MLflow server answers at {served.address} (Connection refused); `make mlflow` starts one here,"
        " --to names another\n"
    )
