"""Our service and its peers: how each is started and asked. All serve the same model, each with one worker."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.serving import environments, rows
from benchmarks.serving.processes import Server, free_port
from mlops.bundle import Bundle

PROGRAMS = Path(__file__).resolve().parent / "programs"
OURS, MLFLOW, BENTOML, MLSERVER, NOOP = "ours", "MLflow", "BentoML", "MLServer XGBoost", "FastAPI no-op"

Bodies = Callable[[pa.Table, Bundle], Mapping[str, Any]]


@dataclass(frozen=True)
class Peer:
    """A way to serve the model. start: runs it in an empty folder; body: the request that asks about rows.

    first: reads the churn probability of the first row out of an answer, or its raw score.
    """

    start: Callable[[Path], Server]
    path: str
    body: Bodies
    first: Callable[[Any], float]


def ours(folder: Path) -> Server:
    """`python -m api` with everything switched on; its prediction log is an SQLite file in the folder."""
    (folder / "models").mkdir()
    (folder / "models" / "serving").symlink_to(rows.SERVING)
    port = free_port()
    environment = {
        "PYTHONPATH": f"{rows.ROOT / 'src'}:{rows.ROOT}",
        "MLOPS_PORT": str(port),
        "MLOPS_RUN_DIR": str(folder / "run"),
        "MLOPS_LOG": f"sqlite:///{folder / 'predictions.sqlite'}",
    }
    return Server([sys.executable, "-m", "api"], folder, environment, port, "/ready")


def _mlflow(folder: Path) -> Server:
    programs, port = environments.programs("mlflow"), free_port()
    environment = {"PYTHONPATH": str(rows.ROOT / "src"), "PATH": f"{programs}:/usr/bin:/bin"}
    saved = [str(programs / "python"), str(PROGRAMS / "mlflow_model.py"), str(rows.PIPELINE), str(rows.TABLE), "model"]
    environments.run(saved, folder, environment)
    command = ["models", "serve", "-m", "model", "--env-manager", "local", "--workers", "1", "-h", "127.0.0.1"]
    return Server([str(programs / "mlflow"), *command, "-p", str(port)], folder, environment, port, "/ping")


def _bentoml(folder: Path) -> Server:
    programs, port = environments.programs("bentoml"), free_port()
    environment = {
        "PYTHONPATH": str(rows.ROOT / "src"),
        "BENCH_PIPELINE": str(rows.PIPELINE),
        "BENTOML_HOME": str(folder / "home"),
        "BENTOML_DO_NOT_TRACK": "true",
        "PATH": f"{programs}:/usr/bin:/bin",
    }
    command = ["serve", "bento:Churn", "--working-dir", str(PROGRAMS), "--host", "127.0.0.1", "--port", str(port)]
    return Server([str(programs / "bentoml"), *command], folder, environment, port, "/readyz")


def _mlserver(folder: Path) -> Server:
    programs, ports = environments.programs("mlserver"), [free_port() for _ in range(3)]
    # With a worker process of its own (its default), MLServer 1.7.1 does not start beside uvloop 0.23.
    names = ("http_port", "grpc_port", "metrics_port")
    settings = {"parallel_workers": 0, "host": "127.0.0.1", "debug": False, **dict(zip(names, ports, strict=True))}
    model = {"name": "churn", "implementation": "mlserver_xgboost.XGBoostModel",
             "parameters": {"uri": str(rows.SERVING / "booster.json")}}  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    environment = {"PATH": f"{programs}:/usr/bin:/bin"}
    return Server([str(programs / "mlserver"), "start", "."], folder, environment, ports[0], "/v2/health/ready")


def _noop(folder: Path) -> Server:
    port = free_port()
    command = [sys.executable, str(PROGRAMS / "noop.py"), str(rows.SERVING / "signature.json"), str(port)]
    return Server(command, folder, {}, port, "/ready")


def _record(table: pa.Table, served: Bundle) -> Mapping[str, Any]:
    return _records(table, [rows.ID, *names(served)])[0]


def _records(table: pa.Table, listed: Sequence[str]) -> list[rows.Record]:
    return rows.records(table, listed)


def names(served: Bundle) -> list[str]:
    """The columns that the model reads."""
    return [i.name for i in served.encoder.plan.inputs]


def split(table: pa.Table, served: Bundle) -> Mapping[str, Any]:
    """MLflow's dataframe_split."""
    return rows.split(_records(table, names(served)))


def many(table: pa.Table, served: Bundle) -> Mapping[str, Any]:
    """Our own form for many records."""
    return {"records": _records(table, [rows.ID, *names(served)])}


def uncalibrated(raw: float) -> float:
    """The probability that the booster alone gives: what a server of boosters answers."""
    return 1 / (1 + math.exp(-raw))


def _bento_rows(table: pa.Table, served: Bundle) -> Mapping[str, Any]:
    return {"rows": _records(table, names(served))}


PEERS: Mapping[str, Peer] = {
    OURS: Peer(ours, "/predict", _record, lambda a: float(a["churn_probability"])),
    MLFLOW: Peer(_mlflow, "/invocations", split, lambda a: float(a["predictions"][0][1])),
    BENTOML: Peer(_bentoml, "/predict", _bento_rows, lambda a: float(a[0][1])),
    MLSERVER: Peer(_mlserver, "/v2/models/churn/infer", rows.tensor, lambda a: float(a["outputs"][0]["data"][0])),
    NOOP: Peer(_noop, "/predict", _record, lambda a: float(a["churn_probability"])),
}
