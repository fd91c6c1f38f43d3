"""What `mlops sync` did, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Served(NamedTuple):
    """What a stage serves now, and what it served before."""

    version: str
    commit: str
    tag: str
    before: str | None


@dataclass(frozen=True)
class Report:
    """What was done. failed: stage → why it was left as it was; emptied: stage → what it serves no more; serving: what
    state.json says now; repaired: whether a folder that serves was missing or damaged.
    """

    stages: Mapping[str, Served]
    failed: Mapping[str, str]
    emptied: Mapping[str, str]
    weights: Mapping[str, float]
    serving: Mapping[str, str]
    pruned: Sequence[str]
    notes: Sequence[str]
    changed: bool
    repaired: bool

    @property
    def code(self) -> int:
        """The exit code."""
        return 1 if self.failed else 0

    def facts(self) -> dict[str, Any]:
        """For programs."""
        return {
            "changed": self.changed,
            "stages": {stage: served._asdict() for stage, served in self.stages.items()},
            "failed": dict(self.failed),
            "emptied": dict(self.emptied),
            "weights": dict(self.weights),
            "removed": list(self.pruned),
        }

    def lines(self) -> list[str]:
        """For people."""
        said = []
        for stage, served in self.stages.items():
            was = "" if served.before == served.version else f", was {served.before or 'nothing'}"
            share = f", {self.weights[stage]:.0%} of customers" if stage in self.weights else ""
            said.append(f"{stage:<10}{served.version}  {served.tag}{share}{was}")
        said += [f"{stage:<10}nothing, was {before}" for stage, before in self.emptied.items()]
        left = {stage: self.serving.get(stage) for stage in self.failed if stage not in self.stages}
        said += [f"{stage:<10}{f'{version}, as before' if version else 'nothing'}" for stage, version in left.items()]
        if self.pruned:
            said.append(f"removed   {', '.join(self.pruned)}")
        return said
