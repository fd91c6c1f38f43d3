"""What one run is asked to do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mlops.batch.sink import PARQUET, SUFFIXES
from mlops.errors import TableError


@dataclass(frozen=True)
class Request:
    """What to score. keep: columns that the output gets; max_bad: the share of rows that may be bad."""

    input: Path
    output: Path
    quarantine: Path
    models: Path = Path("models")
    stage: str | None = None
    keep: tuple[str, ...] = ()
    max_bad: float = 0.1
    threads: int = 1

    def __post_init__(self) -> None:
        if not self.output.name.endswith(SUFFIXES):
            raise TableError(f"{self.output}: the output is {', '.join(SUFFIXES)} by its suffix; name it so")
        if not 0 <= self.max_bad <= 1:
            raise TableError(f"--max-bad {self.max_bad:g}: a share of rows is from 0 to 1")
        if self.threads < 1:
            raise TableError(f"--threads {self.threads}: at least one thread is needed")
        paths = {os.path.realpath(p) for p in (self.input, self.output, self.quarantine)}
        if len(paths) < 3:
            raise TableError(f"{self.output}: input, output and quarantine must be three files; name another")

    @property
    def parquet(self) -> bool:
        """Whether the output is Parquet."""
        return self.output.name.endswith(PARQUET)
