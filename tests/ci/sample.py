"""Reports as `mlops report --json` makes them."""

from __future__ import annotations

from typing import Any

from tests.unit.report_facts import whole

HEAD, BASE = "a" * 40, "b" * 40


def report(head: str = HEAD, **changes: Any) -> dict[str, Any]:
    """The document, which the gate lets pass; changes: of its first level."""
    made = whole()
    made |= {"passed": True, "reasons": [], "checks": made["checks"][:1], "notes": []}
    return {**made, "compared": {**made["compared"], "head": head}, **changes}


def long(head: str = HEAD) -> dict[str, Any]:
    """One whose Markdown has more than 70,000 characters."""
    checks = [{"name": f"check{i}", "passed": True, "words": "c" * 900, "waived": None} for i in range(40)]
    values = [{"name": f"key{i}", "before": "x" * 999, "after": "y" * 999, "stages": ["train"]} for i in range(40)]
    return report(head, checks=checks, params={"count": 40, "shown": values}, notes=["n" * 900] * 40)
