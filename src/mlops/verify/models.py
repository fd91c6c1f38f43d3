"""Two served models of the same output: which tree differs first, at which node, and how much."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops.verify.close import Found, largest, number, within
from mlops.verify.documents import compare_documents

STRUCTURE = ("feature", "left", "right", "missing_left")
NUMBERS = ("threshold", "value", "cover")
FOLLOWS = (("files",), ("trained_on", "sha256"))
"""Of manifest.json: digests of other files, which are compared themselves."""

Nodes = NDArray[Any]


def compare_trees(recorded: Path, rebuilt: Path, encoder: Path | None) -> Found:
    """Compare two trees.npy (`mlops.contributions.NODE`).

    Args:
        recorded, rebuilt: the files.
        encoder: encoder.json of one of the models, for the names of its columns.
    """
    was, now = (np.load(path, allow_pickle=False) for path in (recorded, rebuilt))
    if was.dtype != now.dtype or not set(STRUCTURE + NUMBERS) <= set(was.dtype.names or ()):
        return Found(False, ("another kind of trees",))
    roots, other_roots = _roots(was), _roots(now)
    shared = min(len(was), len(now))
    a, b = was[:shared], now[:shared]
    differ = np.flatnonzero(a != b)
    words = []
    if len(roots) != len(other_roots):
        words.append(f"{len(roots):,} trees recorded, {len(other_roots):,} rebuilt")
    if len(differ):
        words += _first(a, b, int(differ[0]), roots, _names(encoder))
        # Behind the first tree of another shape, nodes of other trees stand beside each other: only trees are counted.
        which = len(np.unique(_trees(roots, differ)))
        same_shape = len(was) == len(now) and all((was[name] == now[name]).all() for name in STRUCTURE)
        leaves = f", largest |difference| of a leaf {largest(was['value'], now['value']):.3g}" if same_shape else ""
        words.append(f"{which:,} of {len(roots):,} trees differ{leaves}")
    equal = len(was) == len(now) and all((was[name] == now[name]).all() for name in STRUCTURE)
    equal = equal and all(within(was[name], now[name]).all() for name in NUMBERS)
    return Found(bool(equal), tuple(words) or ("other bytes, the same trees",))


def _roots(nodes: Nodes) -> NDArray[np.intp]:
    """The first node of each tree: the one that is nobody's child."""
    children = np.concatenate([nodes["left"], nodes["right"]])
    root = np.ones(len(nodes), dtype=bool)
    root[children[children >= 0]] = False
    return np.flatnonzero(root)


def _trees(roots: NDArray[np.intp], places: Any) -> NDArray[np.intp]:
    """The number of the tree of each node."""
    found: NDArray[np.intp] = np.searchsorted(roots, places, side="right") - 1
    return found


def _first(was: Nodes, now: Nodes, place: int, roots: NDArray[np.intp], names: list[str]) -> list[str]:
    """The first node that differs: where it stands, and what it asks or answers."""
    tree = int(_trees(roots, place))
    a, b = (_node(nodes[place], names) for nodes in (was, now))
    if a == b:
        field = next(n for n in (*STRUCTURE, *NUMBERS) if was[place][n] != now[place][n])
        a, b = (f"{field} {number(float(nodes[place][field]))}" for nodes in (was, now))
    return [f"tree {tree + 1} of {len(roots)}, node {place - roots[tree]}: {a} recorded, {b} rebuilt"]


def _node(node: Any, names: list[str]) -> str:
    if node["feature"] < 0:
        return f"leaf {number(float(node['value']))}"
    column = int(node["feature"])
    name = names[column] if column < len(names) else f"column {column}"
    return f"{name} ≤ {number(float(node['threshold']))}"


def _names(encoder: Path | None) -> list[str]:
    """The matrix columns' names; none where the encoder is of a format that is not read any more."""
    from mlops.encode import Encoder
    from mlops.errors import MlopsError

    if encoder is None:
        return []
    try:
        return Encoder.from_json(json.loads(encoder.read_bytes())).names
    except (MlopsError, ValueError, KeyError, TypeError):
        return []


def compare_explainer(recorded: Path, rebuilt: Path, encoder: Path | None) -> Found:
    """Compare two explainer.json, which of a linear model hold its weights: told by the names of the columns."""
    was, now = (json.loads(path.read_bytes()) for path in (recorded, rebuilt))
    names = _names(encoder)
    return compare_documents(_named(was, names), _named(now, names))


def _named(document: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Lists of one number for each column, or two, as objects by the columns' names."""
    labels = {len(names): names, 2 * len(names): [*names, *(f"{name} missing" for name in names)]}
    return {
        key: dict(zip(labels[len(value)], value, strict=True)) if isinstance(value, list) and len(value) in labels
        else value
        for key, value in document.items()
    }  # fmt: skip


def compare_onnx(recorded: Path, rebuilt: Path) -> Found:
    """Compare two ONNX models: the same graph, and their numbers within the tolerance."""
    was, now = _parts(recorded), _parts(rebuilt)
    equal, words = True, []
    for name in {**was, **now}:
        a, b = was.get(name), now.get(name)
        if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
            return Found(False, (f"another graph ({name})",))
        if np.array_equal(a, b):
            continue
        floating = a.dtype.kind == "f"
        equal = equal and floating and bool(within(a, b).all())
        words.append(f"{name}: largest |difference| {largest(a, b):.3g}" if floating else f"{name}: other values")
    return Found(equal, tuple(words) or ("other bytes, the same model",))


def _parts(path: Path) -> dict[str, NDArray[Any]]:
    """An ONNX model as named arrays: every attribute, every constant, and the rest as it is written."""
    import onnx

    model = onnx.load(str(path))
    parts: dict[str, NDArray[Any]] = {}
    for place, node in enumerate(model.graph.node):
        for attribute in node.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            name = f"{node.op_type or place}.{attribute.name}"
            if attribute.type == onnx.AttributeProto.TENSOR:
                parts[name] = onnx.numpy_helper.to_array(value)
            elif attribute.type == onnx.AttributeProto.FLOATS:
                parts[name] = np.asarray(value, dtype=np.float32)
            else:
                parts[name] = np.asarray(value)
        del node.attribute[:]
    for constant in model.graph.initializer:
        parts[constant.name] = onnx.numpy_helper.to_array(constant)
    del model.graph.initializer[:]
    rest = model.SerializeToString(deterministic=True)
    return {**parts, "graph": np.frombuffer(rest, dtype=np.uint8)}
