"""policy.yaml as strict, frozen types: what people decide by. Changing a limit is a commit that others review."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from mlops import strict
from mlops.errors import PolicyError, nearest
from mlops.strict import Section

PATH = Path("policy.yaml")
STAGE = re.compile(r"[a-z][a-z0-9-]{1,30}")
RESERVED = ("backups",)
"""Folders beside the stages' own in models/production/."""

Metric = Literal[
    "roc_auc", "pr_auc", "log_loss", "brier", "f1", "precision", "recall", "accuracy", "expected_profit"
]  # fmt: skip


class Slices(Section):
    """max_loss: of the primary metric in a group of customers; groups of fewer rows are not judged."""

    max_loss: float = Field(default=0.05, gt=0)
    min_rows: int = Field(default=200, ge=2)


class Calibration(Section):
    """max_loss: by how much the calibration error (mean distance of predicted and observed rates) may grow."""

    max_loss: float = Field(default=0.005, ge=0)


Waivable = Literal["verdict", "slices", "calibration", "signature", "latency", "size"]
"""What a pull request may be merged in spite of. Not the lock: nothing that was judged would hold without it."""


class Waiver(Section):
    """What is let pass, and why. It counts only in the pull request whose diff has it, never in promotion."""

    check: Waivable
    why: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=300)]


class Gate(Section):
    """When a version is better than another, and when it is too bad to be promoted or merged.

    metric decides; max_loss and min_effect are in its unit. confidence: of the intervals. min_rows: of a comparison.
    max_latency_ms: median time of one row; max_size_mb: of the served model; null: no limit. waive: what one pull
    request is let pass in spite of.
    """

    metric: Metric = "roc_auc"
    max_loss: float = Field(default=0.01, gt=0)
    min_effect: float = Field(default=0.002, ge=0)
    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    resamples: int = Field(default=2000, ge=200, le=100_000)
    min_rows: int = Field(default=500, ge=10)
    slices: Slices = Slices()
    calibration: Calibration = Calibration()
    signature: Literal["compatible", "any"] = "compatible"
    max_latency_ms: float | None = Field(default=1.0, gt=0)
    max_size_mb: float | None = Field(default=100.0, gt=0)
    waive: list[Waiver] = Field(default_factory=list)


class Promotion(Section):
    """stage: where `mlops promote` promotes to; requires: stage → the stage that a version must have reached before."""

    stage: str = "prod"
    requires: dict[str, str] = Field(default_factory=dict)


class Registry(Section):
    """The registry's name for the model, its stages, and which tags are followed.

    require_verdict: assignments that the gate did not judge are not followed. allowed_signers: a file of SSH keys as
    ssh-keygen(1) describes it; only tags that one of them signed are followed. keep: versions of each stage that
    models/production/ holds beside the one that serves.
    """

    name: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])$")] = "churn"
    stages: list[str] = Field(default_factory=lambda: ["dev", "staging", "prod", "canary", "shadow"], min_length=1)
    remote: str | None = "origin"
    require_verdict: bool = False
    allowed_signers: str | None = None
    keep: int = Field(default=5, ge=0)

    @field_validator("stages")
    @classmethod
    def _stages_have_names(cls, value: list[str]) -> list[str]:
        for stage in value:
            if not STAGE.fullmatch(stage) or stage in RESERVED:
                raise ValueError(f"{stage!r} is no name of a stage; 2 to 31 of a-z, 0-9 and - make one")
        return value


class Serving(Section):
    """weights: variant → share of the customers that it answers."""

    weights: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)


Scalar = bool | int | float | str | None


class Searched(Section):
    """The values of a param that a sweep tries: from low to high, or one of choices.

    log: evenly in its logarithm; step: in steps; int: whole numbers, which they are anyway where both ends are.
    when: key of params.yaml → the value, or one of the values, with which the param matters.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = Field(default=None, gt=0)
    whole: bool | None = Field(default=None, alias="int")
    choices: list[Scalar] | None = None
    when: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Searched:
        if self.choices is not None:
            if (self.low, self.high, self.step, self.whole) != (None,) * 4 or self.log:
                raise ValueError("choices take no low, high, log, step or int")
            if not self.choices:
                raise ValueError("choices are empty; name at least one value, such as [balanced, null]")
            if len({(type(c), c) for c in self.choices}) < len(self.choices):
                raise ValueError("a choice is there twice")
            return self
        if self.low is None or self.high is None:
            raise ValueError("low and high are needed, such as {low: 2, high: 8}, or choices, such as [2, 4, 8]")
        return self._range(self.low, self.high)

    def _range(self, low: float, high: float) -> Searched:
        if not low < high:
            raise ValueError(f"low {low:g} is not below high {high:g}")
        if self.log and low <= 0:
            raise ValueError(f"log needs a low above 0, it is {low:g}")
        if self.log and self.step is not None:
            raise ValueError("log and step do not go together; leave one out")
        if self.is_whole and any(isinstance(v, float) and not v.is_integer() for v in (low, high, self.step or 1)):
            raise ValueError("int needs low, high and step that are whole numbers")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are tried."""
        ends = [v for v in (self.low, self.high, self.step) if v is not None]
        return self.whole if self.whole is not None else all(isinstance(v, int) for v in ends)


class Validate(Section):
    """How a trial is measured. folds: of cv."""

    method: Literal["validation", "cv"] = "validation"
    folds: int = Field(default=5, ge=2, le=50)


class Constraints(Section):
    """What the best trial may cost at most; null: the gate's limit."""

    max_latency_ms: float | None = Field(default=None, gt=0)
    max_size_mb: float | None = Field(default=None, gt=0)


class Sweep(Section):
    """What `mlops sweep` tries.

    metric: what decides; null: the gate's. params: dotted key of params.yaml → its values. pruner: whether a trial that
    is behind is stopped. startup: trials that are drawn at random before it learns from them.
    """

    metric: Metric | None = None
    validate_: Validate = Field(default=Validate(), alias="validate")
    params: dict[str, Searched] = Field(default_factory=dict)
    constraints: Constraints = Constraints()
    pruner: bool = True
    startup: int = Field(default=10, ge=1)
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class Policy(Section):
    """The whole of policy.yaml; what it does not say has the defaults above."""

    gate: Gate = Gate()
    promotion: Promotion = Promotion()
    registry: Registry = Registry()
    serving: Serving = Serving()
    sweep: Sweep = Sweep()

    @model_validator(mode="after")
    def _stages_exist(self) -> Policy:
        named = [self.promotion.stage, *self.promotion.requires, *self.promotion.requires.values()]
        for stage in named:
            if stage not in self.registry.stages:
                raise ValueError(f"promotion names {stage!r}, which registry.stages lacks")
        return self

    def stage(self, name: str) -> str:
        """The name of a stage, checked.

        Raises:
            PolicyError: there is none of this name.
        """
        if name not in self.registry.stages:
            known = ", ".join(self.registry.stages)
            raise PolicyError(f"there is no stage {name!r}{nearest(name, self.registry.stages)} (policy.yaml: {known})")
        return name


def load(path: Path = PATH) -> Policy:
    """policy.yaml of the working tree; the defaults where there is none.

    Raises:
        PolicyError: one line that names the key and the nearest right name.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        return Policy()
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path} is not valid YAML: {error}; `git diff {path}` shows what changed") from error


def parse(text: str, path: Path = PATH) -> Policy:
    """Check the text of a policy.yaml, of whatever commit."""
    return strict.check(strict.read(text, path, PolicyError) or {}, Policy, path, PolicyError)
