"""A file of a million simulated customers: `mlops predict` beside scikit-learn pipelines, two threads on all sides.

Peers read the whole file with pandas, predict, and write with pandas; each run is a process of its own:
    tutorial    ColumnTransformer (median imputation, one-hot levels) and XGBClassifier, as tutorials write it
    notebook    the project's own models/model.joblib, whose trees and encoder are those of `mlops predict`
Rates leave out what a way costs before its first row: imports and loading the model. `mlops predict` checks every cell
and writes a stamp to every row, its peers do not. The ways run in turn; medians of the rounds are reported.

    python -m benchmarks batch
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROWS = 1_000_000
ROUNDS = 5
THREADS = "2"
TRAINING = {"customers": 20_000, "months": 6}
SMALL = {"n_estimators": 100, "max_depth": 6, "learning_rate": 0.1}
"""A model of 100 trees; the default one has some 400."""
DATES, LEVELS = ("snapshot", "signup_date"), ("plan", "payment_method", "device", "region")
LEAST, MOST_MB = 5.0, 400.0


@dataclass(frozen=True)
class Run:
    """One process: seconds for the rows, of the whole process, of both processors together; peak memory in MB."""

    seconds: float
    whole: float
    cpu: float
    peak: float


def batch() -> str:
    """Rates, ratios and peak memory for Parquet and CSV, without and with a column of texts."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # In a process of its own: a child's peak counts what its parent held when it was started.
        _run("prepare", folder)
        lines = [f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"]
        lines += _compared(folder / "numbers", ("parquet", "csv"), ("notebook", "tutorial"))
        lines += _compared(folder / "default", ("parquet",), ("notebook",))
        return "\n".join(lines)


def _prepare(folder: Path) -> None:
    """The tables, and the two models with their peers."""
    _write_tables(folder)
    _train(folder / "numbers", text=False, **SMALL)
    _train(folder / "default", text=True)


def _write_tables(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    from mlops.params import Drift, Simulator
    from mlops.simulator import simulate

    table = simulate(Simulator(customers=170_000, months=6, start="2025-01", seed=7, drift=Drift())).slice(0, ROWS)
    pq.write_table(table, folder / "in.parquet", compression="zstd", row_group_size=131_072, store_schema=False)
    texts = [pa.chunked_array([c.cast(pa.string()) for c in column.chunks], pa.string())
             if pa.types.is_dictionary(column.type) else column for column in table.columns]  # fmt: skip
    pacsv.write_csv(pa.table(texts, table.column_names), folder / "in.csv")
    pq.write_table(table.slice(0, 0), folder / "none.parquet")


def _train(folder: Path, *, text: bool, **changes: Any) -> None:
    """A model as the stages make it: folder/serving/ and folder/model.joblib."""
    import joblib
    import numpy as np
    import pyarrow as pa
    import yaml

    from mlops import bundle, columns, features
    from mlops.model import export
    from mlops.model.pipeline import assemble
    from mlops.params import VIEWS, Drift, Simulator, View, parse
    from mlops.schema import Schema
    from mlops.simulator import SCHEMA, simulate
    from mlops.train import Rows, encode, fit_model

    document = yaml.safe_load(Path("tests/params.yaml").read_text())
    if changes:
        document |= {**changes, "train": {**document["train"], "early_stopping_rounds": 0}}
    view = View(parse(document), VIEWS["train"])
    schema = SCHEMA if text else Schema(tuple(c for c in SCHEMA.columns if c.name != "comment"), SCHEMA.derived)
    table = simulate(Simulator(**TRAINING, start="2025-01", seed=3, drift=Drift()))
    gaps = {c.name: table.column(c.name).null_count > 0 for c in schema.columns}
    plan = features.plan(schema, gaps, with_sentiment=True)
    y = table.column("churned").to_numpy().astype(np.int8)

    def side(chosen: np.ndarray[Any, np.dtype[np.bool_]]) -> Rows:
        part = table.filter(pa.array(chosen))
        return Rows(plan.columns(columns.raw(part, plan.inputs)), y[chosen], columns.coded(part.column("customer_id")))

    fifth = np.arange(len(y)) % 5 == 0
    encoded = encode(side(~fifth), side(fifth), plan, view, "customer_id")
    fitted = fit_model(encoded, view, lambda step, curve: None)
    described = {"signature": encoded.signature, "profile": encoded.profile}
    (folder / "serving").mkdir(parents=True)
    files = export.files(view.get("model"), fitted.model.estimator, encoded.encoder, fitted.model.calibrator, described)
    bundle.save(folder / "serving", files, {"name": "churn", "threshold": fitted.model.threshold})
    joblib.dump(assemble(encoded.encoder, fitted.model), folder / "model.joblib")
    if not text:
        _train_tutorial(folder, table.to_pandas(), encoded.signature)


def _days(frame: Any) -> Any:
    return frame.apply(lambda column: column.astype("int64") / 86400e9)


def _train_tutorial(folder: Path, frame: Any, signature: dict[str, Any]) -> None:
    import joblib
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
    from xgboost import XGBClassifier

    from benchmarks.batch import _days as days  # not __main__'s: whoever loads the pipeline must find it

    used = [i["name"] for i in signature["inputs"]]
    numbers = [name for name in used if name not in DATES + LEVELS]
    levels = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    prepare = ColumnTransformer(
        [("numbers", SimpleImputer(strategy="median"), numbers), ("dates", FunctionTransformer(days), list(DATES)),
         ("levels", levels, list(LEVELS))]
    )  # fmt: skip
    frame = _plain(frame)
    model = Pipeline([("prepare", prepare), ("model", XGBClassifier(**SMALL, n_jobs=int(THREADS)))])
    joblib.dump((model.fit(frame[used], frame["churned"]), used), folder / "tutorial.joblib")


def _plain(frame: Any) -> Any:
    """Dates in nanoseconds and levels as objects, as pandas reads them from a CSV file."""
    import pandas as pd

    dates = {name: pd.to_datetime(frame[name]).astype("datetime64[ns]") for name in DATES}
    return frame.assign(**dates, **{name: frame[name].astype(object) for name in LEVELS})


def _compared(model: Path, suffixes: Sequence[str], peers: Sequence[str]) -> Iterator[str]:
    for suffix in suffixes:
        given = model.parent / f"in.{suffix}"
        ways: dict[str, Callable[[], Run]] = {"mlops predict": lambda g=given: _ours(model, g)}  # type: ignore[misc]
        ways |= {peer: lambda p=peer, g=given: _run(p, model, g)[1] for peer in peers}  # type: ignore[misc]
        rounds = [{name: run() for name, run in ways.items()} for _ in range(ROUNDS)]
        yield f"\n{model.name} model, {suffix}, {ROWS:,} rows:"
        for name in ways:
            runs = [r[name] for r in rounds]
            middle = [statistics.median(getattr(r, what) for r in runs) for what in ("seconds", "cpu", "peak")]
            yield (
                f"  {name}: {ROWS / middle[0] / 1e3:,.0f}k rows/s, {middle[1]:.2f} s of processors,"
                f" peak {middle[2]:.0f} MB" + (f" (bound {MOST_MB:.0f})" if name == "mlops predict" else "")
            )
        for peer in peers:
            times = [statistics.median(getattr(r[peer], what) / getattr(r["mlops predict"], what) for r in rounds)
                     for what in ("seconds", "whole", "cpu")]  # fmt: skip
            bound = f" (bound {LEAST:g})" if peer == "tutorial" and suffix == "parquet" else ""
            yield (
                f"  {peer}: {times[0]:.1f} times the time{bound}; {times[1]:.1f} with imports; {times[2]:.1f} times the"
                " processors' time"
            )
    largest = _run("difference", model)[0]["largest"]
    yield f"  largest difference of the raw score from the training library: {largest:.1e}"


def _run(*arguments: str | Path) -> tuple[dict[str, Any], Run]:
    """What `main` does, in a process of its own."""
    return _measured([sys.executable, "-m", "benchmarks.batch", *map(str, arguments)])


def _measured(command: list[str]) -> tuple[dict[str, Any], Run]:
    """What a command printed as JSON, and what it cost."""
    environment = {**os.environ, "OMP_NUM_THREADS": THREADS, "PYTHONPATH": str(Path.cwd())}
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    out, complaint = process.stdout.read(), process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    whole = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"error: {' '.join(command)}\n{complaint}")
    facts = json.loads(out or "{}")
    size = used.ru_maxrss / 1024 if sys.platform != "darwin" else used.ru_maxrss / 2**20
    return facts, Run(facts.get("seconds", whole), whole, used.ru_utime + used.ru_stime, size)


def _ours(model: Path, given: Path) -> Run:
    output = given.with_name(f"out{given.suffix}")
    command = [sys.executable, "-m", "mlops.cli", "predict", "--models", str(model), "--output", str(output)]
    command += ["--threads", THREADS, "--json", "--input"]
    _, empty = _measured([*command, str(given.with_name("none.parquet"))])
    facts, run = _measured([*command, str(given)])
    if facts["scored"] != ROWS:
        raise SystemExit(f"error: {facts['quarantined']} rows were not scored: {facts['reasons']}")
    return replace(run, seconds=run.seconds - empty.seconds)


def _difference(model: Path) -> float:
    """Largest absolute difference of batch scoring from the estimator's raw score, on 100,000 rows."""
    import joblib
    import numpy as np
    import pyarrow.parquet as pq

    from mlops import bundle, columns
    from mlops.batch.model import Model
    from mlops.batch.score import Scorer

    table = pq.read_table(model.parent / "in.parquet").slice(0, 100_000)
    pipeline = joblib.load(model / "model.joblib")
    library = pipeline.named_steps["model"].raw_scores(pipeline.named_steps["encode"].transform(table.to_pandas()))
    served = bundle.load(model / "serving")
    scores, _ = Scorer(Model(model / "serving", served, "", None, None))(columns.raw(table, served.encoder.plan.inputs))
    return float(np.max(np.abs(scores - library)))


def _predict(name: str, model: Path, given: Path) -> float:
    """Seconds that a peer takes for a file."""
    import joblib
    import pandas as pd

    if name == "tutorial":
        pipeline, used = joblib.load(model / "tutorial.joblib")
    else:
        pipeline = joblib.load(model / "model.joblib")
        pipeline.named_steps["model"].estimator.set_params(n_jobs=int(THREADS))
        used = [i["name"] for i in pipeline.named_steps["encode"].document["inputs"]]
    started = time.perf_counter()
    columns = ["customer_id", *used]
    if given.suffix == ".csv":
        frame = pd.read_csv(given, usecols=columns, parse_dates=list(DATES))
    else:
        frame = pd.read_parquet(given, columns=columns)
    p = pipeline.predict_proba(_plain(frame) if name == "tutorial" else frame)[:, 1]
    scored = pd.DataFrame({"customer_id": frame["customer_id"], "churn_probability": p, "prediction": p >= 0.1})
    if given.suffix == ".csv":
        scored.to_csv(given.with_name("peer.csv"), index=False)
    else:
        scored.to_parquet(given.with_name("peer.parquet"))
    return time.perf_counter() - started


def main(argv: list[str]) -> int:
    """What the benchmark runs in a process of its own; prints what it found as JSON."""
    what, folder, *given = argv
    if what == "prepare":
        _prepare(Path(folder))
    elif what == "difference":
        print(json.dumps({"largest": _difference(Path(folder))}))
    else:
        print(json.dumps({"seconds": _predict(what, Path(folder), Path(given[0]))}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
