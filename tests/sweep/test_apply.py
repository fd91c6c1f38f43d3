"""The best trial through the real pipeline, and a trial that is applied by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.sweep.conftest import Mlops, Project

pytestmark = pytest.mark.slow

# Today's params learn next to nothing, so that any other is better.
WEAK = {
    "max_depth": {"choices": [2, 3, 4]},
    "learning_rate": {"low": 0.1, "high": 0.3},
    "n_estimators": {"choices": [30, 31]},
}


def test_the_best_goes_through_the_pipeline_and_is_an_experiment_like_any(project: Project, mlops: Mlops) -> None:
    project.edit("params.yaml", "n_estimators: 30", "n_estimators: 1")
    project.sweep(params=WEAK, validate={"method": "validation"})
    code, _, err = mlops("sweep", "--name", "tpyo", "--apply")
    assert code == 1
    assert "has no trial yet that could be applied" in err
    assert mlops("sweep", "--trials", "4")[0] == 0
    project.edit("params.yaml", "learning_rate: null", "learning_rate: 0.4321")
    code, _, err = mlops("sweep", "--apply")
    assert code == 1
    assert "params.yaml has learning_rate: 0.4321, which is not committed and would be overwritten" in err
    project.run("git restore params.yaml")
    code, out, err = mlops("sweep", "--apply", "--json")
    assert code == 0, err
    found = json.loads(out)
    best, applied = found["best"][0], found["applied"]
    assert applied["name"] == f"{best['name']}-applied"
    now = yaml.safe_load(project.read("params.yaml"))
    assert {key: now[key] for key in best["params"]} == best["params"]
    assert "# balanced | null" in project.read("params.yaml")
    metrics = json.loads(project.read("metrics/evaluate/metrics.json"))
    assert applied["metrics"]["roc_auc"]["now"] == metrics["roc_auc"]
    assert _validation(project) == pytest.approx(best["value"], abs=1e-6), "the trial is the pipeline's fit"
    _, out, _ = mlops("compare", "--json")
    compared = json.loads(out)
    assert [row["name"] for row in compared["rows"]] == [applied["name"]]
    assert sum(compared["trials"].values()) >= 1
    _by_hand(project, found)
    code, out, err = mlops("promote", applied["name"], "--force", "--why", "few rows are enough here")
    assert code == 0, out + err


def _validation(project: Project) -> float:
    """ROC AUC of the workspace's model on validation rows."""
    code = (
        "import joblib, json, numpy as np, pyarrow.parquet as pq\n"
        "from sklearn.metrics import roc_auc_score\n"
        "from mlops import bundle, columns\n"
        "model = bundle.load('models/serving')\n"
        "table = pq.read_table('data/features/validation.parquet')\n"
        "x = model.encoder.matrix(columns.Stored(table, model.encoder.plan))\n"
        "p = np.round(model.calibrator.many(model.raw_scores(x)), 6)\n"
        "print(roc_auc_score(table.column('__y').to_numpy(), p))\n"
    )
    return float(project.run(f'python -c "{code}"').stdout)


def _by_hand(project: Project, found: dict[str, Any]) -> None:
    """`dvc exp apply` and `dvc repro` give the pipeline's model with a trial's params: here, that of the same trial."""
    before = project.read("dvc.lock")
    project.run("git stash -q && git stash drop -q && dvc checkout -q")
    project.run(f"dvc exp apply {found['best'][0]['name']} && dvc repro --quiet")
    assert project.read("dvc.lock") == before
    assert project.run("dvc status").stdout.strip() == "Data and pipelines are up to date."
