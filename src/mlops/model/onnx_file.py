"""Models as ONNX: one input `x` (float32, rows × width, NaN where missing), one output `score` (rows × 1).

Written here rather than by a converter: skl2onnx fails on HistGradientBoosting and loses the direction of missing
values in forests. Only the standard operators TreeEnsembleRegressor (ai.onnx.ml 3), Cast and, for linear models, plain
arithmetic in float64 are used, so any ONNX runtime loads the files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mlops.model.trees import Trees

OPSETS = (("", 17), ("ai.onnx.ml", 3))
IR_VERSION = 8


def of_trees(trees: Trees, width: int) -> bytes:
    """The ensemble as one TreeEnsembleRegressor. width: number of matrix columns.

    The base is its first tree, of one leaf, because libraries start from it: only additions in the same order and of
    the same type give the same bits. ONNX Runtime keeps to the order of trees as long as it runs on one thread.
    """
    leaf = trees.feature < 0
    branch = "BRANCH_LEQ" if trees.inclusive else "BRANCH_LT"
    double = trees.value.dtype == np.float64
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["values" if double else "x"],
        ["score"],
        domain="ai.onnx.ml",
        aggregate_function="SUM",
        post_transform="NONE",
        n_targets=1,
        nodes_treeids=[0, *(trees.tree + 1).tolist()],
        nodes_nodeids=[0, *trees.node.tolist()],
        nodes_featureids=[0, *np.where(leaf, 0, trees.feature).tolist()],
        nodes_modes=["LEAF", *np.where(leaf, "LEAF", branch).tolist()],
        nodes_truenodeids=[0, *np.where(leaf, 0, trees.left).tolist()],
        nodes_falsenodeids=[0, *np.where(leaf, 0, trees.right).tolist()],
        nodes_missing_value_tracks_true=[0, *trees.missing_left.astype(int).tolist()],
        target_treeids=[0, *(trees.tree[leaf] + 1).tolist()],
        target_nodeids=[0, *trees.node[leaf].tolist()],
        target_ids=[0] * (1 + int(leaf.sum())),
        **_numbers("nodes_values", [0.0, *trees.threshold.tolist()], double),
        **_numbers("target_weights", [trees.base, *trees.value[leaf].tolist()], double),
    )
    cast = [helper.make_node("Cast", ["x"], ["values"], to=TensorProto.DOUBLE)] if double else []
    return _model([*cast, node], [], width, TensorProto.FLOAT)


def _numbers(name: str, values: list[float], double: bool) -> dict[str, Any]:
    """An attribute of numbers, as the operator wants them in either type."""
    return {f"{name}_as_tensor": numpy_helper.from_array(np.array(values))} if double else {name: values}


def of_linear(
    fill: NDArray[np.float64], center: NDArray[np.float64], weight: NDArray[np.float64], intercept: float
) -> bytes:
    """score = Σ weight · (x, missing replaced by fill, minus center) + Σ missing weight · (x is missing) + intercept.

    Args:
        fill, center: shape (width,).
        weight: shape (2 · width,): first of the values, then of their being missing.
        intercept: a number.
    """
    width = len(fill)
    constants = {"fill": fill, "center": center, "weight": weight.reshape(-1, 1), "intercept": np.array([intercept])}
    nodes = [
        helper.make_node("Cast", ["x"], ["values"], to=TensorProto.DOUBLE),
        helper.make_node("IsNaN", ["values"], ["missing"]),
        helper.make_node("Where", ["missing", "fill", "values"], ["filled"]),
        helper.make_node("Sub", ["filled", "center"], ["centered"]),
        helper.make_node("Cast", ["missing"], ["flags"], to=TensorProto.DOUBLE),
        helper.make_node("Concat", ["centered", "flags"], ["all"], axis=1),
        helper.make_node("MatMul", ["all", "weight"], ["product"]),
        helper.make_node("Add", ["product", "intercept"], ["score"]),
    ]
    initializers = [numpy_helper.from_array(np.asarray(v, dtype=np.float64), k) for k, v in constants.items()]
    return _model(nodes, initializers, width, TensorProto.DOUBLE)


def _model(nodes: list[Any], initializers: list[Any], width: int, output: int) -> bytes:
    graph = helper.make_graph(
        nodes,
        "churn",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", width])],
        [helper.make_tensor_value_info("score", output, ["rows", 1])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(*o) for o in OPSETS], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))
