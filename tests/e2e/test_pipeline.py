"""What a data scientist types after cloning, on the embedded default."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import vl_convert

from tests.e2e.conftest import Workspace, clone

pytestmark = pytest.mark.slow


def test_a_second_repro_does_nothing(ran: Workspace) -> None:
    done = ran.run("dvc repro")
    assert "Data and pipelines are up to date." in done.stdout
    assert "Running stage" not in done.stdout
    assert ran.run("dvc status").stdout.strip() == "Data and pipelines are up to date."


def test_metrics_are_plain_numbers(ran: Workspace) -> None:
    metrics = json.loads(ran.read("metrics/evaluate/metrics.json"))
    assert set(metrics) >= {"roc_auc", "pr_auc", "log_loss", "brier", "f1", "precision", "recall", "expected_profit"}
    assert all(isinstance(v, float) for v in metrics.values())
    intervals = json.loads(ran.read("metrics/evaluate/intervals.json"))["metrics"]
    assert intervals["roc_auc"]["low"] < metrics["roc_auc"] < intervals["roc_auc"]["high"]
    shown = ran.run("dvc metrics show").stdout
    assert "roc_auc" in shown
    assert "train_time_seconds" in shown
    assert "inference_time_ms" in shown


def test_exp_run_tries_an_idea_and_the_rest_compares_it(ran: Workspace) -> None:
    before = ran.run("git rev-parse HEAD").stdout
    try:
        done = ran.run("dvc exp run -n deep -S max_depth=10")
        assert "Ran experiment(s): deep" in done.stdout
        assert "Running stage 'ingest'" not in done.stdout
        assert "max_depth: 10  " in ran.read("params.yaml")
        assert "null is the kind's own default" in ran.read("params.yaml")
        shown = json.loads(ran.run("dvc exp show --json").stdout)
        names = [e["name"] for row in shown for e in (row.get("experiments") or [])]
        assert names == ["deep"]
        assert "max_depth" in ran.run("dvc params diff").stdout
        assert "roc_auc" in ran.run("dvc metrics diff").stdout
        ran.run("dvc plots diff HEAD --out plots-of-test")
        page = ran.read("plots-of-test/index.html")
        assert page.count("vega") > 5
        ran.run("rm -r plots-of-test")
    finally:
        ran.run("git checkout -q . && dvc checkout -q && git clean -fdq")
    assert ran.run("git rev-parse HEAD").stdout == before
    assert "Running stage" not in ran.run("dvc repro").stdout


def test_every_plot_is_rendered(ran: Workspace) -> None:
    """By Vega itself, as in a browser: a template with a mistake in it would leave an empty frame on the page."""
    ran.run("python -m mlops.plots_page && dvc plots show")
    page = ran.read("dvc_plots/index.html")
    assert "window.vegaEmbed=" in page
    assert "src=" not in page.split("<script>")[0], "the page fetches something"
    specs = re.findall(r"var spec = (\{.*?\});\n", page, re.DOTALL)
    pictures = [vl_convert.vegalite_to_svg(json.loads(spec)) for spec in specs]
    wanted = {
        "ROC (test)": ["false positive rate", "true positive rate"],
        "Precision and recall (test)": ["recall", "precision"],
        "Calibration (test, ten bins, 95 % intervals)": ["predicted churn rate", "observed churn rate"],
        "Churners found by contacting the riskiest (test)": ["share of customers contacted", "share of churners found"],
        "Decisions at the threshold (test rows)": ["contact", "leave alone", "churned", "stayed"],
        "Permutation importance (ROC AUC lost, test)": ["loss of ROC AUC", "sessions"],
        "Learning curve": ["tree", "log loss"],
    }
    assert len(pictures) == len(wanted)
    for title, words in wanted.items():
        (picture,) = [p for p in pictures if f">{title}<" in p]
        for word in words:
            assert f">{word}<" in picture, (title, word)
        assert picture.count("<path") > 10


def test_bad_input_stops_in_one_line_and_keeps_the_previous_outputs(ran: Workspace) -> None:
    model = (ran.folder / "models/serving/model.onnx").read_bytes()
    cases = [
        ("max_depth: null", "max_depth: -3", "error: params.yaml: max_depth = -3: input should be greater than"),
        ("max_depth: null", "max_dept: 3", "Parameters 'max_depth' are missing from 'params.yaml'"),  # DVC's own words
        ("slices: auto", "slices: [plam]", "error: params.yaml: evaluate.slices: plam is not a feature; did you mean"),
    ]  # fmt: skip
    for old, new, message in cases:
        try:
            ran.edit("params.yaml", old, new)
            done = ran.run("dvc repro", ok=False)
            assert done.returncode != 0
            assert message in done.stderr
            assert "Traceback" not in done.stderr
            assert (ran.folder / "models/serving/model.onnx").read_bytes() == model
            assert (ran.folder / "data/predictions/test.parquet").exists()
        finally:
            ran.run("git checkout -q params.yaml")
    assert "Running stage" not in ran.run("dvc repro").stdout


def test_the_result_is_a_table_that_a_person_reads(ran: Workspace) -> None:
    shown = ran.run("mlops metrics").stdout
    assert "roc_auc" in shown
    assert "95% interval" in shown
    assert "best reachable roc_auc" in shown
    assert "dvc exp run -S max_depth=10" in shown
    assert max(len(line) for line in shown.splitlines()) <= 120
    facts = json.loads(ran.run("mlops metrics --json").stdout)
    assert facts["metrics"]["roc_auc"]["value"] == json.loads(ran.read("metrics/evaluate/metrics.json"))["roc_auc"]


def test_the_code_of_this_folder_runs(ran: Workspace) -> None:
    """Not that of the folder which is installed: DVC runs queued experiments in a copy of the repository."""
    try:
        source = ran.read("src/mlops/evaluate.py")
        (ran.folder / "src/mlops/evaluate.py").write_text(source.replace('print(f"test:', 'print(f"edited here:'))
        assert "edited here: " in ran.run("dvc exp run --temp --name edited").stdout
    finally:
        ran.run("git checkout -q . && dvc checkout -q && git clean -fdq")


@pytest.mark.parametrize("kind", ["random_forest", "hist_gradient_boosting", "logistic_regression"])
def test_every_kind_of_model_goes_through_the_pipeline(ran: Workspace, kind: str) -> None:
    try:
        ran.run(f"dvc exp run -S model={kind}")
        assert json.loads(ran.read("metrics/evaluate/metrics.json"))["roc_auc"] > 0.7
        assert json.loads(ran.read("models/serving/manifest.json"))["model"] == kind
    finally:
        ran.run("git checkout -q . && dvc checkout -q && git clean -fdq")


def test_a_fresh_clone_knows_that_the_lock_is_current(tmp_path: Path) -> None:
    """Without data: what is committed here belongs to this code and these parameters."""
    (tmp_path / "clone").mkdir()
    clone(tmp_path / "clone", as_it_is=True)
    fresh = Workspace(tmp_path / "clone", tmp_path / "home")
    planned = fresh.run("dvc repro --dry --allow-missing").stdout
    assert "Running stage" not in planned
