"""What a rebuild proved, stage by stage: for people, for a tag's message, and as an exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SAME, EQUAL, DIFFERENT = "same bytes", "equal within 1e-6", "different"
CANNOT = "cannot be rebuilt"
CODES: Mapping[str, int] = {SAME: 0, EQUAL: 3, DIFFERENT: 4, CANNOT: 5}
"""Exit codes of `mlops verify`; 1 and 2 are errors and mistyped words, as everywhere."""
MOST = 20
"""Differences of environment or lock that a tag's message tells."""


@dataclass(frozen=True)
class OutProof:
    """One output: recorded and rebuilt are DVC's digests, rebuilt None where the rebuild made no such file or folder.

    words: how it differs, one line for each file.
    """

    path: str
    verdict: str
    recorded: str
    rebuilt: str | None
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageProof:
    """One stage and its outputs."""

    name: str
    outs: tuple[OutProof, ...]

    @property
    def verdict(self) -> str:
        """The worst of its outputs'."""
        return worst(out.verdict for out in self.outs)


@dataclass(frozen=True)
class Proof:
    """Whether a commit makes what it recorded.

    stale: why its dvc.lock does not belong to its own files. reason: why it cannot be rebuilt. environment: packages
    that are not the recorded ones. python: of the interpreter that rebuilt. seconds: of the whole.
    """

    verdict: str
    commit: str
    stages: tuple[StageProof, ...] = ()
    stale: tuple[str, ...] = ()
    reason: str | None = None
    environment: tuple[str, ...] = ()
    python: str | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def code(self) -> int:
        """The exit code."""
        return CODES[self.verdict]

    def facts(self) -> dict[str, Any]:
        """What a tag's message and --json tell."""
        facts: dict[str, Any] = {"verdict": self.verdict, "commit": self.commit}
        if self.reason:
            facts["reason"] = self.reason
        if self.stages:
            facts["stages"] = {stage.name: _stage_facts(stage) for stage in self.stages}
        for name, lines in (("stale", self.stale), ("environment", self.environment)):
            if lines:
                facts[name] = list(_most(lines))
        return {**facts, "python": self.python, "seconds": round(self.seconds, 1)}

    def lines(self) -> list[str]:
        """What a terminal shows, the verdict first."""
        first = next((f": first in stage {s.name}" for s in self.stages if s.verdict != SAME), "")
        lines = [self.verdict + (f": {self.reason}" if self.reason else first)]
        lines += [f"  dvc.lock is not what this commit's files say: {line}" for line in _most(self.stale)]
        for stage in self.stages:
            lines.append(f"  {stage.name}: {stage.verdict}")
            for out in stage.outs:
                if out.verdict != SAME:
                    lines += [f"    {out.path}: {words}" for words in out.words]
        return [*lines, *(f"  environment: {line}" for line in _most(self.environment))]


def _stage_facts(stage: StageProof) -> dict[str, Any]:
    told: dict[str, Any] = {"verdict": stage.verdict, "outs": {out.path: out.rebuilt for out in stage.outs}}
    words = [f"{out.path}: {line}" for out in stage.outs if out.verdict != SAME for line in out.words]
    return {**told, "differences": list(_most(words))} if words else told


def _most(lines: Iterable[str]) -> list[str]:
    every = list(lines)
    return every if len(every) <= MOST else [*every[:MOST], f"and {len(every) - MOST} more"]


def worst(verdicts: Iterable[str]) -> str:
    """The verdict that the others cannot make good; same bytes where there is none."""
    return max(verdicts, key=CODES.__getitem__, default=SAME)
