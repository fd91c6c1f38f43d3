"""What the gate found: for a person, for a tag, for a report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops.policy import Gate
from mlops.report import paired
from mlops.report.checks import Check
from mlops.report.decisions import Decisions
from mlops.report.groups import Slice
from mlops.report.numbers import interval, number
from mlops.report.paired import Change
from mlops.report.pairing import BASE_RATE
from mlops.report.rules import VERDICT

WORST = 3
"""Groups that go into a tag."""
LIMITS = ("max_loss", "min_effect", "confidence", "resamples")


@dataclass(frozen=True)
class Result:
    """A judgement.

    Args:
        verdict: better, no worse, worse, undecided, or not comparable.
        policy: by which it was found.
        candidate, baseline: names of the versions; baseline None: compared with the base rate.
        basis, words: which rows were compared; for what is not comparable, why.
        rows, customers: how many.
        changes: of all metrics and of `calibration`; empty where nothing could be compared.
        delong: the difference of the areas under the ROC curve once more, without resampling.
        checks: each with what it found.
        slices: groups that were judged, worst first.
        decisions: whose decision flips; None where nothing was compared, or with the base rate.
        waived: what is let pass (a check, or `verdict`), and why.
        passed: whether the candidate may be promoted or merged; reasons: why not, one line each.
    """

    verdict: str
    policy: Gate
    candidate: str
    baseline: str | None
    basis: str
    words: str
    rows: int = 0
    customers: int = 0
    changes: Mapping[str, Change] = field(default_factory=dict)
    delong: Change | None = None
    checks: tuple[Check, ...] = ()
    slices: tuple[Slice, ...] = ()
    decisions: Decisions | None = None
    waived: Mapping[str, str] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        """The metric that decides."""
        return self.policy.metric

    @property
    def passed(self) -> bool:
        """Whether the candidate may be promoted or merged. A first version must beat the base rate."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass, one line each."""
        failed = (c for c in self.checks if not c.passed and c.name not in self.waived)
        of_verdict = () if VERDICT in self.waived else tuple(self._of_verdict())
        return of_verdict + tuple(f"{c.name}: {c.words}" for c in failed)

    @property
    def let_pass(self) -> dict[str, str]:
        """Waivers without which it would not have passed: check → why."""
        failed = {c.name for c in self.checks if not c.passed}
        failed |= {VERDICT} if any(self._of_verdict()) else set()
        return {name: why for name, why in self.waived.items() if name in failed}

    def _of_verdict(self) -> Iterator[str]:
        if self.verdict == "better" or (self.verdict == "no worse" and self.basis != BASE_RATE):
            return
        if self.verdict == "no worse":
            yield f"{self.headline()}: a first version must be better than the base rate"
        elif self.verdict == "undecided":
            lost = f"it may lose more than gate.max_loss {self.policy.max_loss:g}; more test rows would tell"
            yield f"{self.headline()}: {lost}"
        else:
            yield self.headline()

    def headline(self) -> str:
        """The verdict, and what decided it, in a line."""
        if not self.changes:
            return f"{self.verdict}: {self.words}"
        change, oriented = self.changes[self.metric], self.changes[self.metric].oriented(self.metric)
        verdict = self.verdict
        if verdict == "no worse" and oriented.high < 0:
            verdict = f"no worse ({'lower' if change.high < 0 else 'higher'}, within max_loss {self.policy.max_loss:g})"
        against = "the base rate" if self.baseline is None else self.baseline
        both = f"{number(change.candidate)} against {number(change.baseline)}"
        return f"{verdict}: {self.metric} {both} of {against}, {change.words()}"

    def lines(self) -> list[str]:
        """All of it, for a terminal."""
        lines = [self.headline()]
        if self.changes:
            how = f"with the {BASE_RATE} on test rows" if self.basis == BASE_RATE else f"on {self.basis}"
            what = f"{self.rows:,} rows of {self.customers:,} customers"
            lines += [f"compared {how} ({what}): {self.words}", "", *self._table()]
        lines += ["", *(f"{'ok' if c.passed else 'FAILED':<6} {c.name}: {c.words}" for c in self.checks)]
        return lines if self.checks else lines[:-1]

    def _table(self) -> Iterator[str]:
        versions = self.baseline or "base rate", self.candidate
        width = max(10, *map(len, versions))
        head = f"{'':<16} {versions[0]:>{width}} {versions[1]:>{width}}"
        yield f"{head}  {interval(self.policy.confidence)}"
        for name, change in self.changes.items():
            if math.isnan(change.difference):  # the manifest says nothing of money
                continue
            mark = {True: "  better", False: "  worse", None: ""}[change.better]
            both = f"{number(change.baseline):>{width}} {number(change.candidate):>{width}}"
            yield f"{name:<16} {both}  {change.words()}{mark}"
        if self.delong is not None:
            yield f"{'roc_auc, DeLong':<16} {'':>{width}} {'':>{width}}  {self.delong.words()}"

    def facts(self) -> dict[str, Any]:
        """As JSON, small enough for a tag."""
        policy = self.policy
        return {
            "verdict": self.verdict,
            "metric": self.metric,
            "passed": self.passed,
            "reasons": list(self.reasons),
            "candidate": self.candidate,
            "baseline": self.baseline,
            "basis": self.basis,
            "words": self.words,
            "rows": self.rows,
            "customers": self.customers,
            "changes": paired.facts(self.changes),
            "delong": self.delong.facts() if self.delong else None,
            "slices": [s.facts() for s in self.slices[:WORST]],
            "checks": [{"name": c.name, "passed": c.passed, "words": c.words} for c in self.checks],
            "limits": {name: getattr(policy, name) for name in LIMITS},
        }
