"""The report as a document: what `--json` prints, what is rendered, and what another machine hands us as an artifact.

Whoever opens a pull request runs code that writes this document. So it is checked as a stranger's: nothing but what is
named here, no longer text or list, every number finite. Texts are made harmless where they are rendered (`texts`).
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from mlops.errors import ReportError, one_line
from mlops.policy import Metric
from mlops.report.rules import GOOD, VERDICT, WAIVED
from mlops.strict import Section

NAME, LINE, SHOWN = 120, 1_000, 40
"""Characters of a name and of a sentence; entries of a list that is shown."""

Name = Annotated[str, Field(max_length=NAME)]
Line = Annotated[str, Field(max_length=LINE)]
Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Count = Annotated[int, Field(ge=0, le=10**15)]
Number = Annotated[float, Field(ge=-1e15, le=1e15)] | None
"""None: not known."""
Share = Annotated[float, Field(ge=0, le=1)]
Lines = Annotated[list[Line], Field(max_length=SHOWN)]
Names = Annotated[list[Name], Field(max_length=SHOWN)]


class Change(Section):
    """A number of the commit (candidate) and of its merge base (baseline), the difference and its interval."""

    candidate: Number
    baseline: Number
    difference: Number
    low: Number
    high: Number
    better: bool | None


class Measured(Change):
    """A metric. compared: on the same rows, with an interval; else each side on its own test rows.

    there: whether both commits have it. A number that is there and is not finite is None.
    """

    name: Name
    compared: bool
    there: Literal["both", "new", "gone"]


class Compared(Section):
    """Which commits, on which rows; first: the merge base has no model. uncommitted: files that HEAD does not have so.

    branch, name: of the merge base. basis, words: as the gate's result has them.
    """

    head: Sha
    base: Sha
    branch: Name
    name: Name
    ahead: Count
    behind: Count
    first: bool
    basis: Name
    words: Line
    rows: Count
    customers: Count
    uncommitted: Names
    uncommitted_files: Count


class Check(Section):
    """A check of the gate; waived: why it is let pass."""

    name: Name
    passed: bool
    words: Line
    waived: Line | None


class Limits(Section):
    """What policy.yaml says of the metric, its slices and the calibration error."""

    max_loss: Number
    min_effect: Number
    confidence: Share
    slices: Number
    calibration: Number


class Flipped(Section):
    """A group and how many of its rows flipped."""

    column: Name
    level: Name
    rows: Count
    flipped: Count


class Decisions(Section):
    """Pairs are of candidate and baseline, or (newly, no_longer contacted) of those who churned and those who stayed.

    money: what contacting who would leave is worth, and what a contact costs.
    """

    rows: Count
    churned: Count
    predicted: tuple[Share, Share]
    contacted: tuple[Count, Count]
    money: tuple[Number, Number]
    newly: tuple[Count, Count]
    no_longer: tuple[Count, Count]
    p_value: Share | None
    groups: Annotated[list[Flipped], Field(max_length=SHOWN)]


class Slice(Section):
    """A group and the deciding metric in it, candidate − baseline. broken: more than the policy allows."""

    column: Name
    level: Name
    rows: Count
    candidate: Number
    baseline: Number
    difference: Number
    low: Number
    high: Number
    broken: bool


class Slices(Section):
    """judged: how many groups; worse: those whose interval is wholly on the worse side, worst first; worst: the one."""

    judged: Count
    worse: Annotated[list[Slice], Field(max_length=SHOWN)]
    worst: Slice | None


class Feature(Section):
    """A feature and the ROC AUC that is lost when its values are shuffled; None: not among the most important ones."""

    name: Name
    before: Number
    after: Number


class Value(Section):
    """Something that differs, as text; None where it is not there. stages: that read it."""

    name: Name
    before: Line | None
    after: Line | None
    stages: Names


class Values(Section):
    """count: of all, shown or not."""

    count: Count
    shown: Annotated[list[Value], Field(max_length=SHOWN)]


class File(Section):
    """Lines added and removed; None: no text."""

    path: Name
    added: Count | None
    removed: Count | None
    stages: Names


class Folder(Section):
    """How many files differ in it; `.`: the repository's root."""

    name: Name
    files: Count


class Code(Section):
    """files: that a stage reads; others: that none does; outputs: of stages, that are other bytes now."""

    count: Count
    files: Annotated[list[File], Field(max_length=SHOWN)]
    others: Annotated[list[Folder], Field(max_length=SHOWN)]
    outputs: Names


class Column(Section):
    """A column of the data.

    cells: drift, values, missing, rows with another value, as `mlops data diff` writes them.
    """

    name: Name
    cells: tuple[Line, Line, Line, Line]


class Data(Section):
    """lines: on rows, labels, schema and split; columns: that drift, have other gaps or other values in the same rows,
    the largest change first; others: how many differ besides.
    """

    lines: Lines
    others: Count
    columns: Annotated[list[Column], Field(max_length=SHOWN)]


class Cost(Section):
    """size: bytes of the served model and of the baseline's; train_seconds: of the last run in this folder."""

    size: tuple[Count, Count | None] | None
    latency: Line | None
    train_seconds: Number


Point = tuple[Share, Share]
Points = Annotated[list[Point], Field(min_length=1, max_length=64)]


class Curve(Section):
    """Points of the merge base and of the commit, x ascending."""

    name: Literal["gain", "calibration", "roc", "precision_recall"]
    before: Points | None
    after: Points


class Facts(Section):
    """All of it; what there is nothing to say of is None or empty."""

    verdict: Literal["better", "no worse", "worse", "undecided", "not comparable"]
    metric: Metric
    passed: bool
    headline: Line
    reasons: Lines
    compared: Compared
    limits: Limits
    checks: Annotated[list[Check], Field(max_length=SHOWN)]
    notes: Lines
    metrics: Annotated[list[Measured], Field(max_length=SHOWN)]
    delong: Change | None
    decisions: Decisions | None
    slices: Slices | None
    calibration: Change | None
    features: Annotated[list[Feature], Field(max_length=SHOWN)]
    params: Values
    policy: Values
    code: Code
    data: Data | None
    cost: Cost
    environment: Values
    curves: Annotated[list[Curve], Field(max_length=4)]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Facts:
        """What a reader sees first must be what the rest says."""
        if not self.headline.startswith((f"{self.verdict}: ", f"{self.verdict} (")):
            raise ValueError(f"the headline does not begin with the verdict {self.verdict!r}")
        if self.passed == bool(self.reasons):
            raise ValueError("whether it passed is not what its reasons say")
        good = self.verdict in GOOD or any(note.startswith(WAIVED + VERDICT) for note in self.notes)
        if self.passed and not (good and all(c.passed or c.waived for c in self.checks)):
            raise ValueError("it passed, and its verdict or a check is bad without a waiver")
        return self


def read(document: object) -> Facts:
    """A document as typed facts.

    Raises:
        ReportError: it is no report; names the first key that is wrong.
    """
    try:
        return Facts.model_validate_json(json.dumps(document, allow_nan=False))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        said = first["msg"].removeprefix("Value error, ")
        why = f"{'.'.join(map(str, first['loc'])) or 'it'}: {said[:1].lower()}{said[1:]}"
    except (TypeError, ValueError, RecursionError) as error:
        why = str(error)
    raise ReportError(f"no report as `mlops report --json` writes it ({one_line(why)[:300]}); make it again")


def checked(document: object) -> dict[str, Any]:
    """A document of unknown origin, checked: exactly the keys, kinds and sizes of `Facts`, all numbers finite.

    Raises:
        ReportError: it is no report.
    """
    return read(document).model_dump(mode="json")


def clip(text: object, most: int = NAME) -> str:
    """A text of at most so many characters; where it is cut, it ends in an ellipsis."""
    whole = one_line(str(text))
    return whole if len(whole) <= most else whole[: most - 1] + "…"
