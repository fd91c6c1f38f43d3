from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops import params
from mlops.errors import ParamsError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "tests" / "params.yaml").read_text())
    return loaded


def test_the_projects_own_file_is_valid_and_has_the_keys_of_the_default() -> None:
    def keys(value: Any) -> Any:
        return {k: keys(v) for k, v in value.items() if k != "table"} if isinstance(value, dict) else None

    own, default = (yaml.safe_load((ROOT / f / "params.yaml").read_text()) for f in (".", "tests"))
    assert keys(own) == keys(default)
    params.load(ROOT / "params.yaml")


def test_the_default_is_valid_and_frozen() -> None:
    loaded = params.load(ROOT / "tests" / "params.yaml")
    assert loaded.model == "xgboost"
    assert loaded.data.simulator.start == "2025-01"
    with pytest.raises(Exception, match="frozen"):
        loaded.seed = 3


def set_at(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    *parents, last = path.split(".")
    section = document
    for part in parents:
        section = section[part]
    section[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("max_dept", 3, "max_dept is not a known key; did you mean max_depth?"),
        ("features.sentimnt", True, "features.sentimnt is not a known key; did you mean sentiment?"),
        ("data.simulator.drift.form", "2026-01", "data.simulator.drift.form is not a known key; did you mean from?"),
        ("max_depth", "10", "max_depth = 10: input should be a valid integer"),
        ("max_depth", 0, "max_depth = 0: input should be greater than or equal to 1"),
        ("max_depth", 2.5, "max_depth = 2.5: input should be a valid integer"),
        ("max_depth", True, "max_depth = True: input should be a valid integer"),
        ("learning_rate", 0, "learning_rate = 0: input should be greater than 0"),
        ("learning_rate", float("nan"), "learning_rate = nan: input should be"),
        ("model", "xgbost", "model = xgbost: input should be 'xgboost', 'random_forest'"),
        ("seed", None, "seed = null: input should be a valid integer"),
        ("preprocess.test_share", 1.0, "preprocess.test_share = 1.0: input should be less than 1"),
        ("preprocess.cutoff", "2025-1-1", "preprocess.cutoff = 2025-1-1: string should match pattern"),
        ("data.simulator.start", "2025-13", "data.simulator.start = 2025-13: string should match pattern"),
        ("decision.threshold", 2, "decision.threshold = 2: input should be 'auto'; or input should be less than"),
        ("evaluate.slices", 3, "evaluate.slices = 3: input should be 'auto'; or input should be a valid list"),
        ("features", 3, "features = 3: input should be"),
        ("intercept", 1, "intercept is not a known key"),
        ("evaluate.interval", 1, "evaluate.interval is not a known key"),
        ("decision.value_saved", float("inf"), "decision.value_saved = inf: input should be a finite number"),
        ("C", float("inf"), "C = inf: input should be a finite number"),
        ("data.simulator.start", "0000-05", "data.simulator.start = 0000-05: string should match pattern"),
        ("data.source", "table", "data = {source, simulator, table}: source table needs a table; name yours with"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(document: dict[str, Any], path: str, value: Any, message: str) -> None:
    with pytest.raises(ParamsError) as caught:
        params.parse(set_at(document, path, value))
    assert str(caught.value).startswith(f"params.yaml: {message}")
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named(document: dict[str, Any]) -> None:
    del document["preprocess"]["leakage"]
    with pytest.raises(ParamsError, match=r"params.yaml: preprocess.leakage is missing"):
        params.parse(document)


def test_shares_must_leave_rows_to_train_on(document: dict[str, Any]) -> None:
    set_at(document, "preprocess.test_share", 0.6)
    with pytest.raises(ParamsError, match="must leave at least 5 %"):
        params.parse(set_at(document, "preprocess.validation_share", 0.4))


@pytest.mark.parametrize(("written", "meant"), [("1e-3", 0.001), ("0.05", 0.05), ("1", 1.0)])
def test_numbers_are_read_as_people_write_them(document: dict[str, Any], written: str, meant: float) -> None:
    text = yaml.safe_dump(document).replace("learning_rate: null", f"learning_rate: {written}")
    loaded = params.parse(yaml.safe_load(text))
    assert loaded.learning_rate == meant


def test_broken_files_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="is missing"):
        params.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: [1\nb: 2")
    with pytest.raises(ParamsError, match="is not valid YAML"):
        params.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("a: &a {b: *a}")
    with pytest.raises(ParamsError, match="refers to itself"):
        params.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("max_depth: 3\nmax_depth: 4")
    with pytest.raises(ParamsError, match="max_depth stands there twice"):
        params.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("")
    with pytest.raises(ParamsError, match="expected keys and values"):
        params.load(tmp_path / "params.yaml")


def test_a_stage_cannot_read_what_it_does_not_declare() -> None:
    view = params.view("evaluate", ROOT / "tests" / "params.yaml")
    assert view.get("decision.value_saved") > 0
    assert view.get("evaluate").resamples >= 100
    with pytest.raises(ParamsError, match=r"does not declare decision\.threshold"):
        view.get("decision.threshold")
    with pytest.raises(ParamsError, match="does not declare model"):
        view.get("model")


def test_hyperparameters_left_null_are_the_kinds_own(document: dict[str, Any]) -> None:
    assert params.parse(document).hyperparameters == {}
    assert params.parse(set_at(document, "max_depth", 10)).hyperparameters == {"max_depth": 10}
