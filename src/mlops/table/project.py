"""The three files that say what data the pipeline runs on: data/schema.yaml, params.yaml (`data`), dvc.yaml (`ingest`).

Comments and everything else in them stay as they are.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RoundTripRepresenter

from mlops.errors import MlopsError, ParamsError, StageError

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
SOURCE = Path("data/source")


class _Representer(RoundTripRepresenter):
    """Writes an empty value as `null`, the word a person recognises."""


_Representer.add_representer(type(None), lambda r, _: r.represent_scalar("tag:yaml.org,2002:null", "null"))


def check_root() -> None:
    """Raise MlopsError unless this is the repository's folder."""
    for path in (PARAMS, PIPELINE, Path(".dvc")):
        if not path.exists():
            raise MlopsError(f"{path} is not in this folder; change to the repository's folder and type it again")


def with_table(text: str, table: dict[str, Any] | None) -> str:
    """params.yaml with `data` pointing at a table, or (None) at the simulator."""
    document = _load(text, PARAMS)
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise ParamsError(f"{PARAMS} has no section data; `git checkout {PARAMS}`")
    data["source"] = "simulator" if table is None else "table"
    data["table"] = None if table is None else _flow(table)
    return _dump(document)


def with_deps(text: str, files: list[str]) -> str:
    """dvc.yaml with these files of data/source, and no others from there, among the deps of stage `ingest`."""
    document = _load(text, PIPELINE)
    try:
        deps = document["stages"]["ingest"]["deps"]
    except (KeyError, TypeError):
        raise StageError(f"{PIPELINE} has no stage ingest with deps; `git checkout {PIPELINE}`") from None
    for place in reversed(range(len(deps))):
        if Path(str(deps[place])).parts[:2] == SOURCE.parts:
            del deps[place]
    for place, file in enumerate(files):
        deps.insert(place, file)
    return _dump(document)


def write(path: Path, text: str) -> None:
    """Replace a text file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


def _flow(table: dict[str, Any]) -> CommentedMap:
    """The table section on one line: a block would take the comments of the section behind it."""
    mapped = CommentedMap()
    for key, value in table.items():
        mapped[key] = CommentedSeq(value) if isinstance(value, list) else value
    mapped.fa.set_flow_style()
    return mapped


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.preserve_quotes = True
    yaml.width = 1_000_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _load(text: str, path: Path) -> Any:
    try:
        return _yaml().load(text)
    except YAMLError as error:
        raise ParamsError(f"{path} is not valid YAML: {error}; `git diff {path}` shows what changed") from None


def _dump(document: Any) -> str:
    out = io.StringIO()
    _yaml().dump(document, out)
    return out.getvalue()
