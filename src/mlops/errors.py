"""The errors a user can cause. Each message is one line: what was wrong, where, and what to type next.

MlopsError
├── ParamsError      params.yaml: unknown key, wrong type, value out of range
├── SchemaError      data/schema.yaml: unknown kind, missing role, bad derived feature
├── TableError       a file that cannot be read as the table it should be
├── DataError        rows that cannot be used: too many bad ones, no usable target
├── TrainingError    a training set that no model can be fitted on
├── BundleError      models/serving: missing, broken or altered
├── StageError       a stage that did not run as dvc.yaml says
├── GitError         what Git refused, or a repository that is none
├── PolicyError      policy.yaml: unknown key, wrong type, value out of range
├── StoreError       dvc.lock of a commit, or the bytes that it names: missing, altered, not to be had
├── RegistryError    tags, versions and stages: unknown, contradictory, refused
├── ExperimentError  runs of notebooks: unknown, broken, logged in a way that cannot be
└── ReportError      two commits that cannot be compared, or a report that is none
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterable


class MlopsError(Exception):
    """Base of everything that ends in one line on stderr and exit code 1."""


class ParamsError(MlopsError):
    """params.yaml says something that cannot be."""


class SchemaError(MlopsError):
    """data/schema.yaml says something that cannot be, or does not fit the table."""


class TableError(MlopsError):
    """A file cannot be read as a table."""


class DataError(MlopsError):
    """The table was read, but its rows cannot be used."""


class TrainingError(MlopsError):
    """No model can be fitted on these rows."""


class BundleError(MlopsError):
    """A served model is missing, broken or not what its manifest says."""


class StageError(MlopsError):
    """A stage was run in a way that its result could not be trusted."""


class GitError(MlopsError):
    """Git refused, or there is no repository."""


class PolicyError(MlopsError):
    """policy.yaml says something that cannot be."""


class StoreError(MlopsError):
    """What a dvc.lock names cannot be had, or is not what it says."""


class RegistryError(MlopsError):
    """A version, stage or tag that does not exist, contradicts itself, or was refused."""


class ExperimentError(MlopsError):
    """A run that does not exist, could not be saved, or was logged in a way that cannot be."""


class ReportError(MlopsError):
    """What shall be compared cannot be, or a document is no report."""


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean X?' for the closest known name, or '' when none is close."""
    names = list(known)
    folded = {n.casefold(): n for n in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[close[0]]}?" if close else ""


def one_line(text: object) -> str:
    """Any message as a single line: inner line breaks become spaces."""
    return " ".join(str(text).split())


def guarded(work: Callable[[], int | None]) -> int:
    """Run `work`; an expected error becomes one line on stderr and exit code 1.

    So does what the operating system refuses (a full disk, a missing permission). `MLOPS_TRACEBACK=1` shows where it
    was raised. Unexpected errors keep their traceback.
    """
    try:
        return work() or 0
    except MlopsError as error:
        if os.environ.get("MLOPS_TRACEBACK") == "1":
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output left (`| head`). What was asked for was not done to its end: that is no success, or a
        # stage would be filed as done. Python must not complain about the pipe again at exit.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        return 1
    except OSError as error:
        if os.environ.get("MLOPS_TRACEBACK") == "1":
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}; put that right and run the same again", file=sys.stderr)
        return 1
