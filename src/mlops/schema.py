"""data/schema.yaml: what each column of the table is. Written by `mlops data use`, edited by people.

Kinds of columns:
    number, boolean, category, date, text   features
    id       who the row is about; all rows of one id land on the same side of the split
    time     when the row was observed; the split's cutoff lies on it
    target   what is predicted; `positive` names the value that means churn
    truth    the true probability, known for simulated tables only; never a feature
    ignore   not used; `why` says why
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from mlops.errors import SchemaError, nearest

PATH = Path("data/schema.yaml")

Kind = Literal["number", "boolean", "category", "date", "text", "id", "time", "target", "truth", "ignore"]
KINDS: tuple[str, ...] = get_args(Kind)
FEATURE_KINDS = ("number", "boolean", "category", "date", "text")
RESERVED = "__"  # prefix of the columns that stages add to a table

HEADER = """\
# What each column of the table is. `mlops data use` writes this file, people correct it, `dvc repro` obeys it.
#   kind      number | boolean | category | date | text: features   id | time | target: roles   ignore: left out (why)
#   missing   words of this column that mean "no value", beyond the usual NA, ?, null and blanks
#   format    how a date is written, as strptime reads it
#   min, max, levels, required: rules; a row that breaks one is quarantined and counted
#   truth     the true probability, which only simulated tables know; never a feature
# derived:    features computed from others, one operation each: ratio, difference, product (numbers), days (dates)
"""


@dataclass(frozen=True)
class Column:
    """One column: its kind, how it is read, and the rules its values keep."""

    name: str
    kind: Kind
    missing: tuple[str, ...] = ()
    format: str | None = None
    min: float | None = None
    max: float | None = None
    levels: tuple[str, ...] | None = None
    required: bool = False
    positive: str | None = None
    negative: str | None = None
    why: str | None = None

    @property
    def is_feature(self) -> bool:
        """Whether the model may see it."""
        return self.kind in FEATURE_KINDS


@dataclass(frozen=True)
class Derived:
    """A feature computed from two columns: `op` is ratio, difference, product or days."""

    name: str
    op: str
    inputs: tuple[str, str]


DERIVED_OPS = {"ratio": "number", "difference": "number", "product": "number", "days": "date"}
"""Operation → kind of both its inputs (`days` also takes the time column)."""


@dataclass(frozen=True)
class Schema:
    """All columns in the table's order, and the derived features."""

    columns: tuple[Column, ...]
    derived: tuple[Derived, ...] = ()

    def __post_init__(self) -> None:
        for role in ("target", "id", "time", "truth"):
            if len(self.of_kind(role)) > 1:
                names = ", ".join(c.name for c in self.of_kind(role))
                raise SchemaError(f"{PATH}: {names} are all kind: {role}; only one column can be")
        if not self.of_kind("target"):
            raise SchemaError(f"{PATH}: no column is kind: target; name it with `mlops data use FILE --target COLUMN`")

    def of_kind(self, kind: str) -> list[Column]:
        """Columns of that kind, in the table's order."""
        return [c for c in self.columns if c.kind == kind]

    def role(self, kind: str) -> Column | None:
        """The one column of a role, or None."""
        found = self.of_kind(kind)
        return found[0] if found else None

    @property
    def target(self) -> Column:
        """The column that is predicted."""
        return self.of_kind("target")[0]

    @property
    def features(self) -> list[Column]:
        """The columns that the model may see."""
        return [c for c in self.columns if c.is_feature]

    def column(self, name: str) -> Column:
        """The column of that name; SchemaError with the nearest name when there is none."""
        for c in self.columns:
            if c.name == name:
                return c
        raise SchemaError(f"{PATH}: no column {name!r}{nearest(name, (c.name for c in self.columns))}")


def load(path: Path = PATH) -> Schema:
    """Read and check the schema file.

    Raises:
        SchemaError: it is missing, is no YAML, or says something that cannot be; the message names the column and key.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError:
        raise SchemaError(f"{path} is missing; write it with `mlops data use simulator` or your own table") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaError(f"{path} is not valid YAML: {error}; `git diff {path}` shows what changed") from error
    return parse(document, path)


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML whose mappings name each key once: of two, YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping; an error that names the key and its line when a key stands there twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # the parent's own error: an unhashable key
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} stands there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Loader(UniqueKeyLoader):
    """Reads `No`, `01` and dates as the words they are: only null is not a word here."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse(document: Any, path: Path = PATH) -> Schema:
    """Turn the YAML document into a Schema; see `load` for the errors."""
    if not isinstance(document, dict) or not isinstance(document.get("columns"), dict):
        raise SchemaError(f"{path}: expected a mapping `columns:`; write it again with `mlops data use`")
    for key in document:
        if key not in ("columns", "derived"):
            raise SchemaError(f"{path}: {key} is not a known key{nearest(str(key), ('columns', 'derived'))}")
    columns = tuple(_column(str(name), spec, path) for name, spec in document["columns"].items())
    known = {c.name: c for c in columns}
    derived = tuple(_derived(str(name), spec, known, path) for name, spec in (document.get("derived") or {}).items())
    return Schema(columns, derived)


_KEYS = ("kind", "missing", "format", "min", "max", "levels", "required", "positive", "negative", "why")


def _column(name: str, spec: Any, path: Path) -> Column:
    where = f"{path}: {name}"
    if name.startswith(RESERVED):
        raise SchemaError(f"{where}: names that start with {RESERVED} are reserved; rename the column")
    if not isinstance(spec, dict) or "kind" not in spec:
        raise SchemaError(f"{where}: expected {{kind: …}} with one of {', '.join(KINDS)}")
    for key in spec:
        if key not in _KEYS:
            raise SchemaError(f"{where}: {key} is not a known key{nearest(str(key), _KEYS)}")
    kind = spec["kind"]
    if kind not in KINDS:
        raise SchemaError(f"{where}: kind {kind!r} is none of {', '.join(KINDS)}{nearest(str(kind), KINDS)}")
    if kind == "target" and (spec.get("positive") is None or spec.get("negative") is None):
        raise SchemaError(f"{where}: a target needs positive: and negative:, the two values it takes")
    levels = spec.get("levels")
    low, high = _number(spec, "min", where), _number(spec, "max", where)
    if low is not None and high is not None and low > high:
        raise SchemaError(f"{where}: min {low:g} is above max {high:g}; no value could keep both")
    return Column(
        name=name,
        kind=kind,
        missing=_words(spec.get("missing") or (), f"{where}: missing"),
        format=_optional(spec, "format", str, where),
        min=low,
        max=high,
        levels=None if levels is None else _words(levels, f"{where}: levels"),
        required=bool(_flag(spec, "required", where)),
        positive=None if spec.get("positive") is None else str(spec["positive"]),
        negative=None if spec.get("negative") is None else str(spec["negative"]),
        why=_optional(spec, "why", str, where),
    )


def _words(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise SchemaError(f"{where}: expected a list, got {value!r}")
    return tuple(str(v) for v in value)


def _optional(spec: dict[str, Any], key: str, kind: type, where: str) -> Any:
    value = spec.get(key)
    if value is not None and not isinstance(value, kind):
        raise SchemaError(f"{where}: {key} must be a {kind.__name__}, got {value!r}")
    return value


def _number(spec: dict[str, Any], key: str, where: str) -> float | None:
    value = spec.get(key)
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise SchemaError(f"{where}: {key} must be a number, got {value!r}")
    return number


def _flag(spec: dict[str, Any], key: str, where: str) -> bool:
    value = spec.get(key, "false")
    if str(value).lower() not in ("true", "false"):
        raise SchemaError(f"{where}: {key} must be true or false, got {value!r}")
    return str(value).lower() == "true"


def _derived(name: str, spec: Any, known: dict[str, Column], path: Path) -> Derived:
    where = f"{path}: derived {name}"
    if not isinstance(spec, dict) or len(spec) != 1:
        raise SchemaError(f"{where}: expected one operation, such as {{ratio: [a, b]}}")
    ((op, inputs),) = spec.items()
    if op not in DERIVED_OPS:
        raise SchemaError(f"{where}: {op} is none of {', '.join(DERIVED_OPS)}{nearest(str(op), DERIVED_OPS)}")
    if name in known:
        raise SchemaError(f"{where}: the table already has a column of that name; choose another")
    if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
        raise SchemaError(f"{where}: {op} takes two columns, got {inputs!r}")
    allowed = ("number", "boolean") if DERIVED_OPS[op] == "number" else ("date", "time")
    for column in map(str, inputs):
        if column not in known:
            raise SchemaError(f"{where}: no column {column!r}{nearest(column, known)}")
        if known[column].kind not in allowed:
            raise SchemaError(f"{where}: {op} takes {' or '.join(allowed)} columns, {column} is a {known[column].kind}")
    return Derived(name, op, (str(inputs[0]), str(inputs[1])))


def dump(schema: Schema) -> str:
    """The schema as the text of data/schema.yaml; `parse(yaml)` of it gives the same schema back."""
    lines = [HEADER + "columns:"]
    for c in schema.columns:
        spec: dict[str, Any] = {"kind": c.kind}
        for key in _KEYS[1:]:
            value = getattr(c, key)
            if value is not None and value != () and value is not False:
                spec[key] = list(value) if isinstance(value, tuple) else value
        lines.append(f"  {_inline(c.name)}: {_inline(spec)}")
    if schema.derived:
        lines.append("derived:")
        lines += [f"  {_inline(d.name)}: {_inline({d.op: list(d.inputs)})}" for d in schema.derived]
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
