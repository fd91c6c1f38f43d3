"""What drift changes, and from which month on.

covariate   other customers and habits: prices rise, people listen less, many turn to vouchers; the risk of a given row
            stays what it was
concept     other reasons to leave: the coefficients change; the rows of the first drifted month stay what they were
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from mlops.params import Simulator
from mlops.simulator.risk import COEFFICIENTS, Coefficients


@dataclass(frozen=True)
class Habits:
    """Factors on list prices and on sessions, and the share of customers who have turned to vouchers."""

    prices: float = 1.0
    sessions: float = 1.0
    vouchers: float = 0.0


def month_number(month: str) -> int:
    """Months since year 0 of a month written YYYY-MM."""
    year, of_year = month.split("-")
    return int(year) * 12 + int(of_year) - 1


def at(params: Simulator, month: int) -> tuple[Habits, Coefficients]:
    """What holds in a month, counted from the first snapshot (negative before it)."""
    drift = params.drift
    drifted = month >= max(0, month_number(drift.from_) - month_number(params.start))
    if not drifted or drift.kind == "none" or drift.strength == 0:
        return Habits(), COEFFICIENTS
    if drift.kind == "covariate":
        return _habits(drift.strength), COEFFICIENTS
    return Habits(), _reasons(drift.strength)


def _habits(strength: float) -> Habits:
    return Habits(
        prices=1.0 + 0.15 * strength,
        sessions=1.0 / (1.0 + 0.4 * strength),
        vouchers=0.25 * strength / (1.0 + 0.25 * strength),
    )


_NEW_REASONS = replace(
    COEFFICIENTS, base=-4.6, manual_renewal=-0.6, newness=-1.2, idle=-1.0, price=0.9, tickets=0.9, tickets_when_new=-0.3
)


def _reasons(strength: float) -> Coefficients:
    """Between the old and the new reasons: habit and loyalty stop protecting, price and support matter more."""
    # A share below 1 at any strength: coefficients that grew without end would make the world easier to predict.
    share = strength / (0.5 + strength)
    changed = {
        f.name: (1.0 - share) * getattr(COEFFICIENTS, f.name) + share * getattr(_NEW_REASONS, f.name)
        for f in fields(Coefficients)
        if getattr(COEFFICIENTS, f.name) != getattr(_NEW_REASONS, f.name)
    }
    return replace(COEFFICIENTS, **changed)
