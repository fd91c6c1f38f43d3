"""The served model: checked before it is parsed, refused when its parts do not belong together."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops import bundle, columns, contributions
from mlops.encode import Encoder
from mlops.errors import BundleError, DataError
from mlops.explain import explain_row
from mlops.features import Plan
from mlops.model.pipeline import assemble
from tests.unit.models import (
    Fitted,
    saved,
    simulated,
    to_scalars,
)


def test_altered_bundles_are_refused(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    saved("xgboost", fitted["xgboost"], plan, tmp_path)
    model = (tmp_path / "model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(model[:-1] + b"x")
    with pytest.raises(BundleError, match=r"model.onnx is not what its manifest says"):
        bundle.load(tmp_path)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"model.onnx is missing; `dvc checkout"):
        bundle.load(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(BundleError, match="reads format 1"):
        bundle.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        bundle.load(tmp_path)
    with pytest.raises(BundleError, match=r"manifest.json is missing; make the model with `dvc repro`"):
        bundle.load(tmp_path / "nowhere")


def test_files_that_nothing_is_made_of_are_checked_but_not_kept(
    fitted: dict[str, Fitted], plan: Plan, tmp_path: Path
) -> None:
    saved("xgboost", fitted["xgboost"], plan, tmp_path)
    files = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.name != "manifest.json"}
    bundle.save(tmp_path, {**files, "booster.json": bytes(32_000_000)}, {"threshold": 0.1})
    tracemalloc.start()
    try:
        bundle.load(tmp_path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 16_000_000
    (tmp_path / "booster.json").write_bytes(bytes(31_999_999) + b"x")
    with pytest.raises(BundleError, match=r"booster.json is not what its manifest says"):
        bundle.load(tmp_path)


def test_a_wrong_model_with_right_digests_is_refused(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    saved("xgboost", fitted["xgboost"], plan, tmp_path)
    names = [p.name for p in tmp_path.iterdir() if p.name != "manifest.json"]
    files = {name: (tmp_path / name).read_bytes() for name in names}
    bundle.save(tmp_path, {**files, "model.onnx": b"no model"}, {"threshold": 0.1})
    with pytest.raises(BundleError, match=r"model.onnx cannot be loaded"):
        bundle.load(tmp_path)
    bundle.save(tmp_path, {**files, "encoder.json": b"{}"}, {"threshold": 0.1})
    with pytest.raises(BundleError, match=r"encoder.json is not an encoder"):
        bundle.load(tmp_path)
    bundle.save(tmp_path, {"model.onnx": files["model.onnx"]}, {"threshold": 0.1})
    with pytest.raises(BundleError, match=r"does not list encoder.json"):
        bundle.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("encoder.json", lambda d: {**d, "features": d["features"][1:]}, "do not belong together"),
        ("encoder.json", lambda d: {**d, "features": [], "blocks": [], "inputs": []}, "the model reads another number"),
        ("encoder.json", lambda d: {**d, "inputs": d["inputs"][::-1]}, "signature and encoder name other columns"),
        ("calibrator.json", lambda d: {**d, "score": "odds"}, "the calibrator is none"),
        ("calibrator.json", lambda d: {**d, "slope": "steep"}, "is not a served model"),
        ("signature.json", lambda d: {}, "is not a served model"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(
    fitted: dict[str, Fitted], plan: Plan, tmp_path: Path, name: str, change: Callable[[Any], Any], message: str
) -> None:
    saved("xgboost", fitted["xgboost"], plan, tmp_path)
    files = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.name != "manifest.json"}
    altered = json.dumps(change(json.loads(files[name]))).encode()
    bundle.save(tmp_path, {**files, name: altered}, {"threshold": 0.1})
    with pytest.raises(BundleError, match=message):
        bundle.load(tmp_path)


@pytest.mark.parametrize("threshold", [float("nan"), 7, -0.1])
def test_a_threshold_is_a_probability(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path, threshold: float) -> None:
    saved("xgboost", fitted["xgboost"], plan, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "threshold": threshold}))
    with pytest.raises(BundleError, match="is no probability"):
        bundle.load(tmp_path)


def test_numbers_that_float32_cannot_hold_are_refused(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    served = saved("xgboost", fitted["xgboost"], plan, tmp_path)
    table, _ = simulated(3, 1)
    (row, *_) = to_scalars(plan, table)
    with pytest.raises(DataError, match=r"minutes: a value is beyond ±3.4e\+38"):
        served.score_row({**row, "minutes": 1e300})
    raw = columns.raw(table, plan.inputs)
    with pytest.raises(DataError, match="minutes: a value is beyond"):
        served.score_columns({**raw, "minutes": np.array([1.0, -1e300, 2.0])})


def test_signature_describes_what_clients_send(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    served = saved("xgboost", fitted["xgboost"], plan, tmp_path)
    inputs = {i["name"]: i for i in served.signature["inputs"]}
    assert list(inputs) == [i.name for i in plan.inputs]
    assert inputs["sessions"] == {
        "name": "sessions", "kind": "number", "nullable": False, "whole": True, "min": 0, "max": 8, "example": 4
    }  # fmt: skip
    assert inputs["plan [a,b]"]["levels"] == ["<5", "[pro]", "a,b", "newé"]
    assert served.profile["features"]["minutes"]["missing"] == pytest.approx(0.2, abs=0.05)
    assert sum(served.profile["features"]["minutes"]["shares"]) == pytest.approx(1)
    assert served.profile["rows"] == 1500
    assert served.signature["id"] is None


def test_encoder_survives_json(fitted: dict[str, Fitted], plan: Plan) -> None:
    encoder = fitted["xgboost"].encoder
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    table, _ = simulated(200, 9)
    raw = columns.raw(table, plan.inputs)
    assert np.array_equal(encoder.columns(raw), again.columns(raw), equal_nan=True)


def test_the_frame_may_hold_other_columns(fitted: dict[str, Fitted]) -> None:
    pipeline = assemble(fitted["xgboost"].encoder, fitted["xgboost"].model)
    frame = simulated(50, 5)[0].to_pandas()
    extra = pd.concat([pd.Series(range(50), name="id"), frame], axis=1)
    assert np.array_equal(pipeline.predict_proba(frame), pipeline.predict_proba(extra))
    assert set(pipeline.predict(frame)) <= {0, 1}


def test_scoring_and_explaining_need_little() -> None:
    code = (
        "import sys, mlops.bundle, mlops.explain, mlops.production;"
        "heavy = 'pandas sklearn scipy xgboost yaml pydantic pyarrow dvc onnx vader'.split();"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_threads_score_as_one_does(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    served = saved("xgboost", fitted["xgboost"], plan, tmp_path)
    rows = to_scalars(plan, simulated(300, 6)[0])
    alone = [served.score_row(row) for row in rows]
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(lambda: [served.score_row(row) for row in rows]) for _ in range(8)]
    assert all(future.result() == alone for future in futures)


def test_a_row_comes_with_its_matrix(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    served = saved("xgboost", fitted["xgboost"], plan, tmp_path)
    table, _ = simulated(20, 6)
    whole = served.encoder.columns(columns.raw(table, plan.inputs))
    for position, row in enumerate(to_scalars(plan, table)):
        matrix, raw, probability = served.row(row)
        assert np.array_equal(matrix, whole[position : position + 1], equal_nan=True)
        assert (raw, probability) == served.score_row(row)


def test_an_explainer_is_read_once_and_only_when_asked_for(
    fitted: dict[str, Fitted], plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    parse = contributions.load

    def slowly(files: Mapping[str, bytes]) -> contributions.Explainer:
        read.append(1)
        time.sleep(0.05)
        return parse(files)

    monkeypatch.setattr(contributions, "load", slowly)
    served = saved("xgboost", fitted["xgboost"], plan, tmp_path)
    served.score_row(to_scalars(plan, simulated(1, 6)[0])[0])
    assert not read
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: served.explainer(), range(8)))
    assert len(read) == 1
    assert all(explainer is found[0] for explainer in found)


def test_a_bundle_without_explainer_serves_and_says_so(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    saved("xgboost", fitted["xgboost"], plan, tmp_path)
    files = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.name != "manifest.json"}
    bundle.save(tmp_path, {n: c for n, c in files.items() if n not in contributions.FILES}, {"threshold": 0.1})
    served = bundle.load(tmp_path)
    row = to_scalars(plan, simulated(1, 6)[0])[0]
    assert 0 < served.score_row(row)[1] < 1
    for _ in range(2):
        with pytest.raises(BundleError, match=r"made without explainer.json, .* make it with `dvc repro`"):
            explain_row(served, row)


def test_an_explainer_of_another_model_is_refused(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    saved("xgboost", fitted["xgboost"], plan, tmp_path)
    files = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.name != "manifest.json"}
    document = {**json.loads(files["explainer.json"]), "width": 99}
    bundle.save(tmp_path, {**files, "explainer.json": json.dumps(document).encode()}, {"threshold": 0.1})
    with pytest.raises(BundleError, match=r"the encoder makes \d+ columns, the explainer reads 99"):
        bundle.load(tmp_path).explainer()
