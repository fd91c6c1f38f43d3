"""params.yaml as strict, frozen types. An unknown key, a wrong type or a value out of range stops before anything runs.

Each stage reads one view: what it may read is what `dvc.yaml` declares for it (a test compares the two), so a
parameter that a stage uses can never change without DVC running the stage again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mlops.errors import ParamsError, nearest, one_line
from mlops.schema import UniqueKeyLoader

PATH = Path("params.yaml")

Share = Annotated[float, Field(gt=0, lt=1)]
Month = Annotated[str, Field(pattern=r"^(19|20|21)\d\d-(0[1-9]|1[0-2])$")]
ModelKind = Literal["xgboost", "random_forest", "hist_gradient_boosting", "logistic_regression"]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class Drift(_Section):
    """What changes in the simulated world, from which month on; `strength` 0 is nothing, 1 is hard to miss."""

    kind: Literal["none", "covariate", "concept"] = "none"
    from_: Month = Field(default="2026-04", alias="from")
    strength: float = Field(default=1.0, ge=0, le=5)


class Simulator(_Section):
    """The embedded subscription business: how many subscriptions at any time, how many monthly snapshots from when."""

    customers: int = Field(ge=50, le=20_000_000)
    months: int = Field(ge=2, le=120)
    start: Month
    seed: int = Field(ge=0, le=2**32 - 1)
    drift: Drift


class Table(_Section):
    """A user's table as `mlops data use` found it: files in the repository and how they are written."""

    files: list[str] = Field(min_length=1)
    test: list[str] = Field(default_factory=list)
    format: Literal["csv", "parquet"] = "csv"
    encoding: str = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    header: bool = True
    decimal: Literal[".", ","] = "."


class Data(_Section):
    """What `ingest` reads: the simulator or a table."""

    source: Literal["simulator", "table"]
    simulator: Simulator
    table: Table | None

    @model_validator(mode="after")
    def _a_table_is_named(self) -> Data:
        if self.source == "table" and self.table is None:
            raise ValueError("source table needs a table; name yours with `mlops data use FILE --target COLUMN`")
        return self


class Preprocess(_Section):
    """How rows are checked and which side of the split they are on."""

    max_bad_share: float = Field(ge=0, le=1)
    leakage: Literal["warn", "stop"]
    test_share: Share
    validation_share: Share
    split_seed: int = Field(ge=0, le=2**32 - 1)
    cutoff: Annotated[str, Field(pattern=r"^(auto|none|\d{4}-\d{2}-\d{2})$")]


class Features(_Section):
    """Which features are derived and how categories become numbers."""

    sentiment: bool
    one_hot_levels: int = Field(ge=2, le=1000)
    min_level_rows: int = Field(ge=1)


class Train(_Section):
    """How the model is fitted, besides its hyperparameters."""

    early_stopping_rounds: int = Field(ge=0)
    class_weight: Literal["balanced"] | None
    calibration: Literal["sigmoid", "none"]


class Decision(_Section):
    """What a decision is worth, in money: `threshold: auto` finds the most profitable one on validation rows."""

    value_saved: float = Field(gt=0)
    cost_contact: float = Field(gt=0)
    threshold: Literal["auto"] | Annotated[float, Field(ge=0, le=1)]


class Evaluate(_Section):
    """How uncertain the test metrics are, and for which groups they are reported apart."""

    resamples: int = Field(ge=100, le=100_000)
    confidence: Share
    slices: Literal["auto"] | list[str]
    min_slice_rows: int = Field(ge=1)


class Hyperparameters(_Section):
    """Top-level keys of params.yaml; None is the kind's own default."""

    n_estimators: Annotated[int, Field(ge=1, le=100_000)] | None
    max_depth: Annotated[int, Field(ge=1, le=64)] | None
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None
    min_child_weight: Annotated[float, Field(ge=0)] | None
    subsample: Annotated[float, Field(gt=0, le=1)] | None
    colsample: Annotated[float, Field(gt=0, le=1)] | None
    reg_lambda: Annotated[float, Field(ge=0)] | None
    C: Annotated[float, Field(gt=0)] | None


class Params(Hyperparameters):
    """The whole of params.yaml."""

    model: ModelKind
    seed: int = Field(ge=0, le=2**31 - 1)
    data: Data
    preprocess: Preprocess
    features: Features
    train: Train
    decision: Decision
    evaluate: Evaluate

    @field_validator("preprocess")
    @classmethod
    def _rows_left_to_train_on(cls, value: Preprocess) -> Preprocess:
        if value.test_share + value.validation_share >= 0.95:
            raise ValueError("test_share + validation_share must leave at least 5 % of the rows for training")
        return value

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The model's own knobs that params.yaml sets; those left null are not in it."""
        values = {name: getattr(self, name) for name in Hyperparameters.model_fields}
        return {name: value for name, value in values.items() if value is not None}


VIEWS: dict[str, tuple[str, ...]] = {
    "ingest": ("data",),
    "preprocess": ("preprocess", "features.sentiment"),
    "train": (
        "model", "seed", *Hyperparameters.model_fields, "train", "decision",
        "features.one_hot_levels", "features.min_level_rows",
    ),
    "evaluate": ("evaluate", "decision.value_saved", "decision.cost_contact"),
}  # fmt: skip
"""Which parameters each stage reads: the `params:` of its entry in dvc.yaml."""


class View:
    """The parameters that one stage declared. Reading another raises: DVC would not notice a change of it."""

    def __init__(self, params: Params, allowed: tuple[str, ...], prefix: str = "") -> None:
        self._params, self._allowed, self._prefix = params, allowed, prefix

    def get(self, name: str) -> Any:
        """The value of a declared parameter, by its dotted name (`features.sentiment`, `train`)."""
        if not any(name == a or name.startswith(a + ".") for a in self._allowed):
            raise ParamsError(f"{PATH}: this stage does not declare {name}; add it to dvc.yaml and mlops.params.VIEWS")
        value: Any = self._params
        for part in name.split("."):
            value = getattr(value, part)
        return value

    def values(self) -> dict[str, Any]:
        """All declared parameters, by dotted name."""
        return {name: self.get(name) for name in self._allowed}

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The model's own knobs that params.yaml sets (train only)."""
        return {n: self.get(n) for n in Hyperparameters.model_fields if self.get(n) is not None}


def load(path: Path = PATH) -> Params:
    """Read and check params.yaml.

    Raises:
        ParamsError: one line that names the key and the nearest right name.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError:
        raise ParamsError(f"{path} is missing; run this in the repository's folder, or `git checkout {path}`") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ParamsError(f"{path} is not valid YAML: {error}; `git diff {path}` shows what changed") from error
    return parse(document, path)


def view(stage: str, path: Path = PATH) -> View:
    """The parameters of one stage; the whole file is checked first."""
    return View(load(path), VIEWS[stage])


class _Loader(UniqueKeyLoader):
    """Reads `2026-04-01` as the text it is, and `1e-3` as the number it is (YAML 1.1 reads it as text)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse(document: Any, path: Path = PATH) -> Params:
    """Check a YAML document; see `load` for the errors."""
    if not isinstance(document, dict):
        raise ParamsError(f"{path}: expected keys and values, got {type(document).__name__}; `git checkout {path}`")
    try:
        return Params.model_validate(_floats(document))
    except RecursionError:
        raise ParamsError(f"{path}: an anchor refers to itself; `git diff {path}` shows what changed") from None
    except ValidationError as error:
        raise ParamsError(f"{path}: {_explain(error)}") from None


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


def _explain(error: ValidationError) -> str:
    """The most telling of pydantic's errors, in one line."""
    found = error.errors(include_url=False, include_context=False)
    first = min(found, key=lambda e: _FIRST.get(e["type"], 2))
    location = _keys(first["loc"], unknown=first["type"] == "extra_forbidden")
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        return f"{key} is not a known key{nearest(location[-1], _known(location[:-1]))}"
    if first["type"] == "missing":
        return f"{key} is missing; `git diff {PATH}` shows what changed"
    same = [e["msg"].removeprefix("Value error, ") for e in found if list(e["loc"])[: len(location)] == location]
    expected = "; or ".join(dict.fromkeys(m[:1].lower() + m[1:] for m in same))
    return one_line(f"{key} = {_shown(first['input'])}: {expected}")


def _keys(place: tuple[int | str, ...], *, unknown: bool) -> list[str]:
    """The keys of a place; what pydantic adds for the alternatives of a type is left out, people know keys only.

    unknown: the last part is a key that does not exist.
    """
    keys: list[str] = []
    for part in place[:-1] if unknown else place:
        if part not in _known(keys):
            break
        keys.append(str(part))
    return [*keys, str(place[-1])] if unknown else keys


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(map(str, value)) + "}"
    return "null" if value is None else str(value)


def _known(location: list[str]) -> list[str]:
    """The keys that exist at a place of params.yaml."""
    section: Any = Params
    for part in location:
        for name, field in section.model_fields.items():
            if part in (name, field.alias):
                section = _section_of(field.annotation)
                break
        if section is None:
            return []
    return [field.alias or name for name, field in section.model_fields.items()]


def _section_of(annotation: Any) -> Any:
    options = [annotation, *getattr(annotation, "__args__", ())]
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
