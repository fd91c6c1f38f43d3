"""The text that Prometheus reads."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.metrics import Meters
from api.metrics.families import FAMILIES
from api.metrics.text import edge_text, number
from tests.unit.test_metrics_service import fill, value

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def promtool(*words: str, text: bytes = b"") -> None:
    tool = shutil.which("promtool")
    if tool is None:
        said = "promtool is missing; install Debian's package prometheus"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    done = subprocess.run([tool, *words], input=text, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_names_say_their_kind() -> None:
    for family in FAMILIES.values():
        assert family.name.startswith(("churn_", "process_"))
        assert (family.kind == "counter") == family.name.endswith("_total"), family.name
        if family.kind == "gauge" and not family.at_scrape:
            assert family.labels[0] == "worker", "two workers' gauges would overwrite each other"


def test_the_format_is_prometheus(tmp_path: Path) -> None:
    meters = Meters(tmp_path, 1)
    fill(meters)
    text = meters.exposition()
    promtool("check", "metrics", text=text)
    lines = text.decode().split("\n")
    for comment in ("HELP", "TYPE"):
        shown = [line.split()[2] for line in lines if line.startswith(f"# {comment} ")]
        known = list(FAMILIES)
        assert shown == sorted(set(shown), key=known.index), f"each {comment} once, in the table's order"
        assert set(shown) >= {f.name for f in FAMILIES.values() if not f.at_scrape}
    assert lines[-1] == "", "the last line ends too"


def test_families_without_series_are_left_out(tmp_path: Path) -> None:
    meters = Meters(tmp_path, 1)
    assert b"churn_refused_total" not in meters.exposition()


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_label_comes_through(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        meters = Meters(Path(folder), 1)
        meters.counter("churn_rate_limited_total", key=text).add(2)
        assert value(meters, "churn_rate_limited_total", key=text) == 2
        meters.close()


def test_half_a_character_does_not_break_the_exposition(tmp_path: Path) -> None:
    meters = Meters(tmp_path, 1)
    meters.counter("churn_rate_limited_total", key="\ud800").add()
    assert value(meters, "churn_rate_limited_total", key="?") == 1


@pytest.mark.parametrize(
    ("edge", "text"),
    [
        (0.005, "0.005"),
        (1, "1.0"),
        (0.00001, "1e-05"),
        (999999, "999999.0"),
        (1e6, "1e+06"),
        (1234567.5, "1.2345675e+06"),
        (-25_000_000, "-2.5e+07"),
        (1e16, "1e+16"),
        (math.inf, "+Inf"),
    ],
)
def test_edges_are_spelled_as_prometheus_3_spells_them(edge: float, text: str) -> None:
    assert edge_text(float(edge)) == text
    assert float(text) == edge


@given(st.floats(allow_nan=False))
def test_numbers_lose_nothing(x: float) -> None:
    assert float(number(x)) == x
    assert float(edge_text(x)) == x


def test_whole_numbers_have_no_point() -> None:
    assert [number(x) for x in (3.0, -2.0, 0.5, 1e300, math.inf, -math.inf, math.nan)] == [
        *("3", "-2", "0.5", "1e+300", "+Inf", "-Inf", "NaN"),
    ]


def test_the_page_names_what_there_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    in_tables = re.findall(r"^\| `((?:churn|process)_\w+)`  ?\| ([^|]*)", page, re.MULTILINE)
    assert {name: tuple(filter(None, labels.strip().split(", "))) for name, labels in in_tables} == {
        family.name: family.labels for family in FAMILIES.values()
    }


def test_the_questions_of_the_page_are_promql(tmp_path: Path) -> None:
    (block,) = re.findall(r"```promql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    without_comments = re.sub(r"^#.*\n", "\n", block, flags=re.MULTILINE)
    asked = [q for part in without_comments.split("\n\n") for q in re.split(r"\n(?! )", part.strip()) if q]
    assert len(asked) == 13
    for name in re.findall(r"(?:churn|process)_\w+", " ".join(asked)):
        assert name in FAMILIES or re.sub("_(bucket|sum|count)$", "", name) in FAMILIES
    rules = [{"record": f"question:{i}", "expr": question} for i, question in enumerate(asked)]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "questions", "rules": rules}]}))
    promtool("check", "rules", str(file))
