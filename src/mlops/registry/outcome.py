"""What promote, rollback, unassign and archive say at the end: for people, and for programs."""

from __future__ import annotations

import json
import sys
from typing import Any

from mlops.registry.look import Registry
from mlops.registry.promote import Outcome
from mlops.registry.withdraw import Withdrawn


def facts(done: Outcome) -> dict[str, Any]:
    """A promotion for programs."""
    return {
        "promoted": done.done,
        "version": done.version if done.done else None,
        "stage": done.stage,
        "commit": done.named.commit,
        "experiment": done.named.experiment,
        "tags": list(done.tags),
        "pushed": done.pushed,
        "gate": done.result.facts() if done.result else None,
        "reasons": list(done.result.reasons) if done.result else [],
        "notes": list(done.notes),
    }


def tell(done: Outcome, registry: Registry) -> None:
    """A promotion for people."""
    _notes(done.notes)
    if done.result is None:
        print(f"{done.version} is {done.stage} already; nothing to do.")
        return
    print("\n".join(done.result.lines()))
    print()
    if not done.done:
        print(f"Not promoted; {registry.name}@{done.version} was not made either.")
        for reason in done.result.reasons:
            print(f"  {reason}")
        print(
            f'next      mlops promote {done.named.name} --stage {done.stage} --force --why "…"    overrule, on record'
        )
        return
    remote = registry.policy.registry.remote or ""
    where = f", published on {remote}" if registry.git.config(f"remote.{remote}.url") else ""
    sent = f"; {done.pushed} files sent to the DVC remote" if done.pushed else ""
    print(f"{done.version} is {done.stage}: tags {', '.join(done.tags)}{where}{sent}")
    print(
        "next      mlops sync        hand it to the API of this clone; `mlops sync --watch` follows the tags by itself"
    )
    print("          mlops rollback    go back")


def withdrawn(done: Withdrawn, as_json: bool) -> None:
    """The end of a rollback, an unassignment or an archiving."""
    if as_json:
        print(json.dumps({"stage": done.stage, "from": done.before, "to": done.after, "tag": done.tag}, indent=1))
        return
    _notes(done.notes)
    if done.stage is None:
        print(f"{done.before} is archived: tag {done.tag}")
    else:
        print(f"{done.stage} serves {done.after or 'nothing'}, no longer {done.before}: tag {done.tag}")


def _notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
