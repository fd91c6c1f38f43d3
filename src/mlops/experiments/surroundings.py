"""What a run was made by and made from: the script or notebook, the packages it imported, the data it was given."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

LARGEST_CODE = 1_000_000
"""Bytes of code that a run's commit takes along; of a longer text only the digest."""


def script() -> Path | None:
    """The script that runs, or the notebook where its server says which; None in a plain interpreter."""
    notebook = os.environ.get("JPY_SESSION_NAME", "")
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    named = Path(notebook) if shell() is not None else Path(main) if main else None
    return named if named is not None and named.is_file() else None


def code(root: Path) -> tuple[dict[str, Any], str | None]:
    """What runs: facts for the record, and its text. Of a notebook the text is the cells as they were run so far."""
    found, session = script(), shell()
    facts: dict[str, Any] = {}
    text = None
    if found is not None:
        content, place = found.read_bytes(), found.resolve()
        inside = place.is_relative_to(root.resolve())
        path = place.relative_to(root.resolve()).as_posix() if inside else place.name
        facts = {"path": path, "sha256": hashlib.sha256(content).hexdigest()}
        text = content.decode("utf-8", "replace") if session is None else None
    if session is not None:
        cells = getattr(session, "user_ns", {}).get("In", [])
        text = "\n\n".join(f"# In[{i}]\n{cell}" for i, cell in enumerate(cells) if cell)
        facts["cells"] = hashlib.sha256(text.encode()).hexdigest()
    return facts, text if text and len(text) <= LARGEST_CODE else None


def shell() -> Any:
    """IPython's shell where this is a notebook or an IPython session."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def packages() -> dict[str, str]:
    """Package → version, of those that are imported."""
    tops = {name.partition(".")[0] for name in list(sys.modules)}
    known = _distributions()
    found = {package: _version(package) for top in tops for package in known.get(top, ())}
    return {name: version for name, version in sorted(found.items()) if version}


@cache
def _distributions() -> Mapping[str, list[str]]:
    from importlib import metadata

    return metadata.packages_distributions()


@cache
def _version(package: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def data(x: Any, y: Any = None) -> dict[str, Any]:
    """Rows as they were given: how many, which columns, and the sha256 of their values.

    x: a frame, an array or a list of rows; y: their outcomes, where there are any.
    """
    named = _columns(x)
    digest = hashlib.sha256()
    for name, values in [*named, *([("", y)] if y is not None else [])]:
        array = np.asarray(values)
        digest.update(f"\x00{name}\x00{array.dtype.str}\x00".encode())
        if array.dtype.kind in "OUST":
            digest.update("\x1f".join(map(str, array.ravel().tolist())).encode("utf-8", "surrogatepass"))
        else:
            digest.update(np.ascontiguousarray(array).tobytes())
    rows = len(x) if not hasattr(x, "shape") else int(x.shape[0])
    return {"rows": rows, "columns": [name for name, _ in named], "sha256": digest.hexdigest()}


def _columns(x: Any) -> list[tuple[str, Any]]:
    if hasattr(x, "columns") and hasattr(x, "__getitem__"):  # a frame of pandas, polars or Arrow
        names = list(x.columns) if not hasattr(x, "column_names") else list(x.column_names)
        return [(str(name), x[name]) for name in names]
    if hasattr(x, "tocsr"):  # SciPy's sparse matrices
        x = x.tocsr().toarray()
    array = np.asarray(x)
    if array.ndim < 2:
        return [("", array)]
    return [(str(i), array[:, i]) for i in range(array.shape[1])]
