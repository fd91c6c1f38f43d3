"""What a sweep says of its params."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops.sweep import outcome
from mlops.sweep.study import Study
from tests.sweep.test_study import NO_LIMITS, opened, result

pytestmark = pytest.mark.slow


def importance(study: Study) -> dict[str, float]:
    sweep: Any = SimpleNamespace(study=study)
    return outcome._importance(sweep)


def run(study: Study, number: int, stop: bool) -> None:
    """Trials whose value is that of max_depth alone; those below the others are stopped after the first look."""
    for _ in range(number):
        trial, settings = study.take()
        value = 0.5 + (settings["max_depth"] or 3) / 100
        if study.behind(trial, 0, value) and stop:
            study.tell(trial, {"stopped": 0, "seconds": 0.1}, NO_LIMITS)
        else:
            study.tell(trial, result(value), NO_LIMITS)


@pytest.mark.parametrize("stop", [True, False])
def test_the_param_that_matters_is_named(tmp_path: Path, stop: bool) -> None:
    with opened(tmp_path) as study:
        run(study, 40, stop)
        finished = len(study.finished())
        assert finished < outcome.ENOUGH if stop else finished == 40
        assert importance(study)["max_depth"] > 0.8


def test_of_few_trials_nothing_is_said(tmp_path: Path) -> None:
    with opened(tmp_path) as study:
        run(study, outcome.ENOUGH - 1, stop=True)
        assert importance(study) == {}
