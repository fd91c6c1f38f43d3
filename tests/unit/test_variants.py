from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from api.models.variant import Serving, share


def variant(name: str) -> Any:
    return SimpleNamespace(name=name)


def serving(**weights: float) -> Serving:
    main = variant("prod")
    return Serving(main, {"prod": main, **{name: variant(name) for name in weights}}, weights)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_customer_has_one_place(customer: str) -> None:
    assert 0 <= share(customer) < 1
    assert share(customer) == share(str(customer))


def test_places_are_the_same_in_every_version_of_this_project() -> None:
    # Written down once: another hash would send customers elsewhere in the middle of a trial.
    assert share("C-1001") == 0.47224258795706486
    assert share("") == 0.1604642848956057


def test_shares_are_as_weighted() -> None:
    split = serving(canary=0.1)
    names = [split.route(f"customer-{i}").name for i in range(20_000)]
    assert abs(names.count("canary") / 20_000 - 0.1) < 0.01
    places = np.sort([share(f"customer-{i}") for i in range(20_000)])
    assert np.abs(places - np.arange(20_000) / 20_000).max() < 0.015


def test_a_raised_weight_keeps_who_was_there() -> None:
    few, more = serving(canary=0.05), serving(canary=0.3)
    customers = [f"c{i}" for i in range(5000)]
    before = {c for c in customers if few.route(c).name == "canary"}
    after = {c for c in customers if more.route(c).name == "canary"}
    assert before < after


def test_who_has_no_id_gets_the_stage_s_own_version() -> None:
    assert serving(canary=1.0).route(None).name == "prod"
    assert serving(canary=1.0).route("a").name == "canary"
    assert serving(canary=0.0).route("a").name == "prod"
    assert not serving(canary=0.0).split


def test_a_weight_without_a_version_moves_nobody() -> None:
    main = variant("prod")
    assert Serving(main, {"prod": main}, {"canary": 1.0}).route("a") is main
