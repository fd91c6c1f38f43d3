"""The report in its three shapes: the same words, what matters first, nothing that a name could do."""

from __future__ import annotations

import io
import math
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from mlops.errors import ReportError
from mlops.report import facts, markdown, numbers, page, paired, result_words, terminal, words
from mlops.report.document import Document, sparkline
from mlops.report.texts import JOINER
from tests.browser import QUIET, chromium
from tests.unit.report_facts import ALONE, metric, replaced, whole
from tests.unit.test_report_texts import ALLOWED, EXAMPLES, Read

PARTS = [
    "Metrics", "Decisions that flip", "Groups that got worse", "Calibration", "Expected profit",
    "Features that count more or less", "Checks of the gate",
    "Parameters", "policy.yaml", "Code", "Data", "Size and time", "Packages (requirements.txt)", "Curves",
]  # fmt: skip


def document(**changes: object) -> Document:
    return words.document(facts.read({**whole(), **changes}))


def printed(found: Document) -> str:
    text = io.StringIO()
    terminal.show(Console(width=400, file=text), found)
    return text.getvalue()


def finished(text: str) -> str:
    """Markdown as a page; Mermaid's drawings, which only Markdown has, left out."""
    without = re.sub(r"```mermaid.*?```", "", text, flags=re.DOTALL)
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(without)


def bare(text: str) -> list[str]:
    """The words, without lines of tables and lists."""
    return re.sub(r"[─`•]|(?m:^\s*-\s)", " ", text.replace(JOINER, "").replace("\u00a0", " ")).split()


def body(html: str) -> str:
    """The text of a page's body; drawings, which only the page has, left out."""
    inside = html.split("<body>")[-1]
    inside = re.sub(r"<figure>.*?<figcaption>(.*?)<br>.*?</figure>", r"<p>\1</p>", inside, flags=re.DOTALL)
    plain = re.sub(r" (class|open)(=\"?\w+\"?)?", "", inside)
    return Read(re.sub(r"</(t|li|p)", r" </\1", plain)).text


def test_terminal_markdown_and_page_have_the_same_words() -> None:
    found = document()
    in_terminal = bare(printed(found))
    assert len(in_terminal) > 300
    assert bare(body(finished(markdown.of_document(found)))) == in_terminal
    assert bare(body(page.render(found))) == in_terminal


def test_the_verdict_comes_first_and_what_matters_most_after_it() -> None:
    found = document()
    text = markdown.of_document(found)
    assert text.splitlines()[0].startswith("## better: roc\\_auc 0.8100 against 0.8000 of main")
    assert printed(found).startswith("better: roc_auc 0.8100 against 0.8000 of main (bbbbbbbb)")
    assert [section.title for section in found.sections] == PARTS
    told = ["refuses it", "slices: roc", "gate.max\\_loss 0.01 → 0.5", "### Metrics"]
    assert sorted(told, key=text.index) == told


def test_the_deciding_reason_is_not_said_twice() -> None:
    headline = "worse: roc_auc 0.7 against 0.8 of main (bbbbbbbb), -0.1 [-0.2, -0.05]"
    text = markdown.of_document(document(headline=headline, reasons=[headline], verdict="worse"))
    assert text.count("0.7 against 0.8") == 1


def test_sections_with_nothing_to_say_are_left_out() -> None:
    nothing = {"count": 0, "shown": []}
    found = document(
        metrics=[], decisions=None, slices=None, calibration=None, features=[], checks=[], params=nothing,
        policy=nothing, code={"count": 0, "files": [], "others": [], "outputs": []}, data=None,
        environment=nothing, curves=[], cost={"size": None, "latency": None, "train_seconds": None},
    )  # fmt: skip
    assert found.sections == ()


def test_new_gone_and_unknown_metrics_are_told_apart() -> None:
    text = markdown.of_document(document())
    assert "| mine | | 0.8100 | | new |" in re.sub(r"\s+", " ", text)
    assert "| theirs | 0.8000 | | | gone |" in re.sub(r"\s+", " ", text)
    assert "| odd | 0.8000 | – | – | own test rows |" in re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("limit", [30_000, 8_000, 4_000, 2_000, 800])
def test_a_long_report_is_cut_between_sections_and_says_where_the_rest_is(limit: int) -> None:
    whole_text = markdown.render(whole())
    text = markdown.render(whole(), limit, "https://ci.example/run/1")
    assert len(text) <= limit
    if len(whole_text) <= limit:
        assert text == whole_text
        return
    kept, _, rest = text.rpartition("This is cut: ")
    assert "[the whole report](https://ci.example/run/1)" in rest
    assert kept.startswith(whole_text.splitlines()[0])
    parts = re.split(r"^(?=### |<details>)", whole_text, flags=re.MULTILINE)
    shown = re.split(r"^(?=### |<details>)", kept, flags=re.MULTILINE)[1:]
    places = [[part.strip() for part in parts].index(part.strip()) for part in shown]
    assert places == sorted(places)
    assert int(rest.split()[0]) >= len(parts) - 1 - len(shown) > 0


def test_a_part_too_long_is_left_out_and_those_after_it_are_not() -> None:
    parts = ["## head\n", "a" * 50, "b" * 500, "c" * 50, "d" * 500, "e\n"]
    made = markdown._fitting(parts, 250, None)
    assert made == "\n".join(
        [
            parts[0],
            parts[1],
            parts[3],
            parts[5],
            "This is cut: 2 more parts do not fit here; `mlops report` shows the whole.\n",
        ]
    )
    assert len(markdown._fitting(["x" * 300, "y"], 250, None)) == 250


def test_seventy_thousand_characters_fit_into_a_comment() -> None:
    long = {**whole(), "notes": ["x" * 990] * 40, "reasons": ["<" * 990] * 40}
    assert len(markdown.render(long)) > 70_000
    text = markdown.render(long, 65_000, "https://ci.example/run/1")
    assert len(text) <= 65_000
    assert text.startswith("## better")
    assert "This is cut" in text


@pytest.mark.parametrize("name", EXAMPLES)
def test_hostile_names_do_nothing_wherever_they_stand(name: str) -> None:
    hostile = replaced(whole(), lambda text: name)
    html = finished(markdown.render(hostile))
    tags = {tag.lower() for tag in re.findall(r"<\s*([a-zA-Z0-9]+)", html)}
    assert tags <= ALLOWED | {"h3", "b", "details", "summary"}
    assert html.count("<tr>") == finished(markdown.render(whole())).count("<tr>")
    made = page.render(words.document(facts.read(hostile)))
    assert not re.search(r"<script|<img|onerror=\"|javascript:", made.replace("&lt;", ""))
    assert "\x1b" not in printed(words.document(facts.read(hostile)))


def test_the_page_asks_no_network_and_has_both_curves() -> None:
    made = page.render(document())
    assert not re.search(r"(src|href|url)\s*[=(]|@import|<script|https?:", made)
    assert "default-src 'none'" in made
    assert made.count("<svg") == 2
    assert (made.count('<path class="now"'), made.count('<path class="before"')) == (2, 1)


def test_without_intervals_no_heading_promises_them() -> None:
    alone = [metric("roc_auc", **ALONE), metric("mine", **ALONE, there="new", baseline=None)]
    found = document(metrics=alone, delong=None)
    assert " % interval]" not in printed(found)
    assert "difference [95 % interval]" in printed(document())


def test_what_is_zero_by_four_decimals_has_no_sign() -> None:
    assert numbers.signed(-0.00001) == numbers.signed(0.00001) == "0.0000"
    assert numbers.number(-0.00001) == "0.0000"
    assert numbers.moved(0.01, -0.00004, 0.02) == "+0.0100 [0.0000, +0.0200]"
    assert numbers.moved(0.01, None, None) == numbers.moved(0.01, -math.inf, math.inf) == "+0.0100 [no interval]"
    assert numbers.moved(math.nan, math.nan, math.nan) == numbers.moved(None, None, None) == "–"


@given(st.floats(-1, 1), st.floats(0, 0.2), st.floats(0, 0.2))
@example(0.0000499996, 0.00005, 0.1)
@example(-0.00014999951, 0.0, 0.0)
def test_gate_and_report_write_the_same_of_the_same_number(difference: float, below: float, above: float) -> None:
    found = paired.change("calibration", (0.5 + difference, 0.5), (difference - below, difference + above))
    told = facts.read({**whole(), "calibration": found.facts()}).calibration
    assert told is not None
    assert result_words.moved(told) == found.words()
    assert numbers.number(told.candidate) == numbers.number(found.candidate)


def test_the_opening_names_every_rule_that_the_branch_brings_the_model_and_the_metric_first() -> None:
    names = ("gate.max_loss", "gate.waive", "promotion.stage", "gate.metric", "registry.name", "registry.keep")
    shown = [{"name": name, "before": "old", "after": "new", "stages": []} for name in names]
    opening = printed(document(policy={"count": len(shown), "shown": shown})).split("Metrics")[0]
    told = "registry.name old → new, gate.metric old → new, gate.max_loss old → new (policy.yaml)"
    assert f"it is judged by rules that it brings itself: {told}" in " ".join(opening.split())


@pytest.mark.slow
@pytest.mark.parametrize("width", [1000, 1300])
def test_no_table_of_the_page_is_cut_off_in_a_browser(tmp_path: Path, width: int) -> None:
    found = whole()
    bins = [[0.019 * i, 0.019 * i] for i in range(1, 11)]
    found["curves"] = [{"name": "calibration", "before": bins, "after": bins}]
    script = (
        "<script>document.title = [...document.querySelectorAll('.wide')]"
        ".map(e => e.scrollWidth - e.clientWidth).join()</script></body>"
    )
    made = page.render(words.document(facts.read(found)))
    place = tmp_path / "page.html"
    place.write_text(made.replace("default-src 'none'; ", "").replace("</body>", script))
    command = [chromium(), "--headless", *QUIET, f"--user-data-dir={tmp_path}", f"--window-size={width},2000"]
    done = subprocess.run(
        [*command, "--dump-dom", place.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    title = re.search("<title>([^<]*)</title>", done.stdout)
    assert title is not None
    assert set(title[1].split(",")) == {"0"}


def test_only_facts_are_rendered() -> None:
    with pytest.raises(ReportError):
        markdown.render({"verdict": "better"})


def test_a_sparkline_spans_its_range() -> None:
    assert sparkline([0.0, 0.5, 1.0, 9.0, -1.0], 1.0) == "▁▅██▁"
    assert sparkline([0.0], 0.0) == ""


def test_a_profit_whose_prices_nobody_knows_is_told_without_them() -> None:
    found = whole()
    found["decisions"]["money"] = [None, None]
    text = markdown.render(found, None, None)
    assert "are contacted, before" in text
    assert "a contact costs" not in text
