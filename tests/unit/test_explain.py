"""Explanations as an analyst reads them: every feature once, in words, largest first, adding up to the score."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mlops import bundle, features
from mlops.bundle import Bundle, to_json
from mlops.encode import Block, Encoder, Number, OneHot, TargetMean
from mlops.explain import Explanation, explain_row
from mlops.features import Plan, Scalar
from mlops.model import onnx_file
from mlops.schema import Column, Derived, Schema
from tests.unit.models import KINDS, Fitted, saved, simulated, to_scalars

SCHEMA = Schema(
    (
        Column("seen", "time"),
        Column("price", "number"),
        Column("tickets", "number"),
        Column("auto_renew", "boolean"),
        Column("payment_method", "category"),
        Column("region", "category"),
        Column("signup", "date"),
        Column("comment", "text"),
        Column("churned", "target", positive="1", negative="0"),
    ),
    (
        Derived("per_ticket", "ratio", ("price", "tickets")),
        Derived("price_less_tickets", "difference", ("price", "tickets")),
        Derived("price_by_tickets", "product", ("price", "tickets")),
        Derived("waited", "days", ("seen", "signup")),
    ),
)
ROW: dict[str, Scalar] = {
    "seen": 20_000.0, "price": 10.0, "tickets": 4.0, "auto_renew": 0.0, "payment_method": "Voucher", "region": "North",
    "signup": 19_900.0, "comment": "Terrible, I hate it",
}  # fmt: skip


def block(feature: str) -> Block:
    if feature == "payment_method":
        return OneHot(feature, ("Card", "Voucher"))
    return TargetMean(feature, ("North",), (0.25,), 0.5, 0.75) if feature == "region" else Number(feature)


def linear(
    folder: Path, weights: dict[str, float], *, schema: Schema = SCHEMA, score: str = "log_odds", threshold: float = 0.5
) -> Bundle:
    """A served linear model whose contributions are known: weight · value, or minus the weight where it is missing."""
    plan = features.plan(schema, {}, with_sentiment=True)
    encoder = Encoder(plan, tuple(block(f.name) for f in plan.features))
    values = [weights.get(name, 0.0) for name in encoder.names]
    weight, zeros = np.array([*values, *(-w for w in values)]), np.zeros(encoder.width)
    parts = {"fill": zeros, "center": zeros, "missing": zeros, "weight": weight}
    files = {
        "model.onnx": onnx_file.of_linear(zeros, zeros, weight, 0.25),
        "encoder.json": to_json(encoder.to_json()),
        "calibrator.json": to_json({"score": score, "slope": 0.5}),
        "signature.json": to_json({"inputs": [{"name": i.name} for i in plan.inputs]}),
        "profile.json": to_json({}),
        "explainer.json": to_json(
            {"kind": "linear", "intercept": 0.25, **{name: values.tolist() for name, values in parts.items()}}
        ),
    }
    bundle.save(folder, files, {"threshold": threshold})
    return bundle.load(folder)


def words(explanation: Explanation) -> dict[str, str]:
    return {c.feature: c.words for c in explanation.contributions}


def test_every_feature_reads_well(tmp_path: Path) -> None:
    told = words(explain_row(linear(tmp_path, {}), ROW))
    assert told == {
        name: f"{text} does not change the churn score"
        for name, text in {
            "price": "price = 10",
            "tickets": "tickets = 4",
            "auto_renew": "auto_renew = false",
            "payment_method": 'payment_method = "Voucher"',
            "region": 'region = "North"',
            "signup_days": "days since signup = 100",
            "signup_month": "month of signup = June",
            "signup_weekday": "weekday of signup = Wednesday",
            "comment_length": "length of comment = 19 characters",
            "comment_words": "number of words in comment = 4",
            "comment_sentiment": "sentiment of comment = -0.78 (negative)",
            "per_ticket": "per_ticket (price / tickets) = 2.5",
            "price_less_tickets": "price_less_tickets (price - tickets) = 6",
            "price_by_tickets": "price_by_tickets (price × tickets) = 40",
            "waited": "waited (days from signup to seen) = 100",
        }.items()
    }


@pytest.mark.parametrize(
    ("changes", "feature", "value", "text"),
    [
        ({"price": math.nan}, "price", None, "price is missing: "),
        ({"price": math.nan}, "per_ticket", None, "per_ticket (price / tickets) is missing: "),
        ({"tickets": 0.0}, "per_ticket", None, "per_ticket (price / tickets) cannot be computed: "),
        ({"tickets": 3.0}, "per_ticket", 3.333333, "per_ticket (price / tickets) = 3.33 "),
        ({"price": 0.0012345}, "per_ticket", 0.000308625, "per_ticket (price / tickets) = 0.000309 "),
        ({"price": 0.1 + 0.2}, "price", 0.3, "price = 0.3 "),
        ({"price": 1e30}, "price", 1e30, "price = 1e+30 "),
        ({"auto_renew": 1.0}, "auto_renew", True, "auto_renew = true "),
        ({"auto_renew": math.nan}, "auto_renew", None, "auto_renew is missing: "),
        ({"region": "Mars"}, "region", "Mars", 'region = "Mars" (not seen in training) '),
        ({"region": None}, "region", None, "region is missing: "),
        (
            {"payment_method": "Cash"},
            "payment_method",
            "Cash",
            'payment_method = "Cash" (rare or not seen in training) ',
        ),
        ({"comment": None}, "comment_sentiment", None, "sentiment of comment is missing: "),
        ({"comment": "x"}, "comment_length", 1, "length of comment = 1 character "),
        ({"comment": "Great!"}, "comment_sentiment", 0.6588, "sentiment of comment = 0.66 (positive) "),
        ({"comment": "A bill"}, "comment_sentiment", 0, "sentiment of comment = 0.00 (neutral) "),
        ({"signup": math.nan}, "signup_month", None, "month of signup is missing: "),
    ],
)
def test_values_are_shown_as_people_write_them(
    changes: dict[str, Scalar], feature: str, value: object, text: str, tmp_path: Path
) -> None:
    told = explain_row(linear(tmp_path, {}), {**ROW, **changes})
    (found,) = (c for c in told.contributions if c.feature == feature)
    assert found.words == f"{text}does not change the churn score"
    assert found.value == value
    assert type(found.value) is type(value)


@pytest.mark.parametrize(
    ("day", "value"), [(20_000.75, "2024-10-04"), (-1.0, "1969-12-31"), (1e12, 10**12), (math.nan, None)]
)
def test_dates_are_dates_where_rows_have_no_time(day: float, value: object, tmp_path: Path) -> None:
    schema = Schema((Column("signup", "date"), Column("churned", "target", positive="1", negative="0")))
    told = explain_row(linear(tmp_path, {}, schema=schema), {"signup": day})
    (found,) = (c for c in told.contributions if c.feature == "signup_days")
    assert found.value == value
    assert found.words.startswith("signup is missing: " if value is None else f"signup = {value} ")


@pytest.mark.parametrize(
    ("score", "weight", "direction", "effect"),
    [
        ("log_odds", 0.042, "raises", "raises the churn score by 0.42 (odds × 1.23)"),
        ("log_odds", -0.042, "lowers", "lowers the churn score by 0.42 (odds × 0.81)"),
        ("log_odds", -0.0004, "lowers", "hardly changes the churn score"),
        ("log_odds", 0.0, "none", "does not change the churn score"),
        ("log_odds", 1.0, "raises", "raises the churn score by 10.00 (odds × 148)"),
        ("log_odds", -1.0, "lowers", "lowers the churn score by 10.00 (odds × 0.0067)"),
        ("log_odds", 5.0, "raises", "raises the churn score by 50.00 (odds × 7.2e+10)"),
        ("log_odds", 1e30, "raises", "raises the churn score by 1e+31 (odds × 1e+304)"),
        ("probability", 0.0031, "raises", "raises the churn probability before calibration by 3.1 points"),
        ("probability", -0.0031, "lowers", "lowers the churn probability before calibration by 3.1 points"),
        ("probability", 0.00004, "raises", "hardly changes the churn probability before calibration"),
    ],
)
def test_effects_are_told_in_words(score: str, weight: float, direction: str, effect: str, tmp_path: Path) -> None:
    told = explain_row(linear(tmp_path, {"price": weight}, score=score), ROW)
    (price,) = (c for c in told.contributions if c.feature == "price")
    assert price.contribution == pytest.approx(10 * weight)
    assert price.direction == direction
    assert price.words == f"price = 10 {effect}"
    assert told.score == score


def test_levels_of_one_feature_are_one_contribution(tmp_path: Path) -> None:
    weights = {"payment_method = Card": 5.0, "payment_method = Voucher": -1.5, "payment_method = (missing)": 0.75}
    served = linear(tmp_path, weights)
    for level, part in (("Card", 5.0), ("Voucher", -1.5), (None, 0.75), ("Cash", 0.0)):
        told = explain_row(served, {**ROW, "payment_method": level})
        assert [c.contribution for c in told.contributions if c.feature == "payment_method"] == [part]


def test_the_largest_comes_first_and_the_rest_belongs_to_it(tmp_path: Path) -> None:
    served = linear(tmp_path, {"tickets": 0.5, "price": -0.3, "auto_renew": 9.0, "per_ticket": 0.1})
    told = explain_row(served, ROW)
    assert [c.feature for c in told.contributions[:3]] == ["price", "tickets", "per_ticket"]
    assert (told.base, told.raw) == (0.25, pytest.approx(-0.5))
    assert (told.raw, told.probability) == served.score_row(ROW)
    gone = explain_row(served, {**ROW, "price": math.nan})
    assert (gone.contributions[1].feature, gone.contributions[1].contribution) == ("price", pytest.approx(0.3))


def test_the_prediction_is_that_of_six_decimals(tmp_path: Path) -> None:
    weights = {"price": 0.002}
    probability = linear(tmp_path, weights).score_row(ROW)[1]
    rounded = round(probability, 6)
    assert rounded > probability
    assert explain_row(linear(tmp_path, weights, threshold=rounded), ROW).prediction
    assert not explain_row(linear(tmp_path, weights, threshold=rounded + 1e-9), ROW).prediction


@pytest.mark.parametrize("kind", KINDS)
def test_explanations_of_fitted_models_add_up(kind: str, fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    served = saved(kind, fitted[kind], plan, tmp_path)
    for row in to_scalars(plan, simulated(40, 8)[0]):
        told = explain_row(served, row)
        parts = [c.contribution for c in told.contributions]
        assert abs(told.base + sum(parts) - told.raw) <= 1e-5
        assert sorted(c.feature for c in told.contributions) == sorted(f.name for f in plan.features)
        assert [abs(p) for p in parts] == sorted((abs(p) for p in parts), reverse=True)
        assert (told.raw, told.probability) == served.score_row(row)
