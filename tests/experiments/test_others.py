"""Experiments that somebody else filed, whatever they say of themselves; tables that they must not flood."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mlops import cli
from mlops.errors import ExperimentError, GitError, MlopsError
from mlops.experiments.compare import COLUMNS, compare
from mlops.experiments.curves import MOST, scatters
from mlops.experiments.direction import higher_is_better
from mlops.experiments.tracker import ExperimentTracker
from tests.experiments.compared import Compared
from tests.registry.repository import predictions


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compared:
    made = Compared(tmp_path)
    monkeypatch.chdir(made.repository.folder)
    return made


HOSTILE = {
    "text": '{"state": "finished", "model": "served"}',
    "list": '{"state": "finished", "model": []}',
    "stateless": '{"state": "finished", "model": {}}',
    "torn": '{"state": ',
    "deep": "[" * 100_000,
    "array": "[1]",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_record_is_refused_in_one_line(kind: str, project: Compared) -> None:
    metrics = '{"roc_auc": 1' + "0" * 400 + "}"
    project.filed("bad", {"notebook.json": HOSTILE[kind], "metrics/evaluate/metrics.json": metrics})
    tracker = ExperimentTracker()
    for work in (lambda: tracker.promote("bad"), lambda: tracker.load_model("bad"), tracker.promote_best):
        with pytest.raises(MlopsError) as caught:
            work()
        assert "\n" not in str(caught.value)


def test_what_others_say_is_shown_harmlessly(project: Compared, capsys: pytest.CaptureFixture[str]) -> None:
    project.logged("loud", metrics={"roc_auc": 0.7}, note="\x1b[2Jgone \u202eback")
    project.logged("worse", state="failed", error="\x1b[31mred")
    assert cli.main(["experiments", "list"]) == 0
    out = capsys.readouterr().out
    assert "loud" in out
    assert "\x1b" not in out
    assert "\u202e" not in out
    with pytest.raises(ExperimentError, match="failed") as caught:
        ExperimentTracker().promote("worse")
    assert "\x1b" not in str(caught.value)


def test_failed_runs_alone_are_shown(project: Compared) -> None:
    project.logged("bad", state="failed", error="ValueError: no")
    found = compare(project.git)
    assert [(row.label, row.rank) for row in found.rows] == [("bad", None)]
    assert "all failed" in repr(found)
    assert "ValueError: no" in repr(found)
    with pytest.raises(ExperimentError, match="no experiment has the metric"):
        ExperimentTracker().best()


def test_a_run_of_many_params_hides_no_others(project: Compared) -> None:
    for value in (1, 2):
        flood = {f"z{number}": number * value for number in range(2_000)}
        project.logged(f"flood{value}", metrics={"roc_auc": 0.5 + value / 10}, params={**flood, "layers": value})
    project.tried("deeper", predictions(strength=0.8), max_depth=9)
    found = compare(project.git)
    assert len(found.params) == COLUMNS
    assert "max_depth" in found.params
    assert f"{2_002 - COLUMNS:,} more params differ" in repr(found)
    assert len(json.dumps(found.facts())) < 20_000
    assert len(scatters(found)) == MOST


def test_which_way_metrics_go() -> None:
    lower = (
        "errors n_errors test/errors losses train_loss costs latencies rmsle msle smape mdape medae hinge hamming"
        " cross_entropy crossEntropy wer cer eer aic bic residual residuals regret risk misclassification"
        " false_positives false_negatives false_positive_rate times inference_time_ms sizes val_rmse mae"
    )
    higher = (
        "time_saved cost_saved costs_avoided savings error_reduction precision recall top_5_accuracy lift gini ks"
        " true_positives profit expected_profit sharpe r2 mcc kappa auc ndcg timeliness costume lossless"
    )
    assert [name for name in lower.split() if higher_is_better(name)] == []
    assert [name for name in higher.split() if not higher_is_better(name)] == []


def test_sha256_is_refused_at_once(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q", "--object-format=sha256"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "a"], check=True)
    (tmp_path / ".dvc").mkdir()
    with pytest.raises(GitError, match="SHA-256"):
        ExperimentTracker(tmp_path)
