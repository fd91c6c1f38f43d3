"""`python -m mlops.merge BASE OURS THEIRS SIZE PATH`: what Git calls as `%O %A %B %L %P`. `install` tells it to."""

from __future__ import annotations

import sys
from pathlib import Path

from mlops.errors import MlopsError, guarded
from mlops.merge.driver import Call, run

WORDS = 5


def main(words: list[str]) -> int:
    """Merge as Git asks. Returns 0, or 1 where a conflict is left."""
    if len(words) != WORDS or not words[3].isdigit():
        raise MlopsError("Git calls this with five words; `mlops merge-driver install` tells it how")
    return run(Call(Path(words[0]), Path(words[1]), Path(words[2]), int(words[3]), words[4]))


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(sys.argv[1:])))
