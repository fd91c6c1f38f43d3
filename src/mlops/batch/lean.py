"""What a process that only scores need not import.

pyarrow and XGBoost import pandas and scikit-learn where they are installed, 0.6 s and 100 MB that scoring never uses.
Both work without: pyarrow asks once, at the first value it converts, and XGBoost does while it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Refusing:
    """An importer that says some packages are not there, and knows nothing of others."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse the packages by name."""
        if name in self.names:
            raise ModuleNotFoundError(f"{name} is not used here", name=name)


@contextmanager
def _refused(*names: str) -> Iterator[None]:
    importer = _Refusing(*(name for name in names if name not in sys.modules))
    sys.meta_path.insert(0, importer)
    try:
        yield
    finally:
        sys.meta_path.remove(importer)


def import_lean() -> None:
    """Import pyarrow and XGBoost without pandas and scikit-learn, for a process of its own: there XGBoost then has no
    scikit-learn classes. To be called before anything else of the process uses either.
    """
    with _refused("pandas", "sklearn"):
        import pyarrow

        pyarrow.array([0])
        import xgboost  # noqa: F401
