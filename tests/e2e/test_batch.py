"""`mlops predict` as a person or cron runs it: what it says, what it costs, and what stays when it is stopped."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import yaml

from mlops import features
from mlops.params import VIEWS, View, parse
from tests.unit.batches import COMMIT, customers, promoted, workspace
from tests.unit.models import ROOT, SCHEMA, fitted_on, rows_of, simulated

pytestmark = pytest.mark.slow

PEAK = """
import re, sys
from mlops import cli
code = cli.main(sys.argv[1:])
print(re.search("VmHWM:.*", open("/proc/self/status").read())[0])
sys.exit(code)
"""  # the kernel's account of a child begins with what its parent holds
PREDICT = [sys.executable, "-m", "mlops.cli", "predict"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    document = yaml.safe_load((ROOT / "tests" / "params.yaml").read_text())
    view = View(parse({**document, "n_estimators": 40}), VIEWS["train"])
    plan = features.plan(SCHEMA, {"sessions": False}, with_sentiment=True)
    made = fitted_on(rows_of(plan, *simulated(1500, 1)), rows_of(plan, *simulated(700, 2)), plan, view)
    folder = workspace("xgboost", {"xgboost": made}, plan, tmp_path_factory.mktemp("models"), id="customer")
    promoted(folder, "prod", "v1.2.0")
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400,000 rows as CSV: more than a second's work."""
    path = tmp_path_factory.mktemp("many") / "in.csv"
    pacsv.write_csv(pa.concat_tables([customers(4000)] * 100), path)
    return path


def predict(models: Path, given: Path, output: Path, *more: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    command = [*PREDICT, "--models", str(models), "--input", str(given), "--output", str(output), *more]
    done = subprocess.run(command, capture_output=True, text=True, cwd=given.parent)
    assert (done.returncode == 0) == ok, done.stderr
    return done


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    pacsv.write_csv(customers(300), path)
    return path


def test_what_it_says(models: Path, given: Path, tmp_path: Path) -> None:
    lines = given.read_text().splitlines()
    lines[3] = lines[3].replace(lines[3].split(",")[0], "many", 1)
    given.write_text("\n".join(lines))
    done = predict(models, given, tmp_path / "out.parquet")
    assert re.fullmatch(
        r"299 rows scored, 1 quarantined in \S+out.rejected.csv: \S+out.parquet, version v1.2.0, \d+\.\d s\n"
        r"  quarantined: minutes is not a finite number \(1\)\n  unseen levels: region \(2\)\n",
        done.stdout,
    )
    assert done.stderr == ""
    assert set(pq.read_table(tmp_path / "out.parquet").column("commit").to_pylist()) == {COMMIT}
    facts = json.loads(predict(models, given, tmp_path / "out.csv.gz", "--json", "--threads", "1").stdout)
    assert (facts["rows"], facts["scored"], facts["quarantined"]) == (300, 299, 1)
    assert (facts["version"], facts["commit"], facts["stage"]) == ("v1.2.0", COMMIT, "prod")
    assert facts["quarantine"] == str(tmp_path / "out.rejected.csv")
    assert facts["unknown_levels"] == {"region": 2}
    assert facts["reasons"] == {"minutes is not a finite number": 1}


def test_an_unpromoted_model_is_named_as_one(models: Path, given: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "serving").symlink_to(models / "serving")
    done = predict(tmp_path / "models", given, tmp_path / "out.csv")
    assert re.fullmatch(
        r"warning: \S+production: nothing is promoted to prod; scored with \S+serving, unpromoted-[0-9a-f]{8}\n",
        done.stderr,
    )
    assert "version unpromoted-" in done.stdout


def test_errors_are_one_line(models: Path, given: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((given.with_name("im.csv"), tmp_path / "out.csv"), "im.csv does not exist; did you mean"),
        ((given, tmp_path / "nowhere" / "out.csv"), "there is no folder"),
        ((given, given), "must be three files"),
        ((given, tmp_path / "out.csv", "--stage", "prd"), "nothing is promoted to 'prd'; did you mean prod?"),
        ((given, tmp_path / "out.csv", "--max-bda", "1"), "--max-bda is not known; did you mean --max-bad?"),
    ):
        done = predict(models, *arguments, ok=False)  # type: ignore[arg-type]
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("*out*"))


def test_scoring_imports_neither_pandas_nor_scikit_learn(models: Path, given: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from mlops import cli; code = cli.main(sys.argv[1:]);"
        "heavy = ('pandas', 'sklearn', 'dvc', 'pydantic');"
        "print([m for m in heavy if m in sys.modules], 'xgboost' in sys.modules, code)"
    )
    arguments = ["predict", "--models", models, "--input", given, "--output", tmp_path / "out.csv"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[] True 0", done.stderr


def started(models: Path, given: Path, output: Path) -> subprocess.Popen[str]:
    """A run that has begun to write."""
    command = [*PREDICT, "--models", str(models), "--input", str(given), "--output", str(output)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not output.with_name(f".{output.name}.part").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.005)
    return process


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_leaves_nothing(models: Path, many: Path, tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "out.csv").write_text("old")
    process = started(models, many, tmp_path / "out.csv")
    process.send_signal(how)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert complaint.splitlines()[-1] == "error: interrupted"
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "old"


def test_a_killed_run_leaves_the_old_file_and_the_next_one_works(models: Path, many: Path, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("old")
    process = started(models, many, tmp_path / "out.csv")
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "out.csv").read_text() == "old"
    assert (tmp_path / ".out.csv.part").exists()
    done = predict(models, many, tmp_path / "out.csv")
    assert done.stdout.startswith("400,000 rows scored: ")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "out.rejected.csv"]
    assert (tmp_path / "out.csv").read_text().count("\n") == 400_001


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
def test_a_full_disk_is_one_line_and_leaves_nothing(models: Path, many: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("old")
    command = [*PREDICT, "--models", str(models), "--input", str(many), "--output", str(tmp_path / name)]
    limit = (200_000, 200_000)  # bytes that a file may have: what a full disk does, without filling one
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    )
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*File too large.*\n", done.stderr)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


def test_progress_is_shown_in_a_terminal_only(models: Path, many: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (25, 100))
    command = [*PREDICT, "--models", str(models), "--input", str(many), "--output", str(tmp_path / "out.csv")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    shown = b""
    try:
        while read := os.read(ours, 65536):
            shown += read
    except OSError:  # the terminal's other end was closed: the program ended
        pass
    finally:
        os.close(ours)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.startswith("400,000 rows scored: ")
    assert b"row/s" in shown
    assert predict(models, many, tmp_path / "out.csv").stderr == ""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc: nothing tells a process's peak")
@pytest.mark.parametrize("name", ["in.csv", "in.parquet"])
def test_memory_does_not_grow_with_the_file(models: Path, tmp_path: Path, name: str) -> None:
    """Peaks of 200,000 and of a million rows with a text that does not compress, in row groups of 100,000."""
    peaks = []
    for rows in (200_000, 1_000_000):
        table = pa.concat_tables([customers(2500)] * (rows // 2500)).drop_columns("note")
        letters = np.random.default_rng(0).integers(0, 256, 75 * rows, dtype=np.uint8).tobytes().hex()
        notes = pa.array([letters[150 * i : 150 * i + 150] for i in range(rows)])
        table = table.append_column("note", notes)
        if name.endswith(".csv"):
            pacsv.write_csv(table, tmp_path / name)
        else:
            pq.write_table(table, tmp_path / name, row_group_size=100_000)
        arguments = ["--models", str(models), "--input", name, "--output", "out.parquet", "--keep", "note"]
        command = [sys.executable, "-c", PEAK, "predict", *arguments, "--threads", "2"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout.split()[-2]) / 1024)
    assert peaks[1] < 400
    assert peaks[1] - peaks[0] < 120, peaks  # the allocator's share differs from run to run
