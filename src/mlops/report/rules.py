"""Which lines of policy.yaml say how a branch is judged, and which judgements need a waiver to pass."""

from __future__ import annotations

VERDICT = "verdict"
"""The verdict's name among what may be waived."""
GOOD = ("better", "no worse")
"""Verdicts that may pass without a waiver."""
WAIVED = "waived by gate.waive of policy.yaml: "
"""What a note on a waiver begins with, before the check's name."""
FIRST = ("registry.name", "gate.metric")
"""Which model is judged, and by which metric."""


def judges(name: str) -> bool:
    """Whether a dotted key of policy.yaml says what is judged, or by what. Waivers are told one by one."""
    return name in FIRST or (name.startswith("gate.") and not name.startswith("gate.waive"))


def rank(name: str) -> int:
    """Where a dotted key of policy.yaml stands among others: what decides more comes first."""
    return FIRST.index(name) if name in FIRST else len(FIRST) + (not judges(name))
