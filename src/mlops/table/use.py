"""`mlops data use`: point the pipeline at somebody's own table, or back at the simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops import params, schema
from mlops.errors import SchemaError, TableError
from mlops.schema import Schema
from mlops.table import project, versioned
from mlops.table.dialect import Told
from mlops.table.infer import Wishes, infer
from mlops.table.read import Sheet, read_files
from mlops.table.show import Summary, summarise
from mlops.table.typed import read_table

TEXTS = (schema.PATH, project.PARAMS, project.PIPELINE)


@dataclass(frozen=True)
class Request:
    """What the command line asked for. header: False for --no-header, None to find out."""

    files: tuple[Path, ...]
    test: tuple[Path, ...]
    wishes: Wishes
    header: bool | None = None


def use_table(request: Request) -> tuple[Summary, list[str]]:
    """Read, infer, check, then switch the project over. Returns what was found, and notes on what was done.

    Raises:
        MlopsError: something is wrong; then every file is as it was.
    """
    project.check_root()
    paths = (*request.files, *request.test)
    sheets = read_files(paths, Told(target=request.wishes.target, header=request.header))
    decimal = sheets[0].decimal
    found = infer(sheets, request.wishes, decimal)
    warnings = [*(w for sheet in sheets for w in sheet.warnings), *found.warnings]
    typed = read_table(sheets, found.schema, decimal)
    split = sum(sheet.rows for sheet in sheets[: len(request.files)])
    summary = summarise(typed.table, found.schema, split, warnings)
    if not summary.positives or summary.positives == summary.labelled:
        raise TableError(f"{found.schema.target.name} takes only one value outside the test file; a model needs both")
    places = versioned.destinations(paths)
    return summary, _switch(paths, places, found.schema, _settings(sheets[0], places, len(request.files)))


def use_simulator() -> list[str]:
    """Back to the embedded simulator. Returns notes on what was done."""
    from mlops.simulator import SCHEMA

    project.check_root()
    return _switch((), [], SCHEMA, None)


def _former() -> list[Path]:
    table = params.load().data.table
    return [] if table is None else [Path(file) for file in (*table.files, *table.test)]


def _settings(first: Sheet, places: Sequence[Path], tables: int) -> dict[str, Any]:
    """The `table` section of params.yaml: which files, and how the first one is written."""
    files = _named(places)
    return {
        "files": files[:tables], "test": files[tables:], "format": "parquet" if first.parquet else "csv",
        "encoding": first.encoding, "delimiter": first.delimiter, "header": first.header, "decimal": first.decimal,
    }  # fmt: skip


def _named(places: Sequence[Path]) -> list[str]:
    return [place.as_posix() for place in places]


def _switch(paths: Sequence[Path], places: list[Path], found: Schema, table: dict[str, Any] | None) -> list[str]:
    """Version the new files, let go of the former ones, write the three text files; all of it or nothing."""
    params_text = project.with_table(project.PARAMS.read_text(encoding="utf-8"), table)
    pipeline_text = project.with_deps(project.PIPELINE.read_text(encoding="utf-8"), _named(places))
    gone = [place for place in _former() if place not in places]
    with versioned.undone_on_error(TEXTS, [*places, *gone]):
        if places:
            versioned.add(paths, places)
        notes = versioned.remove(gone)
        for path, text in zip(TEXTS, (schema.dump(found), params_text, pipeline_text), strict=True):
            project.write(path, text)
        params.load()
        if schema.load() != found:
            raise SchemaError(f"{schema.PATH} would not be read as it was meant; rename columns with unusual names")
    return notes
