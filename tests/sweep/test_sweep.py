"""Real sweeps on a small table: what trials measure, what their commits hold, what a kill leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import xgboost
from sklearn.metrics import roc_auc_score

from mlops import columns, params, promote_best, train
from mlops.errors import RegistryError
from mlops.features import Coded
from mlops.model import encoding
from mlops.params import View
from mlops.policy import Validate
from mlops.sweep import data, trial_commit
from tests.sweep.conftest import Mlops, Project

pytestmark = pytest.mark.slow


def test_a_sweep_makes_experiments_that_dvc_and_compare_know(project: Project, mlops: Mlops) -> None:
    project.edit("params.yaml", "cost_contact: 10 ", "cost_contact: 12 ")  # goes into every trial, as with dvc exp run
    code, out, err = mlops("sweep", "--trials", "4", "--name", "lunch", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["trials"]["finished"] + found["trials"]["stopped early"] == 4
    trials = project.trials()
    assert next(iter(trials)) == found["baseline"]["name"] == f"{found['study']}-000"
    assert "params.yaml; each trial's experiment has them as they are now" in err
    shown = json.loads(project.run("dvc exp show --json").stdout)
    listed = {e["name"]: e["revs"][0]["data"] for e in shown[1]["experiments"]}
    assert listed.keys() == trials.keys()
    for name, told in listed.items():
        metrics = {path: m["data"] for path, m in told["metrics"].items() if "data" in m}
        assert metrics.pop(trial_commit.METRICS) == trials[name]["metrics"]
        assert not metrics.pop("metrics/evaluate/metrics.json", None), "no trial saw a test row"
        values = told["params"]["params.yaml"]["data"]
        assert values["decision"]["cost_contact"] == 12
        assert {k: values[k] for k in ("max_depth", "learning_rate")} == {
            k: trials[name]["params"].get(k) for k in ("max_depth", "learning_rate")
        }
    head = project.git.read(
        f"refs/exps/{project.git.commit('HEAD')[:2]}/{project.git.commit('HEAD')[2:]}/{name}", "params.yaml"
    )
    assert head is not None
    assert b"# balanced | null; calibration brings" in head
    _compare(found, mlops)
    assert project.run("git status --porcelain").stdout == " M params.yaml\n"


def _compare(found: dict[str, Any], mlops: Mlops) -> None:
    code, out, _ = mlops("compare", "--metric", "cv.roc_auc", "--json")
    ranked = json.loads(out)
    assert [row["origin"] for row in ranked["rows"]] == ["sweep"] * len(ranked["rows"])
    assert ranked["rows"][0]["name"] == found["best"][0]["name"]
    values = [row["value"] for row in ranked["rows"]]
    assert values == sorted(values, reverse=True)
    code, _, err = mlops("promote", found["best"][0]["name"])
    assert code == 1
    assert "is a trial of a sweep, which keeps no model; `mlops sweep --apply`" in err
    with pytest.raises(RegistryError, match="trials of a sweep have no model: `mlops sweep --apply`"):
        promote_best(metric="cv.roc_auc")


def test_a_trial_is_measured_as_others_would_measure_it(project: Project, mlops: Mlops) -> None:
    """Folds of customers, an encoder on each fold's own rows, and XGBoost and scikit-learn by themselves."""
    code, _, err = mlops("sweep", "--trials", "2")
    assert code == 0, err
    os.chdir(project.folder)
    for record in project.trials().values():
        assert record["metrics"]["cv"]["roc_auc"] == pytest.approx(
            _cross_validated(record["params"]), abs=2e-5
        )  # probabilities have six decimals

        folds = [fold["roc_auc"] for fold in record["folds"]]
        assert record["metrics"]["cv"]["roc_auc_std"] == pytest.approx(np.std(folds, ddof=1), abs=1e-6)


def _cross_validated(settings: dict[str, Any]) -> float:
    plan = train.plan()
    table = pq.read_table(train.FEATURES / "train.parquet")
    validation = pq.read_table(train.FEATURES / "validation.parquet")
    customers = columns.coded(table.column("__customer"))
    part = data.customer_parts(customers, 3, 0)
    names = np.array(customers.levels)[customers.codes]
    own = [set(names[part == fold]) for fold in range(3)]
    assert not own[0] & own[1] | own[1] & own[2] | own[0] & own[2]
    found = []
    for fold in range(3):
        fitted, held = (table.filter(mask) for mask in (part != fold, part == fold))
        inner = encoding.customer_folds(Coded(customers.codes[part != fold], customers.levels), 42)
        y = fitted.column("__y").to_numpy()
        rules = encoding.LevelRules(12, 10)
        encoder, x = encoding.fit(plan, columns.Stored(fitted, plan), y, inner, rules)
        eval_x = encoder.matrix(columns.Stored(validation, plan))
        model = xgboost.XGBClassifier(
            n_estimators=30, max_depth=settings["max_depth"] or 3, learning_rate=settings["learning_rate"] or 0.06,
            min_child_weight=5, subsample=0.8, colsample_bytree=0.6, reg_lambda=1, tree_method="hist", random_state=42,
            eval_metric="logloss",
            callbacks=[xgboost.callback.EarlyStopping(rounds=50, save_best=True)],
        )  # fmt: skip
        if settings["train.class_weight"] == "balanced":
            weights = [
                np.where(v == 1, len(v) / (2 * v.sum()), len(v) / (2 * (len(v) - v.sum())))
                for v in (y, validation.column("__y").to_numpy())
            ]
        else:
            weights = [None, None]
        model.fit(
            x, y, sample_weight=weights[0], eval_set=[(eval_x, validation.column("__y").to_numpy())],
            sample_weight_eval_set=None if weights[1] is None else [weights[1]], verbose=False,
        )  # fmt: skip
        p = model.predict_proba(encoder.matrix(columns.Stored(held, plan)))[:, 1]
        found.append(roc_auc_score(held.column("__y").to_numpy(), p))
    return float(np.mean(found))


def test_two_jobs_measure_the_same_as_one(project: Project, mlops: Mlops) -> None:
    project.sweep(pruner=False)
    assert mlops("sweep", "--trials", "4", "--jobs", "2", "--name", "two")[0] == 0
    trials = project.trials()
    assert sorted(r["number"] for r in trials.values()) == [0, 1, 2, 3]
    os.chdir(project.folder)
    rows = data.load(Validate(method="cv", folds=3), 0)
    for record in trials.values():
        measured = _measured(rows, record["params"])
        assert record["metrics"]["cv"]["log_loss"] == measured["log_loss"]
        assert record["metrics"]["cv"]["expected_profit"] == measured["expected_profit"]


def _measured(rows: data.Data, settings: dict[str, Any]) -> dict[str, float]:
    from mlops import strict
    from mlops.errors import ParamsError
    from mlops.sweep.objective import Task, measure
    from mlops.sweep.space import Space

    document = strict.read(Path("params.yaml").read_text(), params.PATH, ParamsError)
    made = Space({}, document).with_settings(settings)
    return measure(rows, made, Task("roc_auc", False, False, None), lambda step, value: False).mean()


def test_other_features_or_another_space_are_another_study(project: Project, mlops: Mlops) -> None:
    assert mlops("sweep", "--trials", "1")[0] == 0
    (project.folder / "README.md").write_text("other words")
    _, _, err = mlops("sweep", "--trials", "1")
    assert "1 of 1 trials done" in err, "what no trial reads does not matter"
    project.sweep(params={"max_depth": {"low": 2, "high": 4}})
    _, _, err = mlops("sweep", "--trials", "1")
    assert "is a new study: sweep of policy.yaml changed since sweep-" in err
    project.edit("params.yaml", "min_level_rows: 10 ", "min_level_rows: 20 ")
    _, _, err = mlops("sweep", "--trials", "1")
    assert "is a new study: params.yaml changed since" in err
    project.edit("params.yaml", "split_seed: 0", "split_seed: 1")
    code, _, err = mlops("sweep", "--trials", "1")
    assert code == 1
    assert "data/features is not what the pipeline would make now (preprocess: " in err
    assert "`dvc repro preprocess` first" in err


def test_a_trial_that_cannot_be_fitted_is_kept_and_the_sweep_goes_on(
    project: Project, mlops: Mlops, monkeypatch: Any
) -> None:
    real = train.fit_model

    def fit(encoded: Any, view: View, *more: Any) -> Any:
        if view.get("max_depth") is not None:
            raise ValueError("no such luck")
        return real(encoded, view, *more)

    monkeypatch.setattr(train, "fit_model", fit)
    code, out, err = mlops("sweep", "--trials", "3", "--json")
    assert code == 0
    assert json.loads(out)["trials"] == {"finished": 1, "stopped early": 0, "failed": 2}
    assert "trial 2 failed: ValueError: no such luck" in err
    assert len(project.trials()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--jobs", "0"], "--jobs 0: at least 1"),
        (["--trials", "0"], "--trials 0: at least 1"),
        (["--metric", "roc_acu"], "trials have no such metric; did you mean roc_auc?"),
        (["--name", "a b"], "is no name for a run"),
    ],
)
def test_what_cannot_be_asked_for(project: Project, mlops: Mlops, words: list[str], said: str) -> None:
    code, _, err = mlops("sweep", *words)
    assert code == 1
    assert said in err
    assert err.count("\n") == 1


def test_where_there_is_nothing_to_sweep(project: Project, mlops: Mlops, tmp_path: Path) -> None:
    project.run("rm -rf data/features")
    assert "there are no features yet (data/features); `dvc repro` makes them" in mlops("sweep")[2]
    project.run("rm -rf .git && git init -q")
    assert "there is no commit yet" in mlops("sweep")[2]
    os.chdir(tmp_path)
    assert "is in no Git repository" in mlops("sweep")[2]


def test_the_commands_that_do_not_sweep_never_load_optuna() -> None:
    code = "import sys; from mlops import cli; cli.build(); sys.exit('optuna' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
