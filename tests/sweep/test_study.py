"""The study: what it takes up after a kill, whom it lets in, which trials it stops; without fitting anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from mlops.errors import ExperimentError
from mlops.policy import Searched
from mlops.sweep import space
from mlops.sweep import study as studies
from mlops.sweep.space import Space
from mlops.sweep.study import Study
from tests.sweep.test_space import DOCUMENT

SPACE = Space({"learning_rate": Searched(low=0.01, high=0.5, log=True), "max_depth": Searched(low=2, high=8)}, DOCUMENT)
FACTS = {"metric": "roc_auc", studies.CALLED: "sweep", studies.PARTS: {"data": "a"}}
NO_LIMITS: dict[str, float | None] = {}


@contextmanager
def opened(folder: Path, name: str = "sweep-1", **changed: Any) -> Iterator[Study]:
    with studies.opened(folder, name, FACTS | changed) as (found, _):
        yield Study(found, SPACE, seed=0, startup=3)


def result(value: float, stopped: int | None = None, **cost: float) -> dict[str, Any]:
    return {"mean": {"roc_auc": value}, "std": {}, "folds": [], "cost": cost, "seconds": 0.1, "stopped": stopped}


def worth(settings: dict[str, Any]) -> float:
    """A trial's value, the best at a learning rate of 0.1; that of today's params."""
    return 0.8 - abs((settings["learning_rate"] or 0.06) - 0.1)


def go_on(study: Study, number: int) -> None:
    for _ in range(number):
        trial, settings = study.take()
        study.tell(trial, result(worth(settings)), NO_LIMITS)


def test_the_first_trial_is_todays_params(tmp_path: Path) -> None:
    with opened(tmp_path) as study:
        assert study.take() == (0, {"learning_rate": None, "max_depth": None})
        assert study.trials()[0].params == {"learning_rate": 0.06, "max_depth": 3}


@pytest.mark.slow
def test_a_study_that_was_stopped_anywhere_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    with opened(tmp_path / "whole") as study:
        go_on(study, 12)
        whole = [t.params for t in study.trials()]
    with opened(tmp_path / "parts") as study:
        go_on(study, 5)
        number, settings = study.take()  # and here its process ends
    with opened(tmp_path / "parts") as study:
        assert study.take() == (number, settings)
        study.tell(number, result(worth(settings)), NO_LIMITS)
        go_on(study, 6)
        assert [t.params for t in study.trials()] == whole
    assert len({p["learning_rate"] for p in whole}) == 12


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [2, 5], ids=["drawn at random", "learnt"])
def test_a_process_that_ends_between_two_params_costs_none(
    tmp_path: Path, stopped: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "whole") as study:
        go_on(study, 7)
        whole = [t.params for t in study.trials()]
    with opened(tmp_path / "parts") as study:
        go_on(study, stopped)
        ask = space._ask
        monkeypatch.setattr(space, "_ask", lambda t, name, s: killed() if name == "max_depth" else ask(t, name, s))
        with pytest.raises(SystemExit):
            study.take()
        monkeypatch.undo()
        assert list(study.trials()[stopped].params) == ["learning_rate"]
    with opened(tmp_path / "parts") as study:
        go_on(study, 7 - stopped)
        assert [t.params for t in study.trials()] == whole


def test_a_result_that_was_kept_and_not_told_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as study:
        go_on(study, 1)
        number, _ = study.take()
        monkeypatch.setattr(Study, "_conclude", killed)
        with pytest.raises(SystemExit):
            study.tell(number, result(0.9, latency_ms=2.0), {"latency_ms": 1.0})
        monkeypatch.undo()
    with opened(tmp_path) as study:
        study.conclude({"latency_ms": 1.0})
        assert study.trials()[number].value == 0.9
        assert [t.number for t in study.unfiled()] == [0, number]
        best = study.best()
        assert best is not None
        assert best.number == 0, "the other costs more than it may"
        study.filed(0, "sweep-1-000", "a" * 40)
        assert [t.number for t in study.unfiled()] == [number]
    with opened(tmp_path) as study:
        assert [t.number for t in study.unfiled()] == [number]


def killed(*given: Any) -> None:
    raise SystemExit(9)


def test_a_trial_that_failed_is_done_and_keeps_its_error(tmp_path: Path) -> None:
    with opened(tmp_path) as study:
        number, _ = study.take()
        study.fail(number, "it did not converge")
    with opened(tmp_path) as study:
        assert study.done() == 1
        assert study.trials()[0].state == TrialState.FAIL
        assert study.trials()[0].user_attrs[studies.ERROR] == "it did not converge"
        assert study.take()[0] == 1


def test_one_process_at_a_time_and_any_number_of_studies(tmp_path: Path) -> None:
    with opened(tmp_path, "sweep-1"):
        with pytest.raises(ExperimentError, match=r"sweep-1 is running already \(process \d+\)"), opened(tmp_path):
            pass
        with opened(tmp_path, "sweep-2") as other:
            go_on(other, 1)


def test_a_new_study_knows_the_last_one_of_its_name(tmp_path: Path) -> None:
    for name in ("sweep-1", "sweep-2"):
        with opened(tmp_path, name) as study:
            go_on(study, 1)
    other = FACTS | {studies.PARTS: {"data": "b"}}
    with studies.opened(tmp_path, "sweep-3", other) as (_, before):
        assert before is not None
        assert before["name"] == "sweep-2"
    with studies.opened(tmp_path, "mine-1", other | {studies.CALLED: "mine"}) as (_, before):
        assert before is None
    with studies.opened(tmp_path, "sweep-1", FACTS) as (_, before):
        assert before is None, "it is not new"


@pytest.mark.parametrize(("metric", "sign"), [("roc_auc", 1), ("log_loss", -1)])
def test_a_trial_behind_the_others_is_stopped_today_never(tmp_path: Path, metric: str, sign: int) -> None:
    with opened(tmp_path, metric=metric) as study:

        def tell(number: int, value: float) -> None:
            study.tell(number, {**result(0), "mean": {metric: value}}, NO_LIMITS)

        for value in (0.1, 0.9, 0.8, 0.7):
            number, _ = study.take()
            assert not study.behind(number, 0, sign * value)
            tell(number, sign * value)
        number, _ = study.take()
        assert study.behind(number, 0, sign * 0.5)
        study.tell(number, result(0, stopped=0), NO_LIMITS)
        assert study.trials()[number].state == TrialState.PRUNED
        number, _ = study.take()
        assert not study.behind(number, 0, sign * 0.95)
        assert not study.behind(number, 1, sign * -9), "nobody got so far: there is nothing to compare with"
