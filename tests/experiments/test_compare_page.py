"""How a comparison looks: in terminals of any width, in a notebook, as a page."""

from __future__ import annotations

import io
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from playwright.sync_api import sync_playwright
from rich.console import Console

from mlops.errors import ExperimentError
from mlops.experiments import compare_page, curves
from mlops.experiments.axes import Axis
from mlops.experiments.compare import compare
from mlops.experiments.compared import Board
from mlops.experiments.tracker import ExperimentTracker
from tests.browser import QUIET, chromium
from tests.experiments.compared import Compared

EVIL = "<script>alert(1)</script> [bold]&amp; \"' \u202e"


@pytest.fixture
def project(tmp_path: Path) -> Compared:
    """Runs with a param each on a decade of its own, one failed, one without the metric."""
    made = Compared(tmp_path)
    for i in range(8):
        made.logged(f"run-{i}", metrics={"roc_auc": 0.7 + i / 100}, params={"depth": i, "rate": 10.0**-i}, note=EVIL)
    made.logged("broken", metrics={"roc_auc": 0.99}, params={"depth": 99}, state="failed", error=EVIL)
    made.logged("other", metrics={"accuracy": 0.9}, params={"depth": 50, "kind": "forest"})
    return made


class Tags(HTMLParser):
    """Counts tags; of SVG's by their class."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(f"{tag}.{dict(attrs).get('class') or ''}")


def printed(found: Board, width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(found)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_wide_terminal_has_a_column_for_each_param(project: Compared) -> None:
    lines = printed(compare(project.git), 200).splitlines()
    head = next(line for line in lines if "roc_auc" in line and "name" in line)
    assert head.split()[:7] == ["#", "name", "roc_auc", "vs", "main", "depth", "rate"]
    assert next(line for line in lines if "run-7" in line and "best" not in line).split()[:3] == [
        "1",
        "run-7",
        "0.7700",
    ]


def test_a_narrow_one_has_them_together_and_loses_nothing(project: Compared) -> None:
    text = printed(compare(project.git), 70)
    assert max(map(len, text.splitlines()[1:-2])) <= 70
    words = re.sub(r"\s+", "", text)
    assert all(f"depth={i}" in words for i in range(8))
    assert "…" not in text.replace("[…]", "")


def test_what_people_write_is_no_markup(project: Compared) -> None:
    found = compare(project.git)
    for text in (printed(found, 200), repr(found)):
        assert "<script>alert(1)</script> [bold]&amp;" in text
        assert "\u202e" not in text
    html = found._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_the_page_draws_every_run_and_asks_no_network(project: Compared, tmp_path: Path) -> None:
    compare_page.write(project.git, compare(project.git, top=3), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    tags = Tags(text).names
    assert sum(t.startswith("circle.") for t in tags) == 2 * 8  # depth and rate of the runs that have the metric
    assert tags.count("circle.best") == 2
    assert "script." not in tags
    assert not re.search(r"https?:|src=|url\(|@import", text)
    assert "rate (logarithmic)" in text
    assert "depth (logarithmic)" not in text


def test_roc_curves_are_those_of_the_commits(project: Compared) -> None:
    good = "fpr,tpr\n0,0\n0.2,0.7\n1,1\n"
    for name, text in (("straight", good), ("torn", "fpr,tpr\n0,"), ("strange", "fpr,tpr\n0,7\n")):
        project.filed(
            name, {"metrics/evaluate/plots/roc.csv": text, "metrics/evaluate/metrics.json": '{"roc_auc": 0.9}'}
        )
    found = compare(project.git)
    (curve,) = curves.rocs(project.git, found)
    assert (curve.label, curve.points) == ("straight", ((0, 0), (0.2, 0.7), (1, 1)))


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.booleans())
def test_ticks_are_few_and_inside(low: float, size: float, log: bool) -> None:
    low = abs(low) + 1e-6 if log else low
    high = low * (50 + size) if log else low + size
    assume(high - low > 1e-9 * abs(low))
    axis = Axis("x", low, high, log)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 12
    assert all(low - size / 1e3 <= t <= high + abs(high) * 1e-9 + size / 1e3 for t in ticks)
    assert math.isclose(axis.at(low), 0, abs_tol=1e-9)
    assert math.isclose(axis.at(high), 1)


@pytest.mark.slow
def test_a_browser_shows_it_light_and_dark(project: Compared, tmp_path: Path) -> None:
    program = chromium()
    compare_page.write(project.git, compare(project.git), tmp_path / "page.html")
    said: list[str] = []
    backs = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=QUIET)
        for scheme in ("light", "dark"):
            page = browser.new_page(color_scheme=scheme, viewport={"width": 900, "height": 700})  # type: ignore[arg-type]
            page.on("console", lambda message: said.append(message.text))
            page.on("request", lambda request: said.append(request.url))
            page.goto((tmp_path / "page.html").as_uri())
            backs.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert page.locator("svg").count() == 2
            assert page.locator("circle title").first.text_content()
        browser.close()
    assert said == [(tmp_path / "page.html").as_uri()] * 2
    assert backs[0] != backs[1]


def test_a_script_has_no_place_to_draw_in(project: Compared) -> None:
    with pytest.raises(ExperimentError, match=r'plot=True draws in a notebook; here plot="compare.html"'):
        ExperimentTracker(project.git.folder).compare(plot=True)
