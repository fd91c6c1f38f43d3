"""From raw scores to probabilities, and from probabilities to decisions. Both are fitted on validation rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from mlops.bundle import Calibrator
from mlops.features import Floats

MIN_POSITIVES = 10
STEP = 1e-6
"""Probabilities are written with six decimals."""


def fit(method: str, score: str, raw: Floats, y: NDArray[np.int8]) -> Calibrator:
    """Platt's sigmoid of the log-odds (J. Platt, "Probabilistic outputs for support vector machines", 1999).

    Ranks never turn round: where validation rows ask for a falling sigmoid, only its height is fitted. With fewer than
    ten rows of a class there is nothing to fit on, and scores stay as they are.

    Args:
        method: sigmoid or none.
        score: what raw is, log_odds or probability.
        raw: raw scores of validation rows.
        y: their outcomes, 0 or 1.
    """
    plain = Calibrator(score)
    if method == "none" or min(int(y.sum()), len(y) - int(y.sum())) < MIN_POSITIVES:
        return plain
    p = np.clip(plain.many(raw), STEP, 1 - STEP)
    log_odds = np.log(p / (1 - p))
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(log_odds.reshape(-1, 1), y)
    slope = float(fitted.coef_[0, 0])
    if slope <= 0:
        return Calibrator(score, 1.0, round(_intercept(log_odds, float(y.mean())), 9))
    return Calibrator(score, round(slope, 9), round(float(fitted.intercept_[0]), 9))


def _intercept(log_odds: Floats, rate: float) -> float:
    """The shift at which the mean probability is the observed rate."""
    return float(brentq(lambda shift: float(np.mean(expit(log_odds + shift))) - rate, -60.0, 60.0))


def best_threshold(p: Floats, y: NDArray[np.int8], value_saved: float, cost_contact: float) -> float:
    """The threshold with the highest profit on these rows: Σ over p ≥ threshold of (y · value_saved − cost_contact).

    It lies half a step between two probabilities of six decimals, so that rounding one never turns a decision.
    Of equally good ones the highest is taken (fewer contacts); when nobody is worth contacting it is above every p.
    """
    steps = np.round(p / STEP).astype(np.int64)
    order = np.argsort(-steps, kind="stable")
    profit = np.cumsum(y[order] * value_saved - cost_contact)
    last = np.append(np.diff(steps[order]) != 0, True)  # ends of runs of equal probabilities
    best = int(np.argmax(np.where(last, profit, -np.inf)))
    if profit[best] <= 0:
        return 1.0
    return round((int(steps[order][best]) - 0.5) * STEP, 7)
