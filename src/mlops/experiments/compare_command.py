"""`mlops compare`: facts in, words out."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mlops import git as repository
from mlops.experiments import compare


def run(arguments: argparse.Namespace) -> None:
    """Print the table or its JSON, and write the page where one is asked for."""
    git = repository.here()
    found = compare.compare(git, arguments.metric, arguments.top)
    if arguments.plot:
        from mlops.experiments import compare_page

        compare_page.write(git, found, Path(arguments.plot))
        print(f"written: {arguments.plot}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(found.facts(), indent=1, ensure_ascii=False, default=str))
    else:
        from mlops.experiments import compare_text

        compare_text.console().print(found)
