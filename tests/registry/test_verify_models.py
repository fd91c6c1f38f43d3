"""Two served models of other bytes: which tree and node, how much, and in which of their files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mlops import bundle
from mlops.encode import Encoder
from mlops.verify.close import Found
from mlops.verify.files import compare
from tests.registry.repository import Bundles


@pytest.fixture
def model(tmp_path: Path, bundles: Bundles) -> Path:
    """A copy of a served model of 20 trees, to be changed."""
    shutil.copytree(bundles["v2"], tmp_path / "model")
    return tmp_path / "model"


def changed_trees(model: Path, **fields: Any) -> np.ndarray[Any, Any]:
    """Write trees.npy with other values in one node; node: its place among all."""
    nodes = np.load(model / "trees.npy").copy()
    place = fields.pop("node")
    for name, value in fields.items():
        nodes[place][name] = value
    np.save(model / "trees.npy", nodes, allow_pickle=False)
    return nodes


def tree_of(nodes: np.ndarray[Any, Any], place: int) -> tuple[int, int]:
    """The tree, from 1, and the node in it, by walking down from each root."""
    children = {int(c) for name in ("left", "right") for c in nodes[name] if c >= 0}
    roots = [i for i in range(len(nodes)) if i not in children]
    for number, root in enumerate(roots):
        below, seen = [root], set()
        while below:
            node = below.pop()
            seen.add(node)
            below += [int(nodes[name][node]) for name in ("left", "right") if nodes[name][node] >= 0]
        if place in seen:
            return number + 1, place - root
    raise AssertionError("no tree holds the node")


def trees(was: Path, now: Path) -> Found:
    return compare(was / "trees.npy", now / "trees.npy", "trees.npy", now / "encoder.json")


def test_a_changed_question_is_told_with_its_tree_and_feature(model: Path, bundles: Bundles) -> None:
    nodes = np.load(model / "trees.npy")
    place = int(np.flatnonzero(nodes["feature"] >= 0)[30])
    asked = Encoder.from_json(json.loads((model / "encoder.json").read_bytes())).names[nodes[place]["feature"]]
    changed_trees(model, node=place, threshold=nodes[place]["threshold"] + 1)
    tree, node = tree_of(nodes, place)
    found = trees(bundles["v2"], model)
    assert not found.equal
    assert found.words[0].startswith(f"tree {tree} of 20, node {node}: {asked} ≤ ")
    assert found.words[1] == "1 of 20 trees differ, largest |difference| of a leaf 0"


@pytest.mark.parametrize(("step", "equal"), [(5e-7, True), (0.25, False)])
def test_a_changed_leaf_is_told_with_its_size(model: Path, bundles: Bundles, step: float, equal: bool) -> None:
    nodes = np.load(model / "trees.npy")
    place = int(np.flatnonzero(nodes["feature"] < 0)[-1])
    now = changed_trees(model, node=place, value=nodes[place]["value"] + np.float32(step))
    tree, node = tree_of(nodes, place)
    found = trees(bundles["v2"], model)
    assert found.equal is equal
    assert found.words[0].startswith(f"tree {tree} of 20, node {node}: leaf ")
    gap = abs(float(now[place]["value"]) - float(nodes[place]["value"]))
    assert found.words[1] == f"1 of 20 trees differ, largest |difference| of a leaf {gap:.3g}"


def test_more_trees_are_counted(bundles: Bundles) -> None:
    found = trees(bundles["v1"], bundles["v2"])
    assert not found.equal
    assert found.words[0] == "10 trees recorded, 20 rebuilt"


def test_a_tampered_copy_of_the_trees_is_found_in_every_file(model: Path, bundles: Bundles) -> None:
    """Batch scoring reads booster.json, the service model.onnx: neither is taken for the other."""
    booster = json.loads((model / "booster.json").read_bytes())
    one = booster["learner"]["gradient_booster"]["model"]["trees"][0]
    one["split_conditions"][-1] += 0.5
    (model / "booster.json").write_text(json.dumps(booster))
    found = compare(bundles["v2"] / "booster.json", model / "booster.json", "booster.json")
    assert not found.equal
    assert "split_conditions" in found.words[0]

    served = onnx.load(model / "model.onnx")
    (weights,) = [a for a in served.graph.node[0].attribute if a.name == "target_weights"]
    weights.floats[3] += 0.5
    onnx.save(served, model / "model.onnx")
    found = compare(bundles["v2"] / "model.onnx", model / "model.onnx", "model.onnx")
    assert found == Found(False, ("TreeEnsembleRegressor.target_weights: largest |difference| 0.5",))


def test_onnx_within_the_tolerance_and_another_graph(model: Path, bundles: Bundles) -> None:
    served = onnx.load(model / "model.onnx")
    (weights,) = [a for a in served.graph.node[0].attribute if a.name == "target_weights"]
    weights.floats[3] += 2e-7
    onnx.save(served, model / "model.onnx")
    assert compare(bundles["v2"] / "model.onnx", model / "model.onnx", "model.onnx").equal
    served.graph.name = "another"
    onnx.save(served, model / "model.onnx")
    assert not compare(bundles["v2"] / "model.onnx", model / "model.onnx", "model.onnx").equal
    assert not compare(bundles["v1"] / "model.onnx", bundles["v2"] / "model.onnx", "model.onnx").equal


def test_a_manifest_is_judged_without_the_digests_of_other_files(model: Path, bundles: Bundles) -> None:
    manifest = json.loads((model / "manifest.json").read_bytes())
    manifest["files"]["model.onnx"] = "0" * 64
    manifest["trained_on"]["sha256"] = "1" * 64
    (model / "manifest.json").write_bytes(bundle.to_json(manifest))
    assert compare(bundles["v2"] / "manifest.json", model / "manifest.json", "manifest.json").equal
    manifest["threshold"] += 0.01
    (model / "manifest.json").write_bytes(bundle.to_json(manifest))
    found = compare(bundles["v2"] / "manifest.json", model / "manifest.json", "manifest.json")
    assert not found.equal
    assert found.words[0].startswith("threshold ")


def test_weights_of_a_linear_model_are_told_by_their_columns(tmp_path: Path, bundles: Bundles) -> None:
    names = Encoder.from_json(json.loads((bundles["v1"] / "encoder.json").read_bytes())).names
    was = {"kind": "linear", "weight": [0.5] * 2 * len(names), "intercept": 1.0}
    now = {**was, "weight": [0.5] * (len(names) + 1) + [0.75] + [0.5] * (len(names) - 2)}
    (tmp_path / "was.json").write_text(json.dumps(was))
    (tmp_path / "now.json").write_text(json.dumps(now))
    encoder = bundles["v1"] / "encoder.json"
    found = compare(tmp_path / "was.json", tmp_path / "now.json", "explainer.json", encoder)
    assert found == Found(False, (f"weight.{names[1]} missing 0.5 recorded, 0.75 rebuilt",))
