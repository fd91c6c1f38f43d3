"""One change of the registry: made from what the tags say now, published, and thought over when somebody was faster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mlops.errors import GitError, RegistryError
from mlops.git import Git
from mlops.registry.facts import Facts
from mlops.registry.look import Registry
from mlops.registry.remote import Remote, Seen, TakenError
from mlops.registry.resolve import Assignment

ATTEMPTS = 5


class Draft(NamedTuple):
    """A tag to be made."""

    name: str
    commit: str
    message: str


@dataclass(frozen=True)
class Plan:
    """What to publish, and what it takes for granted: stage → the assignment it serves (None: nothing)."""

    drafts: tuple[Draft, ...]
    relies: Mapping[str, Assignment | None]


class Change:
    """A change that begins with a look at the shared repository.

    notes: what that look repaired, a line each.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.remote = Remote(registry.git, registry.policy.registry.remote, registry.name)
        self.notes: list[str] = []
        with self.remote.alone():
            self.seen = self._look()

    def _look(self) -> Seen:
        seen = self.remote.look()
        self.notes += self.remote.repair(seen)
        self.registry.refresh()
        return seen

    def publish(self, plan: Callable[[Registry], Plan]) -> tuple[Draft, ...]:
        """Make the planned tags and publish them. When somebody else was faster, plan again; unless what they did
        changed what the plan relies on: then nothing is done.

        Raises:
            RegistryError: what somebody else did meanwhile, or why nothing can be published.
        """
        with self.remote.alone():
            return self._published(plan)

    def _published(self, plan: Callable[[Registry], Plan]) -> tuple[Draft, ...]:
        first = plan(self.registry)
        planned = first
        for _ in range(ATTEMPTS):
            made = self.remote.make({d.name: (d.commit, d.message) for d in planned.drafts})
            try:
                self.remote.publish(made, self.seen)
            except TakenError:
                self.seen = self._look()
                self._still_true(first)
                planned = plan(self.registry)
                continue
            self.registry.refresh()
            return planned.drafts
        raise RegistryError(
            f"{self.remote.name} changed {ATTEMPTS} times while this was published; nothing was changed"
        )

    def _still_true(self, plan: Plan) -> None:
        for stage, relied in plan.relies.items():
            now = self.registry.picture.stages.get(stage)
            if now is None and relied is None:
                continue
            if now is None or relied is None or now.object != relied.object:
                was = relied.version if relied else "nothing"
                raise RegistryError(
                    f"{self._told(stage, now)} meanwhile; this was decided with {was} in {stage}, so nothing was"
                    " changed: look at `mlops show`, and type it again if you still want it"
                )

    def _told(self, stage: str, now: Assignment | None) -> str:
        """Who changed what a stage serves, and how."""
        event = next(e for e in reversed(self.registry.picture.events) if stage in e.changes)
        who = event.tag.tagger.partition(" <")[0] or "somebody"
        return f"{who} made {stage} serve {now.version if now else 'nothing'} (tag {event.tag.name})"


def signature(git: Git) -> dict[str, str]:
    """Who makes a tag, as Git would write it: name and email.

    Raises:
        RegistryError: Git does not know.
    """
    try:
        ident = git.text("var", "GIT_COMMITTER_IDENT").rsplit(" ", 2)[0]
    except GitError as error:
        raise RegistryError(
            "Git does not know who you are, and a tag says who made it: git config user.name 'Ada',"
            " git config user.email ada@example.org"
        ) from error
    name, _, email = ident.partition(" <")
    return {"name": name, "email": email.removesuffix(">")}


def stamped(git: Git, action: str, said: Mapping[str, Any]) -> Facts:
    """The facts that every change states: what, who, when; and those given, without the empty ones."""
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    stated = {"action": action, **said, "by": signature(git), "at": at}
    return {key: value for key, value in stated.items() if value is not None}
