"""The document of a stranger: what is no report is refused in one line."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest

from mlops.errors import ReportError
from mlops.report import facts
from tests.unit.report_facts import whole


def changed(path: str, value: Any) -> dict[str, Any]:
    document: Any = copy.deepcopy(whole())
    place = document
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    if isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    found: dict[str, Any] = document
    return found


def test_a_report_comes_out_as_it_went_in_verdict_and_metric_first() -> None:
    found = facts.checked(whole())
    assert found == whole()
    assert list(found)[:2] == ["verdict", "metric"]
    assert facts.checked(json.loads(json.dumps(found))) == found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("verdict", "superb"),
        ("metric", "roc_auc | <script>"),
        ("passed", "yes"),
        ("passed", 1),
        ("headline", "x" * 1001),
        ("headline", 7),
        ("headline", None),
        ("headline", ""),
        ("headline", "worse: roc_auc 0.7"),
        ("headline", "better than ever"),
        ("verdict", "worse"),
        ("passed", True),
        ("reasons", []),
        ("reasons", ["x"] * 41),
        ("reasons", "x"),
        ("extra", 1),
        ("compared.head", "a" * 39),
        ("compared.head", "$(reboot)"),
        ("compared.rows", -1),
        ("compared.rows", 10**400),
        ("compared.rows", 1.5),
        ("metrics.0.candidate", math.nan),
        ("metrics.0.candidate", math.inf),
        ("metrics.0.candidate", 1e300),
        ("metrics.0.candidate", "0.8"),
        ("metrics.0.name", "x" * 121),
        ("metrics", [{}]),
        ("decisions.newly", [1, 2, 3]),
        ("decisions.p_value", 1.5),
        ("curves.0.after", []),
        ("curves.0.after", [[0.0, 1.1]]),
        ("curves.0.after", [[0.0, 0.1]] * 65),
        ("curves.0.name", "![x](y)"),
        ("params.shown.0.stages", [{"a": {}}]),
        ("notes", [b"bytes"]),
        ("notes", ["\ud800"]),
        ("limits", [[[[[[]]]]]]),
    ],
)
def test_anything_else_is_refused(path: str, value: Any) -> None:
    with pytest.raises(ReportError, match="no report as `mlops report --json` writes it") as raised:
        facts.checked(changed(path, value))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def passing(**changes: Any) -> dict[str, Any]:
    waived = [{**check, "waived": "needed"} if not check["passed"] else check for check in whole()["checks"]]
    return {**whole(), "passed": True, "reasons": [], "checks": waived, **changes}


def test_what_passed_has_a_good_verdict_and_good_checks_or_waivers() -> None:
    assert facts.read(passing()).passed
    with pytest.raises(ReportError, match="it passed, and its verdict or a check is bad without a waiver"):
        facts.read(passing(checks=whole()["checks"]))
    worse = passing(verdict="worse", headline="worse: roc_auc 0.7")
    with pytest.raises(ReportError, match="without a waiver"):
        facts.read(worse)
    assert facts.read({**worse, "notes": ["waived by gate.waive of policy.yaml: verdict: a leak"]}).passed
    lower = passing(verdict="no worse", headline="no worse (lower, within max_loss 0.01): roc_auc 0.7")
    assert facts.read(lower).passed


@pytest.mark.parametrize("document", [None, [], "text", 3, {}, {"verdict": "better"}])
def test_what_is_no_object_of_ours_is_refused(document: Any) -> None:
    with pytest.raises(ReportError):
        facts.checked(document)


def test_nesting_without_end_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ReportError):
        facts.checked({**whole(), "notes": deep})
    while deep:  # taken apart by hand: freeing it in one go would need as deep a stack
        deep = deep.pop()


def test_what_we_write_is_cut_to_what_we_read() -> None:
    assert facts.clip("a\nb  c") == "a b c"
    assert len(facts.clip("x" * 500)) == facts.NAME
    assert facts.clip("x" * 500).endswith("…")
