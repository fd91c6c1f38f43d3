"""How far what is served is from the library that trained it: all four kinds of models, fitted by the real stages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np

from benchmarks import pipeline
from benchmarks.serving import rows
from mlops import bundle, columns

CUSTOMERS, MONTHS = 2500, 6
BOUNDS = {"xgboost": 1e-6, "hist_gradient_boosting": 1e-6, "logistic_regression": 1e-6, "random_forest": 5e-6}
STAGES = """
import importlib, sys
from mlops import params
for name in sys.argv[1:]:
    importlib.import_module("mlops." + name).work(params.view(name))
"""


def differences() -> Iterator[tuple[str, float, float]]:
    """Kind, largest absolute difference of the raw score in bulk and row by row, bound."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pipeline.workspace(Path(temporary) / "small", CUSTOMERS, MONTHS)
        _stages(folder, "ingest", "preprocess")
        text = (folder / "params.yaml").read_text()
        for kind, bound in BOUNDS.items():
            changed, found = re.subn(r"(?m)^model: \w+", f"model: {kind}", text)
            if found != 1:
                raise SystemExit("error: params.yaml names no model; `git checkout params.yaml` brings it back")
            (folder / "params.yaml").write_text(changed)
            _stages(folder, "train")
            yield kind, _largest(folder), bound


def _stages(folder: Path, *names: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    done = subprocess.run(
        [sys.executable, "-c", STAGES, *names], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"error: {' '.join(names)}\n{done.stdout}{done.stderr}")


def _largest(folder: Path) -> float:
    served = bundle.load(folder / "models" / "serving")
    fitted = joblib.load(folder / "models" / "model.joblib")
    table = columns.read_parquet(folder / "data" / "raw" / "table.parquet")
    frame = table.to_pandas()
    library = fitted.named_steps["model"].raw_scores(fitted.named_steps["encode"].transform(frame))
    bulk, _ = served.score_columns(columns.raw(table, served.encoder.plan.inputs))
    single = np.array([served.score_row(values)[0] for values in rows.scalars(table, served)])
    return float(max(np.abs(bulk - library).max(), np.abs(single - library).max()))
