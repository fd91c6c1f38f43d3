"""The gate: is a version better than another, and may it be promoted or merged? docs/gate.md says how it decides."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlops.metrics.measure import Decision
from mlops.policy import Gate
from mlops.report import checks as ask
from mlops.report import decisions as flips
from mlops.report import delong, groups, paired, pairing
from mlops.report.checks import Check
from mlops.report.numbers import number
from mlops.report.paired import Change, Draw, Measure
from mlops.report.pairing import BASE_RATE, CannotPairError, Pair
from mlops.report.ranked import Calibration, Ranked, equal_bins
from mlops.report.result import Result
from mlops.report.side import Side

__all__ = ["Change", "Check", "Result", "judge", "not_comparable", "verdict"]


def judge(candidate: Side, baseline: Side | None, policy: Gate, checks: Sequence[Check] = ()) -> Result:
    """Compare a version with another.

    Args:
        candidate: what may become better.
        baseline: what there is; None for a first version, which is compared with the base rate.
        policy: the limits.
        checks: what the caller found out besides; they come first.
    """
    try:
        if baseline is None:
            pair = pairing.base_rate(candidate, policy.min_rows)
        else:
            pair = pairing.pair(candidate, baseline, policy.min_rows)
    except CannotPairError as error:
        return _without_rows(candidate, baseline, policy, str(error), checks)
    decisions = _decisions(candidate, baseline)
    found = measured(pair, decisions, policy)
    slices = groups.judged(pair, decisions, policy)
    of_rows = [groups.check(slices, policy), _calibrated(found["calibration"], policy)]
    oriented = found[policy.metric].oriented(policy.metric)
    if math.isnan(oriented.low):
        reason = f"{policy.metric} cannot be told: the models' manifests say nothing of value_saved and cost_contact"
        return _without_rows(candidate, baseline, policy, reason, checks)
    against = None if baseline is None else baseline.name
    return Result(
        verdict(oriented.low, oriented.high, policy),
        policy,
        candidate.name,
        against,
        pair.basis,
        pair.words,
        len(pair.y),
        pair.counted,
        found,
        delong.difference(pair.y, pair.p, pair.customers, policy.confidence),
        (*checks, *of_rows, *ask.of_models(candidate, baseline, policy)),
        slices,
        None if baseline is None else flips.compare(pair, decisions, policy.slices.min_rows),
    )


def verdict(low: float, high: float, policy: Gate) -> str:
    """The verdict on a difference, turned so that more is better, by its interval."""
    if low > policy.min_effect:
        return "better"
    if low > -policy.max_loss:
        return "no worse"
    return "worse" if high < -policy.min_effect else "undecided"


def not_comparable(candidate: Side, baseline: str, policy: Gate, reason: str, checks: Sequence[Check] = ()) -> Result:
    """The result where nothing of the baseline can be had: its name, and why."""
    found = (*checks, *ask.of_models(candidate, None, policy))
    return Result("not comparable", policy, candidate.name, baseline, "", reason, checks=found)


def _without_rows(candidate: Side, baseline: Side | None, policy: Gate, reason: str, checks: Sequence[Check]) -> Result:
    found = (*checks, *ask.of_models(candidate, baseline, policy))
    against = None if baseline is None else baseline.name
    return Result("not comparable", policy, candidate.name, against, "", reason, checks=found)


def measured(pair: Pair, decisions: tuple[Decision, Decision], policy: Gate) -> dict[str, Change]:
    """All metrics and the calibration error of both sides.

    The base rate is one probability: its bins are the candidate's, or the error would be that of one large bin, which
    has next to no noise, against that of ten small ones.
    """
    sides: list[list[Measure]] = []
    for p, decision in zip(pair.p, decisions, strict=True):
        bins = equal_bins(pair.p[0] if pair.basis == BASE_RATE else p)
        ranked = Ranked(pair.y, p, pair.customers, decision)
        sides.append([ranked.measure, Calibration(pair.y, p, pair.customers, bins).measure])
    draw = Draw(policy.resamples, policy.confidence, len(pair.y))
    return paired.changes((sides[0], sides[1]), pair.counted, draw)


def _decisions(candidate: Side, baseline: Side | None) -> tuple[Decision, Decision]:
    """Whom each contacts, by its own threshold; both are paid by the candidate's money. The base rate contacts
    everybody or nobody, whichever pays.
    """
    known = [side.bundle.manifest.get("decision") for side in (candidate, baseline) if side is not None]
    money = next((d for d in known if d), {"value_saved": math.nan, "cost_contact": math.nan})
    value, cost = float(money["value_saved"]), float(money["cost_contact"])
    mine, breaks_even = candidate.bundle.threshold, cost / value
    other = baseline.bundle.threshold if baseline is not None else breaks_even
    return Decision(mine, value, cost), Decision(mine if math.isnan(other) else other, value, cost)


def _calibrated(change: Change, policy: Gate) -> Check:
    limit = policy.calibration.max_loss
    both = f"{number(change.candidate)} against {number(change.baseline)}"
    words = f"mean distance of predicted and observed rates {both}, {change.words()}; limit +{limit:g}"
    return Check("calibration", not change.low > limit, words)
