"""params.yaml as strict, frozen types. An unknown key, a wrong type or a value out of range stops before anything runs.

Each stage reads one view: what it may read is what `dvc.yaml` declares for it (a test compares the two), so a
parameter that a stage uses can never change without DVC running the stage again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from mlops import strict
from mlops.errors import ParamsError
from mlops.strict import Section

PATH = Path("params.yaml")

Share = Annotated[float, Field(gt=0, lt=1)]
Month = Annotated[str, Field(pattern=r"^(19|20|21)\d\d-(0[1-9]|1[0-2])$")]
ModelKind = Literal["xgboost", "random_forest", "hist_gradient_boosting", "logistic_regression"]


class Drift(Section):
    """What changes in the simulated world, from which month on; `strength` 0 is nothing, 1 is hard to miss."""

    kind: Literal["none", "covariate", "concept"] = "none"
    from_: Month = Field(default="2026-04", alias="from")
    strength: float = Field(default=1.0, ge=0, le=5)


class Simulator(Section):
    """The embedded subscription business: how many subscriptions at any time, how many monthly snapshots from when."""

    customers: int = Field(ge=50, le=20_000_000)
    months: int = Field(ge=2, le=120)
    start: Month
    seed: int = Field(ge=0, le=2**32 - 1)
    drift: Drift


class Table(Section):
    """A user's table as `mlops data use` found it: files in the repository and how they are written."""

    files: list[str] = Field(min_length=1)
    test: list[str] = Field(default_factory=list)
    format: Literal["csv", "parquet"] = "csv"
    encoding: str = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    header: bool = True
    decimal: Literal[".", ","] = "."


class Data(Section):
    """What `ingest` reads: the simulator or a table."""

    source: Literal["simulator", "table"]
    simulator: Simulator
    table: Table | None

    @model_validator(mode="after")
    def _a_table_is_named(self) -> Data:
        if self.source == "table" and self.table is None:
            raise ValueError("source table needs a table; name yours with `mlops data use FILE --target COLUMN`")
        return self


class Preprocess(Section):
    """How rows are checked and which side of the split they are on."""

    max_bad_share: float = Field(ge=0, le=1)
    leakage: Literal["warn", "stop"]
    test_share: Share
    validation_share: Share
    split_seed: int = Field(ge=0, le=2**32 - 1)
    cutoff: Annotated[str, Field(pattern=r"^(auto|none|\d{4}-\d{2}-\d{2})$")]


class Features(Section):
    """Which features are derived and how categories become numbers."""

    sentiment: bool
    one_hot_levels: int = Field(ge=2, le=1000)
    min_level_rows: int = Field(ge=1)


class Train(Section):
    """How the model is fitted, besides its hyperparameters."""

    early_stopping_rounds: int = Field(ge=0)
    class_weight: Literal["balanced"] | None
    calibration: Literal["sigmoid", "none"]


class Decision(Section):
    """What a decision is worth, in money: `threshold: auto` finds the most profitable one on validation rows."""

    value_saved: float = Field(gt=0)
    cost_contact: float = Field(gt=0)
    threshold: Literal["auto"] | Annotated[float, Field(ge=0, le=1)]


class Evaluate(Section):
    """How uncertain the test metrics are, and for which groups they are reported apart."""

    resamples: int = Field(ge=100, le=100_000)
    confidence: Share
    slices: Literal["auto"] | list[str]
    min_slice_rows: int = Field(ge=1)


class Hyperparameters(Section):
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
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ParamsError(f"{path} is missing; run this in the repository's folder, or `git checkout {path}`") from None
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path} is not valid YAML: {error}; `git diff {path}` shows what changed") from error
    return parse(strict.read(text, path, ParamsError), path)


def view(stage: str, path: Path = PATH) -> View:
    """The parameters of one stage; the whole file is checked first."""
    return View(load(path), VIEWS[stage])


def parse(document: Any, path: Path = PATH) -> Params:
    """Check a YAML document; see `load` for the errors."""
    return strict.check(document, Params, path, ParamsError)
