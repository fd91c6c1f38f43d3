"""`mlops report` and `mlops gate`: facts in, words out."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from mlops import git as repository
from mlops import screen
from mlops.errors import ReportError
from mlops.git import Git
from mlops.report import base as bases
from mlops.report import compare, judged, markdown, page, terminal, words
from mlops.report import facts as documents
from mlops.report.document import Document
from mlops.report.judged import Judged
from mlops.report.texts import visible
from mlops.store.objects import Store

SUMMARY = 250_000
"""Characters of Markdown: a job summary of GitHub's holds 1 MiB."""
REFUSED = 2
"""Exit code of a gate that lets nothing pass."""


def report(arguments: argparse.Namespace) -> None:
    """`mlops report`: prints, and writes each file as its suffix says."""
    found = compare.here(_repository(), arguments.base)
    document = words.document(documents.read(found))
    for name in [*arguments.output, *([arguments.html] if arguments.html else [])]:
        _write(Path(name), found, document, as_page=name == arguments.html)
    if arguments.json:
        print(_json(found), end="")
    else:
        terminal.show(screen.console(), document)


def _write(path: Path, found: dict[str, Any], document: Document, as_page: bool) -> None:
    if as_page or path.suffix in (".html", ".htm"):
        content = page.render(document)
    elif path.suffix == ".json":
        content = _json(found)
    else:
        content = markdown.of_document(document, SUMMARY)
    if not path.parent.is_dir():
        raise ReportError(f"{path} cannot be written: there is no folder {path.parent}; `mkdir -p {path.parent}`")
    path.write_text(content, encoding="utf-8")


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _repository() -> Git:
    git = repository.here()
    if git.attempt("rev-parse", "--verify", "--quiet", "HEAD").returncode:
        raise ReportError(f"{git.folder} has no commit yet: nothing can be compared; `git commit` first")
    return git


def gate(arguments: argparse.Namespace) -> int:
    """`mlops gate`: 0 when it lets HEAD pass, 2 when it does not."""
    git = _repository()
    found = judged.judge(git, Store(git.folder), bases.find(git, "HEAD", arguments.base))
    if arguments.json:
        print(_json({**found.result.facts(), "waived": found.result.let_pass}), end="")
    else:
        for line in _told(found):
            print(visible(line))
    return 0 if found.result.passed else REFUSED


def _told(found: Judged) -> list[str]:
    result = found.result
    said = "The gate lets it pass." if result.passed else "The gate refuses it:"
    return [*result.lines(), "", *found.notes, said, *(f"- {reason}" for reason in result.reasons)]
