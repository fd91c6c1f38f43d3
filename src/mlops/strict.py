"""YAML files that people edit, as strict, frozen types: a mistake is one line, with the key and the nearest name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mlops.errors import MlopsError, nearest, one_line
from mlops.schema import UniqueKeyLoader

Checked = TypeVar("Checked", bound="Section")


class Section(BaseModel):
    """Keys of one level. Nothing is converted, nothing can be changed, no other key is taken."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class Loader(UniqueKeyLoader):
    """Reads `2026-04-01` as the text it is, and `1e-3` as the number it is (YAML 1.1 reads it as text)."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def check(document: Any, kind: type[Checked], path: Path, error: type[MlopsError]) -> Checked:
    """A YAML document as `kind`.

    Args:
        document: what the file holds.
        kind: what it should be.
        path: of the file, for the message.
        error: what to raise.
    """
    if not isinstance(document, dict):
        raise error(f"{path}: expected keys and values, got {type(document).__name__}; `git checkout {path}`")
    try:
        return kind.model_validate(_floats(document))
    except RecursionError:
        raise error(f"{path}: an anchor refers to itself; `git diff {path}` shows what changed") from None
    except ValidationError as wrong:
        raise error(f"{path}: {_Places(kind, path).explain(wrong)}") from None


def read(text: str, path: Path, error: type[MlopsError]) -> Any:
    """The document of a YAML text; of equal keys, dates and numbers see `Loader`."""
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, RecursionError) as wrong:
        raise error(f"{path} is not valid YAML: {wrong}; `git diff {path}` shows what changed") from wrong


def _floats(value: Any) -> Any:
    """`1e-3` is a string in YAML 1.1; people mean the number."""
    if isinstance(value, dict):
        return {k: _floats(v) for k, v in value.items()}
    if isinstance(value, str):
        try:
            return float(value) if "e" in value.lower() and value[:1] in "0123456789.-+" else value
        except ValueError:
            return value
    return value


_FIRST = {"extra_forbidden": 0, "missing": 1}


class _Places:
    """The keys of a file, and what is wrong at one of them."""

    def __init__(self, root: type[Section], path: Path) -> None:
        self._root, self._path = root, path

    def explain(self, error: ValidationError) -> str:
        """The most telling of pydantic's errors, in one line."""
        found = error.errors(include_url=False, include_context=False)
        first = min(found, key=lambda e: _FIRST.get(e["type"], 2))
        location = self._keys(first["loc"], unknown=first["type"] == "extra_forbidden")
        key = ".".join(location)
        if first["type"] == "extra_forbidden":
            return f"{key} is not a known key{nearest(location[-1], self._known(location[:-1]))}"
        if first["type"] == "missing":
            return f"{key} is missing; `git diff {self._path}` shows what changed"
        same = [e["msg"].removeprefix("Value error, ") for e in found if list(e["loc"])[: len(location)] == location]
        expected = "; or ".join(dict.fromkeys(m[:1].lower() + m[1:] for m in same))
        return one_line(f"{key} = {_shown(first['input'])}: {expected}" if key else expected)

    def _keys(self, place: tuple[int | str, ...], *, unknown: bool) -> list[str]:
        """The keys of a place; what pydantic adds for the alternatives of a type is left out, people know keys only.

        unknown: the last part is a key that does not exist.
        """
        keys: list[str] = []
        for part in place[:-1] if unknown else place:
            if part not in self._known(keys) and not self._named(keys):
                break
            keys.append(str(part))
        return [*keys, str(place[-1])] if unknown else keys

    def _known(self, location: list[str]) -> list[str]:
        """The keys that exist at a place of the file."""
        section, named = self._at(location)
        if section is None or named:
            return []
        return [field.alias or name for name, field in section.model_fields.items()]

    def _named(self, location: list[str]) -> bool:
        """Whether keys there are names that people choose, of sections that are alike."""
        return self._at(location)[1]

    def _at(self, location: list[str]) -> tuple[Any, bool]:
        """The section at a place, None where there is none; and whether a name of one comes first."""
        section: Any = self._root
        named = False
        for part in location:
            if named:
                named = False
                continue
            fields = section.model_fields.items() if section is not None else ()
            annotation = next((field.annotation for name, field in fields if part in (name, field.alias)), None)
            section, named = _section_of(annotation), getattr(annotation, "__origin__", None) is dict
        return section, named and section is not None


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(map(str, value)) + "}"
    return "null" if value is None else str(value)


def _section_of(annotation: Any) -> Any:
    options = [annotation, *getattr(annotation, "__args__", ())]
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
