"""Contributions against XGBoost's own, against Shapley's definition written out, and against the score they make up."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops import columns, contributions
from mlops.contributions import Linear
from mlops.errors import BundleError
from mlops.features import Plan
from mlops.model import export, trees
from mlops.model.trees import Trees
from mlops.params import View
from tests.unit.models import KINDS, Fitted, fitted_on, rows_of, saved, simulated

Nodes = list[dict[str, Any]]


def nodes_of(made: Trees) -> list[Nodes]:
    """Tree → node → its fields."""
    names = ("feature", "threshold", "left", "right", "missing_left", "value", "cover")
    listed = zip(made.tree.tolist(), *(getattr(made, name).tolist() for name in names), strict=True)
    grown: list[Nodes] = [[] for _ in range(int(made.tree.max()) + 1)]
    for tree, *fields in listed:
        grown[tree].append(dict(zip(names, fields, strict=True)))
    return grown


def goes_left(node: dict[str, Any], x: float, inclusive: bool) -> bool:
    if math.isnan(x):
        return bool(node["missing_left"])
    return x <= node["threshold"] if inclusive else x < node["threshold"]


def expected(tree: Nodes, row: list[float], known: frozenset[int], inclusive: bool, at: int = 0) -> float:
    """A tree's value when only some columns are known, as Lundberg et al. define it."""
    node = tree[at]
    if node["feature"] < 0:
        return float(node["value"])
    sides = [node["left"], node["right"]]
    if node["feature"] in known:
        side = sides[not goes_left(node, row[node["feature"]], inclusive)]
        return expected(tree, row, known, inclusive, side)
    shares = [tree[side]["cover"] / node["cover"] for side in sides]
    return sum(
        share * expected(tree, row, known, inclusive, side) for share, side in zip(shares, sides, strict=True) if share
    )


def shapley(made: Trees, row: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Shapley's definition: a sum over all sets of columns, tree by tree."""
    parts = np.zeros(len(row))
    for tree in nodes_of(made):
        players = sorted({n["feature"] for n in tree if n["feature"] >= 0})
        sets = [frozenset(s) for size in range(len(players) + 1) for s in itertools.combinations(players, size)]
        value = {known: expected(tree, row, known, made.inclusive) for known in sets}
        for player, known in itertools.product(players, sets):
            if player not in known:
                rest = len(players) - len(known) - 1
                weight = math.factorial(len(known)) * math.factorial(rest) / math.factorial(len(players))
                parts[player] += weight * (value[known | {player}] - value[known])
    return parts


def random_trees(seed: int, count: int, depth: int, *, inclusive: bool, empty: bool = False) -> Trees:
    """Trees over three columns with few thresholds, so that paths ask a column again and again.

    empty: some nodes are ones that no training row reached.
    """
    rng = np.random.default_rng(seed)

    def grow(level: int, cover: float, nodes: Nodes) -> int:
        at = len(nodes)
        leaf = {"feature": -1, "threshold": 0.0, "left": -1, "right": -1, "missing_left": False, "cover": cover}
        nodes.append({**leaf, "value": rng.normal()})
        if level < depth and rng.random() < 0.85:
            share = float(rng.integers(0, 5) / 4 if empty else rng.uniform(0.05, 0.95))
            split = {"feature": int(rng.integers(3)), "threshold": float(rng.integers(-2, 3)), "value": 0.0}
            nodes[at] |= {**split, "missing_left": bool(rng.integers(2))}
            nodes[at]["left"] = grow(level + 1, cover * share, nodes)
            nodes[at]["right"] = grow(level + 1, cover * (1 - share), nodes)
        return at

    grown: list[Nodes] = [[] for _ in range(count)]
    for nodes in grown:
        grow(0, float(rng.uniform(1, 50)), nodes)
    kinds = {"feature": int, "left": int, "right": int, "missing_left": bool}
    fields = {
        name: np.array([n[name] for nodes in grown for n in nodes], dtype=kinds.get(name, np.float32))
        for name in grown[0][0]
    }
    tree = np.repeat(np.arange(count), [len(nodes) for nodes in grown])
    node = np.concatenate([np.arange(len(nodes)) for nodes in grown])
    return Trees(inclusive=inclusive, base=float(rng.normal()), tree=tree, node=node, **fields)


values = st.sampled_from([math.nan, -3.0, -2.0, -1.5, -1.0, 0.0, 1.0, 1.5, 2.0, 7.0])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 3), st.integers(0, 6), st.booleans(), st.tuples(values, values, values))
def test_they_are_shapley_values_of_any_trees(
    seed: int, count: int, depth: int, inclusive: bool, row: tuple[float, ...]
) -> None:
    made = random_trees(seed, count, depth, inclusive=inclusive)
    found = contributions.load(export.explainer(made, 3))
    base, parts = found.contributions(np.array([row], dtype=np.float32))
    assert parts[0] == pytest.approx(shapley(made, list(row)), abs=1e-6)
    unknown = sum(expected(tree, list(row), frozenset(), inclusive) for tree in nodes_of(made))
    assert base == pytest.approx(made.base + unknown, abs=1e-6)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 9), st.booleans(), st.lists(st.tuples(values, values, values), min_size=1))
def test_they_add_up_even_where_no_training_row_went(
    seed: int, depth: int, inclusive: bool, rows: list[tuple[float, ...]]
) -> None:
    made = random_trees(seed, 3, depth, inclusive=inclusive, empty=True)
    base, parts = contributions.load(export.explainer(made, 3)).contributions(np.array(rows, dtype=np.float32))
    everything = frozenset(range(3))
    for row, sums in zip(rows, parts, strict=True):
        score = made.base + sum(expected(tree, list(row), everything, inclusive) for tree in nodes_of(made))
        assert base + sums.sum() == pytest.approx(score, abs=1e-6)


@pytest.mark.parametrize("depth", [1, 4, 9])
def test_xgboost_gives_the_same(depth: int, params: Callable[..., View], plan: Plan, tmp_path: Path) -> None:
    train, validation = (rows_of(plan, *simulated(n, seed)) for n, seed in ((1500, 1), (700, 2)))
    made = fitted_on(train, validation, plan, params(max_depth=depth, min_child_weight=0.1))
    served = saved("xgboost", made, plan, tmp_path)
    matrix = served.encoder.columns(columns.raw(simulated(300, 3)[0], plan.inputs))
    assert np.isnan(matrix).any()
    base, parts = served.explainer().contributions(matrix)
    booster = made.model.estimator.get_booster()
    own = booster.predict(xgboost.DMatrix(matrix), pred_contribs=True)
    assert np.max(np.abs(parts - own[:, :-1])) <= 1e-5
    assert abs(base - own[0, -1]) <= 1e-5


@pytest.mark.parametrize(
    ("kind", "read"),
    [("random_forest", lambda e: trees.from_forest(e.estimators_)), ("hist_gradient_boosting", trees.from_hist)],
)
def test_scikit_learns_trees_have_the_values_of_the_definition(
    kind: str, read: Callable[[Any], Trees], params: Callable[..., View], plan: Plan, tmp_path: Path
) -> None:
    train, validation = (rows_of(plan, *simulated(n, seed)) for n, seed in ((1500, 1), (700, 2)))
    made = fitted_on(train, validation, plan, params(model=kind, max_depth=3, n_estimators=12))
    served = saved(kind, made, plan, tmp_path)
    matrix = served.encoder.columns(columns.raw(simulated(6, 3)[0], plan.inputs))
    assert np.isnan(matrix).any()
    _, parts = served.explainer().contributions(matrix)
    grown = read(made.model.estimator)
    for row, found in zip(matrix, parts, strict=True):
        assert found == pytest.approx(shapley(grown, row.tolist()), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_they_add_up_to_the_raw_score(kind: str, fitted: dict[str, Fitted], plan: Plan, tmp_path: Path) -> None:
    served = saved(kind, fitted[kind], plan, tmp_path)
    matrix = served.encoder.columns(columns.raw(simulated(300, 3)[0], plan.inputs))
    base, parts = served.explainer().contributions(matrix)
    assert parts.shape == matrix.shape
    assert np.max(np.abs(base + parts.sum(axis=1) - served.raw_scores(matrix))) <= 1e-5


def test_a_linear_models_base_is_its_mean_on_training_rows(
    fitted: dict[str, Fitted], plan: Plan, tmp_path: Path
) -> None:
    served = saved("logistic_regression", fitted["logistic_regression"], plan, tmp_path)
    explainer = served.explainer()
    assert isinstance(explainer, Linear)
    train = rows_of(plan, *simulated(1500, 1))
    matrix = served.encoder.matrix(train.features)
    region = served.encoder.names.index("region (churn rate)")  # trained on rates of other folds
    base, parts = explainer.contributions(matrix)
    others = np.delete(parts, region, axis=1)
    assert others.mean(axis=0) == pytest.approx(np.zeros(others.shape[1]), abs=1e-5)
    minutes = served.encoder.names.index("minutes")
    assert np.isnan(matrix[:, minutes]).any()
    changed = matrix.copy()
    changed[:, minutes] = 3.0
    other_base, moved = explainer.contributions(changed)
    assert other_base == base
    assert np.array_equal(np.delete(moved, minutes, axis=1), np.delete(parts, minutes, axis=1))


def damaged(**changes: Any) -> dict[str, bytes]:
    """The files of two small trees, with a field of one node changed."""
    files = export.explainer(random_trees(1, 2, 3, inclusive=True), 3)
    nodes = np.load(io.BytesIO(files["trees.npy"]))
    for name, value in changes.items():
        nodes[name][0] = value
    file = io.BytesIO()
    np.save(file, nodes)
    return {**files, "trees.npy": file.getvalue()}


@pytest.mark.parametrize(
    "files",
    [
        damaged(left=0),  # a circle
        damaged(right=10_000),
        damaged(feature=3),
        {**damaged(), "trees.npy": b"no trees"},
        {**damaged(), "trees.npy": b""},
        {**damaged(), "explainer.json": b"{}"},
        {**damaged(), "explainer.json": b"["},
        {"explainer.json": damaged()["explainer.json"]},
        {"explainer.json": b'{"kind":"linear","fill":[0],"center":[0],"missing":[0],"weight":[1],"intercept":0}'},
    ],
)
def test_what_is_no_explainer_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(BundleError, match=r"is not an explainer \(.*\); make it again with `dvc repro`"):
        contributions.load(files)
