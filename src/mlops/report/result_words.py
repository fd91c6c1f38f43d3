"""The report's words on results: metrics, decisions, groups, calibration, profit."""

from __future__ import annotations

from mlops.metrics.measure import HIGHER_IS_BETTER
from mlops.report import numbers
from mlops.report.document import Listing, Section, Table
from mlops.report.facts import Change, Decisions, Facts, Measured, Slice
from mlops.report.numbers import UNKNOWN, interval, number, signed

FEW = 3
MOST = 8
"""Groups that are shown."""
PER = 1_000
"""Profit is told per so many customers."""
Moved = Change | Slice


class Words:
    """Sections of a report; None where there is nothing to say."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._sides = "base rate" if facts.compared.first else facts.compared.name, facts.compared.head[:8]
        self._names = facts.compared.name, facts.compared.head[:8]

    def metrics(self) -> Section | None:
        """All metrics, the deciding one first."""
        facts = self._facts
        if not facts.metrics:
            return None
        rows = [self._metric(metric) for metric in facts.metrics]
        if facts.delong is not None:
            rows.insert(1, ("roc_auc by DeLong", "", "", moved(facts.delong), ""))
        loud = frozenset(i for i, row in enumerate(rows) if row[-1] == "worse")
        compared = any(metric.compared for metric in facts.metrics)
        moved_by = interval(facts.limits.confidence) if compared else "difference"
        table = Table(("metric", *self._sides, moved_by, ""), tuple(rows), frozenset({0, 4}), loud)
        if compared:
            return Section("Metrics", (table,))
        return Section("Metrics", ("Each version on its own test rows, so without intervals.", table))

    def _metric(self, metric: Measured) -> tuple[str, ...]:
        notes = ["decides"] if metric.name == self._facts.metric else []
        notes += [] if HIGHER_IS_BETTER.get(metric.name, True) else ["lower is better"]
        name = f"{metric.name} ({', '.join(notes)})" if notes else metric.name
        there = {"new": "new", "gone": "gone", "both": "" if metric.compared else "own test rows"}[metric.there]
        judged = {True: "better", False: "worse", None: there}[metric.better]
        was = "" if metric.there == "new" else number(metric.baseline)
        now = "" if metric.there == "gone" else number(metric.candidate)
        by = "" if metric.there != "both" else moved(metric) if metric.compared else signed(metric.difference)
        return name, was, now, by, judged

    def decisions(self) -> Section | None:
        """Whose decision flips, and in which groups."""
        found = self._facts.decisions
        if found is None:
            return None
        rows = (
            ("contacted now, left alone before", found.newly),
            ("left alone now, contacted before", found.no_longer),
        )
        flipped = sum(found.newly) + sum(found.no_longer)
        if not flipped:
            return Section("Decisions", (f"All {found.rows:,} decisions stay as they were.",))
        table = Table(
            ("decision", "rows", "churned", "stayed"),
            tuple((name, f"{sum(pair):,}", f"{pair[0]:,}", f"{pair[1]:,}") for name, pair in rows),
        )
        return Section("Decisions that flip", (table, Listing(tuple(_flips(found, flipped)))))

    def slices(self) -> Section | None:
        """Groups that got worse."""
        found = self._facts.slices
        if found is None or not found.worse:
            return None
        rows = tuple(
            (f"{s.column} = {s.level}", f"{s.rows:,}", number(s.baseline), number(s.candidate), moved(s), _broken(s))
            for s in found.worse[:MOST]
        )
        loud = frozenset(i for i, s in enumerate(found.worse[:MOST]) if s.broken)
        head = ("group", "rows", *self._sides, "difference [interval]", "")
        limit = f"slices.max_loss is {number_short(self._facts.limits.slices)}"
        many = f", the worst {MOST} of them here" if len(found.worse) > MOST else ""
        said = f"{len(found.worse)} of {found.judged} groups, by {self._facts.metric}{many}; {limit}."
        return Section("Groups that got worse", (said, Table(head, rows, frozenset({0, 5}), loud)))

    def calibration(self) -> Section | None:
        """The calibration error, and the mean probability beside what happened."""
        change, decisions = self._facts.calibration, self._facts.decisions
        if change is None:
            return None
        limit = f"; limit +{number_short(self._facts.limits.calibration)}"
        said = [
            f"mean distance of predicted and observed rates {number(change.candidate)} against"
            f" {number(change.baseline)}, {moved(change)}{_judged(change)}{limit}"
        ]
        if decisions is not None:
            now, was = (percent(p) for p in decisions.predicted)
            happened = percent(decisions.churned / max(decisions.rows, 1))
            said.append(f"mean probability {now}, before {was}; {happened} churned")
        return Section("Calibration", (Listing(tuple(said)),))

    def features(self) -> Section | None:
        """Features that the model leans on more, or less, than before."""
        found = self._facts.features
        if not found:
            return None
        rows = tuple((f.name, number(f.before), number(f.after)) for f in found)
        said = "ROC AUC that is lost when a feature's values are shuffled, each version on its own test rows."
        return Section("Features that count more or less", (said, Table(("feature", *self._names), rows)), folded=True)

    def profit(self) -> Section | None:
        """Expected profit, in money of the parameters' unit."""
        change = next((m for m in self._facts.metrics if m.name == "expected_profit" and m.compared), None)
        if change is None or change.candidate is None or change.baseline is None:
            return None
        now, was = (f"{PER * value:z,.0f}" for value in (change.candidate, change.baseline))
        by = [f"{PER * n:+z,.0f}" for n in (change.difference, change.low, change.high) if n is not None]
        told = f", {by[0]} [{by[1]}, {by[2]}]{_judged(change)}" if len(by) == 3 else ""
        blocks: list[str] = [f"{now} per {PER:,} customers, before {was}{told}"]
        found = self._facts.decisions
        if found is not None:
            shares = [percent(count / max(found.rows, 1)) for count in found.contacted]
            brings, costs = found.money
            known = brings is not None and costs is not None
            money = f"; a contact costs {costs:g}, a churner reached brings {brings:g}" if known else ""
            blocks.append(f"{shares[0]} of the customers are contacted, before {shares[1]}{money}")
        return Section("Expected profit", (Listing(tuple(blocks)),))


def _flips(found: Decisions, flipped: int) -> list[str]:
    right = found.newly[0] + found.no_longer[1]
    chance = "" if found.p_value is None else f" (McNemar's test: {_p(found.p_value)})"
    said = [
        f"{flipped:,} of {found.rows:,} decisions flip ({percent(flipped / max(found.rows, 1))}):"
        f" {right:,} become right, {flipped - right:,} wrong{chance}"
    ]
    groups = [
        f"{g.column} = {g.level} ({g.flipped:,} of {g.rows:,}, {percent(g.flipped / max(g.rows, 1))})"
        for g in found.groups[:FEW]
    ]
    return [*said, f"most of all in {', '.join(groups)}"] if groups else said


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _broken(group: Slice) -> str:
    return "over limit" if group.broken else "worse"


def _judged(change: Change) -> str:
    return {True: ", better", False: ", worse", None: ""}[change.better]


def moved(change: Moved) -> str:
    """A difference and its interval."""
    return numbers.moved(change.difference, change.low, change.high)


def number_short(value: float | None) -> str:
    """A limit, as policy.yaml has it."""
    return UNKNOWN if value is None else f"{value:g}"


def percent(share: float) -> str:
    """A share in per cent."""
    return f"{100 * share:.1f}\u00a0%"
