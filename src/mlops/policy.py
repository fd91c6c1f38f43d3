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


class Policy(Section):
    """The whole of policy.yaml; what it does not say has the defaults above."""

    gate: Gate = Gate()
    promotion: Promotion = Promotion()
    registry: Registry = Registry()
    serving: Serving = Serving()

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
