"""The comparison of experiments: order, differences with intervals, what is said of failed ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mlops import columns
from mlops.cli import main
from mlops.errors import ExperimentError
from mlops.experiments.compare import best, compare
from mlops.experiments.compared import Board, Row
from mlops.experiments.intervals import FEWEST
from mlops.metrics.measure import Decision
from mlops.report import delong, paired, pairing
from mlops.report.paired import Draw
from mlops.report.ranked import Ranked
from tests.experiments.compared import THRESHOLD, Compared
from tests.registry.files import MONEY
from tests.registry.repository import predictions


@pytest.fixture
def project(tmp_path: Path) -> Compared:
    return Compared(tmp_path)


def row(found: Board, name: str) -> Row:
    return next(r for r in found.rows if r.experiment.name == name)


def names(found: Board) -> list[str]:
    return [r.experiment.name for r in found.rows]


def test_best_is_first_in_the_metrics_own_direction(project: Compared) -> None:
    for name, strength in (("middle", 0.7), ("weak", 0.3), ("strong", 0.9)):
        project.tried(name, predictions(strength=strength))
    assert names(compare(project.git)) == ["strong", "middle", "weak"]
    by_brier = compare(project.git, "brier")
    values = [r.value for r in by_brier.rows]
    assert not by_brier.higher
    assert values == sorted(values)  # type: ignore[type-var]
    assert [r.rank for r in by_brier.rows] == [1, 2, 3]
    assert best(project.git).name == "strong"


@pytest.mark.parametrize(
    ("metric", "first"),
    [("inference_time_ms", "small"), ("train_time_seconds", "small"), ("lift_at_10", "large"), ("modelSizeMb", "small"),
     ("val_loss", "small"), ("timeliness", "large")],
)  # fmt: skip
def test_other_metrics_go_the_way_that_their_names_say(project: Compared, metric: str, first: str) -> None:
    project.logged("large", metrics={metric: 2.5})
    project.logged("small", metrics={metric: 0.25})
    assert names(compare(project.git, metric))[0] == first


def test_a_metric_that_nobody_has_is_refused_with_the_nearest(project: Compared) -> None:
    project.tried("one", predictions())
    with pytest.raises(ExperimentError, match="did you mean roc_auc"):
        compare(project.git, "roc_acu")
    with pytest.raises(ExperimentError, match="there are roc_auc, pr_auc"):
        compare(project.git, "q")


def test_without_an_experiment_it_says_what_makes_one(project: Compared) -> None:
    with pytest.raises(ExperimentError, match="dvc exp run -S max_depth=4"):
        compare(project.git)


def expected(metric: str, mine: pa.Table, other: pa.Table) -> paired.Change:
    """The gate's own computation."""
    y = np.asarray(mine.column("y").to_numpy())
    p = tuple(columns.floats(t.column("p")) for t in (mine, other))
    customers = columns.coded(mine.column("customer")).codes.astype(np.intp)
    if metric == "roc_auc":
        return delong.difference(y, (p[0], p[1]), customers, 0.95)
    decision = Decision(THRESHOLD, *MONEY)
    sides = [[Ranked(y, each, customers, decision).measure] for each in p]
    drawn = Draw(2000, 0.95, len(y))
    return paired.changes((sides[0], sides[1]), int(customers.max()) + 1, drawn)[metric]


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "f1", "expected_profit"])
def test_the_interval_is_the_gates(project: Compared, metric: str) -> None:
    mine, served = predictions(strength=0.9), predictions(strength=0.7)
    project.promoted(project.version(served))
    project.version(predictions(strength=0.5))
    project.tried("tried", mine)
    found = compare(project.git, metric)
    assert [r.label for r in found.references] == ["main", "prod v1.0.0"]
    for difference, other in zip(found.rows[0].differences, (predictions(strength=0.5), served), strict=True):
        change = expected(metric, mine, other)
        assert difference is not None
        assert difference.value == pytest.approx(change.difference, abs=2e-6)
        # Rows stand in another order here: the same customers are numbered otherwise, and drawn otherwise.
        close = 1e-9 if metric == "roc_auc" else 0.2 * (change.high - change.low)
        assert difference.low == pytest.approx(change.low, abs=close)
        assert difference.high == pytest.approx(change.high, abs=close)
        assert difference.better == change.better


def test_a_notebooks_rows_are_compared_whatever_their_order(project: Compared) -> None:
    mine = predictions(strength=0.9)
    shuffled = mine.take(pa.array(np.random.default_rng(1).permutation(mine.num_rows)))
    project.tried("pipeline", mine)
    project.logged("notebook", shuffled)
    found = compare(project.git)
    one, other = (row(found, name).differences[0] for name in ("pipeline", "notebook"))
    assert one is not None
    assert other is not None
    assert one.low == pytest.approx(other.low, abs=1e-12)
    assert row(found, "notebook").experiment.origin == "notebook"


def test_without_the_same_rows_there_is_only_the_difference(project: Compared) -> None:
    project.tried("others", predictions(seed=3))
    project.tried("fewer", predictions(strength=0.8).slice(0, 550))
    mine = predictions(strength=0.8)
    flipped = mine.set_column(2, "y", pa.array(1 - np.asarray(mine.column("y").to_numpy()), pa.int8()))
    project.tried("labels", flipped)
    for each in compare(project.git).rows:
        assert each.differences[0] is not None
        assert each.differences[0].low is None


def test_rows_that_the_value_was_not_measured_on_give_no_interval(project: Compared) -> None:
    project.logged("honest", predictions(strength=0.8))
    project.logged("by-hand", predictions(strength=0.8), metrics={"roc_auc": 0.999})
    found = compare(project.git)
    honest, by_hand = (row(found, name).differences[0] for name in ("honest", "by-hand"))
    assert honest is not None
    assert honest.low is not None
    assert by_hand is not None
    assert by_hand.low is None


def test_bytes_that_are_elsewhere_are_not_waited_for(project: Compared) -> None:
    project.repository.remote("ssh://127.0.0.1:1/nowhere")
    project.tried("tried", predictions(strength=0.8))
    for place in (project.repository.cache / "files").rglob("*"):
        if place.is_file():
            place.unlink()
    difference = compare(project.git).rows[0].differences[0]
    assert difference is not None
    assert difference.low is None
    assert difference.value > 0


def test_another_place_of_the_cache_is_found(project: Compared, tmp_path: Path) -> None:
    project.tried("tried", predictions(strength=0.8))
    project.repository.cache.rename(tmp_path / "cache")
    project.repository.write(".dvc/config.local", f"[cache]\n    dir = {tmp_path / 'cache'}\n")
    difference = compare(project.git).rows[0].differences[0]
    assert difference is not None
    assert difference.low is not None


def test_few_customers_give_no_interval(project: Compared) -> None:
    assert FEWEST == pairing.FEWEST
    project.version(predictions(strength=0.5, customers=25))
    project.tried("tried", predictions(strength=0.8, customers=25))
    difference = compare(project.git).rows[0].differences[0]
    assert difference is not None
    assert difference.low is None


def test_production_that_is_main_is_one_reference(project: Compared) -> None:
    project.promoted(project.main)
    project.tried("tried", predictions(strength=0.8))
    found = compare(project.git)
    assert [r.label for r in found.references] == ["main, prod v1.0.0"]
    assert found.references[0].value == pytest.approx(compare(project.git, "roc_auc").references[0].value)


def test_failed_runs_are_last_and_never_the_best(project: Compared) -> None:
    project.tried("good", predictions(strength=0.8))
    project.logged("broken", metrics={"roc_auc": 1.0}, state="failed", error="ValueError: out\nof luck")
    project.logged("silent", note="logged nothing")
    found = compare(project.git)
    assert names(found) == ["good", "silent", "broken"]
    assert [r.rank for r in found.rows] == [1, None, None]
    assert found.best.name == best(project.git).name == "good"
    assert row(found, "broken").value is None
    text = repr(found)
    assert "ValueError: out of luck" in text
    assert "failed" in text


def test_only_failed_runs_have_no_best(project: Compared) -> None:
    project.logged("broken", metrics={"roc_auc": 1.0}, state="failed")
    with pytest.raises(ExperimentError, match="no experiment has the metric 'roc_auc'"):
        best(project.git)


def test_only_params_that_differ_are_shown(project: Compared) -> None:
    project.tried("one", predictions(strength=0.8), max_depth=4)
    project.tried("two", predictions(strength=0.7), max_depth=4, **{"train.early_stopping_rounds": 9})
    project.logged("three", predictions(strength=0.6), params={"layers": 3})
    found = compare(project.git)
    assert set(found.params) == {"max_depth", "train.early_stopping_rounds", "layers"}
    assert found.differing(row(found, "two").experiment.params)["train.early_stopping_rounds"] == 9
    assert row(found, "two").experiment.params["model"] == "xgboost"
    only = compare(project.git, top=1)
    assert names(only) == ["one"]
    assert only.params == ("max_depth",)  # main has another
    assert only.hidden == 2


def test_a_branch_other_than_main_is_compared_with_main(project: Compared) -> None:
    main_value = compare_value(project)
    project.git.raw("switch", "--quiet", "--create", "topic")
    project.version(predictions(strength=0.9))
    project.tried("tried", predictions(strength=0.95))
    found = compare(project.git)
    assert found.references[0].label == "main"
    assert found.references[0].value == main_value


def compare_value(project: Compared) -> float:
    return json.loads((project.repository.folder / "metrics/evaluate/metrics.json").read_bytes())["roc_auc"]


def test_the_command_prints_facts(
    project: Compared, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project.tried("one", predictions(strength=0.8))
    project.tried("two", predictions(strength=0.9))
    monkeypatch.chdir(project.repository.folder / "src")
    assert main(["compare", "--json", "--top", "1", "--plot", str(tmp_path / "page.html")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in found["rows"]] == ["two"]
    assert found["experiments"] == 2
    told = found["rows"][0]["differences"]["main"]
    assert told["low"] < told["value"] < told["high"]
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert main(["compare"]) == 0
    assert "best: two" in capsys.readouterr().out
    assert main(["compare", "--plot", str(tmp_path / "no" / "page.html")]) == 1
    assert "mkdir -p" in capsys.readouterr().err
    assert main(["compare", "--top", "-1"]) == 1
