"""One file of other bytes than recorded: which comparison tells most of it."""

from __future__ import annotations

from pathlib import Path

from mlops.verify.close import Found

MOST_TELLING = ("trees.npy", "encoder.json", "calibrator.json", "explainer.json", "manifest.json", "metrics.json")


def tellingness(name: str) -> tuple[int, str]:
    """Sorts the files of an output: those first that tell most."""
    base = Path(name).name
    return (MOST_TELLING.index(base) if base in MOST_TELLING else len(MOST_TELLING), name)


def compare(recorded: Path, rebuilt: Path, name: str, encoder: Path | None = None) -> Found:
    """Compare two files of the same name.

    Args:
        recorded, rebuilt: the files; the recorded one may be called otherwise.
        name: its path inside its output, empty for an output that is one file.
        encoder: of a served model, for the names of its columns.
    """
    from mlops.verify import documents, models, tables

    base = Path(name).name or rebuilt.name
    try:
        if base == "trees.npy":
            return models.compare_trees(recorded, rebuilt, encoder)
        if base == "explainer.json":
            return models.compare_explainer(recorded, rebuilt, encoder)
        if base == "manifest.json":
            return documents.compare_json(recorded, rebuilt, models.FOLLOWS)
        if base == "booster.json":
            return documents.compare_json(recorded, rebuilt, spelled=True)
        if base.endswith(".onnx"):
            return models.compare_onnx(recorded, rebuilt)
        if base.endswith(".parquet"):
            return tables.compare(recorded, rebuilt)
        if base.endswith(".json"):
            return documents.compare_json(recorded, rebuilt)
        if base.endswith((".csv", ".tsv")):
            return documents.compare_delimited(recorded, rebuilt, tab=base.endswith(".tsv"))
    except Exception as error:  # whatever pyarrow, onnx or json find wrong with a file: it is not what was recorded
        return Found(False, (f"cannot be compared ({type(error).__name__}: {error})"[:200],))
    return Found(False, ("other bytes",))
