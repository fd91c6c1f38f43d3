"""What a comment says: the report where there is one that can be trusted to be one, and always which run is meant."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mlops.errors import ReportError
from mlops.report import facts, markdown

MOST = 4_000_000
"""Bytes of a report; it is a stranger's file."""
Compose = Callable[[int], str]


class Ended(NamedTuple):
    """The run that a report is of, as the forge knows it. sha: full hash; conclusion: success, failure and the like."""

    sha: str
    conclusion: str
    url: str


def read(path: Path, sha: str) -> dict[str, Any] | None:
    """A report; None where the run made none.

    Args:
        path: of the file.
        sha: of the commit that it has to be about.

    Raises:
        ReportError: it is no report, or of another commit.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ReportError(f"{path} cannot be read ({error.strerror}): it is no report") from None
    if len(content) > MOST:
        raise ReportError(f"{path} has more than {MOST:,} bytes: it is no report")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise ReportError(f"{path} is no JSON: it is no report") from None
    found = facts.checked(document)
    if found["compared"]["head"] != sha:
        raise ReportError(f"{path} is about commit {found['compared']['head'][:8]}, its run about {sha[:8]}")
    try:
        markdown.render(found)
    except Exception as error:  # a stranger may find values that are allowed each, and make no sense together
        raise ReportError(f"{path} cannot be put into words ({type(error).__name__}: {error})") from error
    return found


def text(found: dict[str, Any] | None, ended: Ended) -> Compose:
    """A comment's text, for any number of characters."""
    if found is None:
        missing = _missing(ended)
        return lambda limit: missing
    warning = _warning(ended) if ended.conclusion != "success" and found["passed"] else ""
    return lambda limit: warning + markdown.render(found, limit - len(warning), ended.url)


def _missing(ended: Ended) -> str:
    """Instead of what was said of an earlier commit, which holds no more."""
    return (
        f"**There is no report on commit {ended.sha[:8]}.** Its run ended with `{ended.conclusion}` and left none that"
        f" can be read; [the run]({ended.url}) says why.\n"
    )


def _warning(ended: Ended) -> str:
    """The report was written before its run was over."""
    return (
        f"**The run that wrote this ended with `{ended.conclusion}`**, after a step that the report knows nothing of;"
        f" [the run]({ended.url}) says which.\n\n"
    )
